"""Run the targets for a time and save failing cases: `python -m fuzz [TARGET...]`.

Exit code 1 with a finding. The case is saved to the corpus, where the tests run it again until the defect is fixed.
"""

from __future__ import annotations

import argparse
import fnmatch
import logging
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from . import corpus, engines
from .target import Target


def main(arguments: list[str] | None = None) -> int:
    """Run the targets; return the exit code."""
    options = _parsed(arguments)
    # Log messages of the check are not part of the output, but exceptions caught in a block are still recorded.
    logging.getLogger().addHandler(logging.NullHandler())
    findings = 0

    def found(target: Target, case: Any, error: BaseException) -> None:
        nonlocal findings
        findings += 1
        path = corpus.save(target.name, case, error, options.corpus)
        print(f'{target.name}: {corpus.describe(error)}\n  {path}', flush=True)

    if options.inside:
        engines.atheris(options.inside, options.seconds, options.seed, found)
        return 0
    from .targets import all_targets

    known = all_targets()
    names = [name for name in known if any(fnmatch.fnmatchcase(name, pattern) for pattern in options.target)]
    if options.list:
        print('\n'.join(names))
        return 0
    if not names:
        print(f'there is no such target; use one of: {", ".join(known)}', file=sys.stderr)
        return 2
    total = 0
    until = time.monotonic() + options.seconds
    for number, name in enumerate(names):
        # Time that one target does not need is available to the others.
        share = max(1.0, (until - time.monotonic()) / (len(names) - number))
        if options.engine == 'atheris':
            findings += _outside(name, share, options)
            continue
        started = time.monotonic()
        ran = engines.hypothesis(known[name], share, options.seed, found)
        total += ran
        print(f'{name}: {ran} cases in {time.monotonic() - started:.0f} s', flush=True)
    print(f'{total} cases, {findings} findings' if options.engine == 'hypothesis' else f'{findings} findings')
    return 1 if findings else 0


def _outside(name: str, seconds: float, options: argparse.Namespace) -> int:
    """Run a target in a process of its own, which atheris ends; return the number of findings, 0 or 1."""
    command = [sys.executable, '-m', 'fuzz', '--inside', name, '--seconds', str(seconds)]
    done = subprocess.run(
        [*command, '--seed', str(options.seed), '--corpus', str(options.corpus)], check=False, stderr=subprocess.PIPE
    )
    said = done.stderr.decode(errors='replace').strip().splitlines()
    ends = [line for line in said if line.startswith('Done ') or 'Error' in line]
    print(f'{name}: {ends[-1] if ends else f"exit code {done.returncode}"}', flush=True)
    return int(done.returncode != 0)


def _parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog='python -m fuzz', description=__doc__.splitlines()[0])
    parser.add_argument('target', nargs='*', default=['*'], help='names or patterns (`records.*`); default: all')
    parser.add_argument('--seconds', type=float, default=60.0, help='for all targets together (default: 60)')
    parser.add_argument('--seed', type=int, default=0, help='another seed tries other cases')
    parser.add_argument(
        '--engine', choices=('hypothesis', 'atheris'), default='hypothesis', help='atheris needs the extra `fuzz`'
    )
    parser.add_argument('--corpus', type=Path, default=corpus.CORPUS, help='where findings are written')
    parser.add_argument('--list', action='store_true', help='only print the names')
    parser.add_argument('--inside', help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


if __name__ == '__main__':
    sys.exit(main())

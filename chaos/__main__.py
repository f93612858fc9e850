"""Run the trials and print the verdict: `python -m chaos [SOURCE...] [--trial NAME] [--refreshes N] [--seed S]`.

Several trials per source, see crew.py. The exit code is 1 when anything was found.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

from .crew import TRIALS, run
from .scenes import SCENES

SEED = '1'
DEFAULTS = ', '.join(f'{number} ({name})' for name, (number, *_) in TRIALS.items())


def main(arguments: list[str] | None = None) -> int:
    """Run, print, and return the exit code."""
    parser = argparse.ArgumentParser(prog='python -m chaos', description=__doc__.splitlines()[0])
    parser.add_argument('sources', nargs='*', metavar='SOURCE', help=f'any of {", ".join(SCENES)}; default: all')
    parser.add_argument('--refreshes', type=int, help=f'per trial; default: {DEFAULTS}')
    parser.add_argument('--trial', choices=TRIALS, help='only this trial of each source; default: all of them')
    parser.add_argument('--seed', default=SEED, help='the same seed selects the same faults and kills')
    parser.add_argument('--jobs', type=int, help='trials in parallel; default: twice the number of processors')
    parser.add_argument('--json', action='store_true', help='print one JSON document')
    options = parser.parse_args(arguments)
    if unknown := sorted(set(options.sources) - set(SCENES)):
        parser.error(f'unknown source {", ".join(unknown)}; known: {", ".join(SCENES)}')
    report = run(options.sources or list(SCENES), options.seed, options.trial, options.refreshes, options.jobs)
    if options.json:
        print(json.dumps({**report.document(), 'findings': [asdict(one) for one in report.findings]}, indent=2))
    else:
        print(report.text())
    return 1 if report.findings else 0


if __name__ == '__main__':
    sys.exit(main())

"""Check a change before it is committed: `python -m tools.check`, or everything: `python -m tools.check --all`.

A change is what differs from the upstream branch or, without one, from the last commit but one; uncommitted and
untracked files are part of it. Ruff and mypy read the whole tree; pytest runs the tests that the change concerns, most
direct first, as long as the time lasts.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from .concerned import Concerns

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 90
# From the start of the last test to the end.
LAST_SECONDS = 15
# Result of `git hash-object -t tree /dev/null`, the base of a first commit.
EMPTY_TREE = '4b825dc642cb6eb9a060e54bf8d69288fbee4904'
NO_TESTS_COLLECTED = 5

Command = Sequence[str]
RUFF: tuple[Command, ...] = (('ruff', 'check', '.'), ('ruff', 'format', '--check', '.'))
LINT: tuple[Command, ...] = (
    *RUFF,
    ('tools.plain_words',),
    ('tools.generate', '--check'),
    ('metta_checks.cli.main', 'assets', 'lint'),
)
TYPES: tuple[Command, ...] = (('mypy',),)


@dataclass(frozen=True)
class Step:
    """A part of the check that has run."""

    name: str
    seconds: float
    passed: bool
    output: str = ''

    def __str__(self) -> str:
        """Return the line that is printed."""
        return f'{self.name:<6}{self.seconds:6.1f} s  {"passed" if self.passed else "FAILED"}'


def run(name: str, commands: Sequence[Command], *, quiet: bool = True) -> Step:
    """Run Python modules one after the other, up to the first that fails; show what they print unless `quiet`."""
    start = time.monotonic()
    output = ''
    for command in commands:
        done = subprocess.run(
            [sys.executable, '-m', *command],
            cwd=ROOT,
            stdout=subprocess.PIPE if quiet else None,
            stderr=subprocess.STDOUT if quiet else None,
            text=True,
            check=False,
        )
        output += done.stdout or ''
        # A selection of tests may be empty, all tests may not.
        if done.returncode and not (done.returncode == NO_TESTS_COLLECTED and '--until' in command):
            return Step(name, time.monotonic() - start, False, output)
    return Step(name, time.monotonic() - start, True, output)


def git(*arguments: str, root: Path = ROOT) -> str | None:
    """Return what git prints; None when it fails."""
    done = subprocess.run(['git', *arguments], cwd=root, capture_output=True, text=True, check=False)
    return None if done.returncode else done.stdout


def default_base(root: Path = ROOT) -> str:
    """Return the commit that a change is measured from."""
    upstream = git('merge-base', 'HEAD', '@{upstream}', root=root)
    previous = git('rev-parse', '--verify', '--quiet', 'HEAD~1', root=root)
    return (upstream or previous or EMPTY_TREE).strip()


def changed_files(base: str, root: Path = ROOT) -> list[str]:
    """Return the files that differ from a commit, with deleted and untracked ones. Raises ValueError without git."""
    differing = git('diff', '--name-only', '--no-renames', '-z', base, root=root)
    untracked = git('ls-files', '--others', '--exclude-standard', '-z', root=root)
    if differing is None or untracked is None:
        raise ValueError(f'git does not know {base!r}')
    return sorted(set(f'{differing}{untracked}'.split('\0')) - {''})


def all_files(root: Path = ROOT) -> list[str]:
    """Return the files of the tree, tracked or about to be."""
    listed = git('ls-files', '--cached', '--others', '--exclude-standard', '-z', root=root) or ''
    return [name for name in listed.split('\0') if name and (root / name).is_file()]


def processors() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


def pytest_all() -> Command:
    """Return the command that runs all tests.

    There is a worker more than processors, since tests also wait: for servers, browsers and processes of their own.
    Groups of tests that share something expensive come first, so that no worker is left alone with one at the end.
    """
    return ('pytest', '-q', '-n', str(processors() + 1), '--dist', 'loadgroup')


def pytest_some(tests: Sequence[str], until: float) -> Command:
    """Return the command that runs test files in this order, and starts no test after a time."""
    plugin = ('-p', 'tools.time_box', '--until', f'{until:.0f}')
    return ('pytest', '-q', *plugin, '-n', str(processors()), '--dist', 'loadgroup', *tests)


def check(lint: Sequence[Command], tests: Command | None) -> bool:
    """Run the linters, then mypy beside the tests. Print a line per step; return whether all passed."""
    steps = [run('lint', lint)]
    report(steps[0])
    if not steps[0].passed:
        return False
    with ThreadPoolExecutor(1) as beside:
        types = beside.submit(run, 'types', TYPES)
        if tests:
            steps.append(run('tests', [tests], quiet=False))
            report(steps[-1])
        steps.append(types.result())
        report(steps[-1])
    return all(step.passed for step in steps)


def report(step: Step) -> None:
    """Print the line of a step, and below it what one that failed has printed."""
    print(step if step.passed else f'{step}\n{step.output}'.rstrip(), flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog='python -m tools.check', description=__doc__.splitlines()[0])
    parser.add_argument('--all', action='store_true', help='all linters, mypy and all tests, however long they take')
    parser.add_argument('--only', choices=('lint', 'types'), help='all linters, or mypy, and nothing else')
    parser.add_argument('--base', metavar='COMMIT', help='the change is what differs from this commit')
    parser.add_argument('--seconds', type=float, default=SECONDS, help='time for all of it; default %(default)s')
    parser.add_argument('--list', action='store_true', help='print the files of tests that the change concerns')
    chosen = parser.parse_args(arguments)
    if chosen.only:
        return 0 if run(chosen.only, LINT if chosen.only == 'lint' else TYPES, quiet=False).passed else 1
    if chosen.all:
        return 0 if check(LINT, pytest_all()) else 1
    until = time.time() + chosen.seconds - LAST_SECONDS
    base = chosen.base or default_base()
    try:
        changed = changed_files(base)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    tests = Concerns(ROOT, all_files()).of(changed)
    if chosen.list:
        print(*tests, sep='\n')
        return 0
    print(f'{len(changed)} files differ from {base[:12]}; they concern {len(tests)} files of tests', flush=True)
    return 0 if check(RUFF, pytest_some(tests, until) if tests else None) else 1


if __name__ == '__main__':
    sys.exit(main())

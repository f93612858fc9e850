"""Runs ddev on this project: `python -m tools.ddev` validates, `python -m tools.ddev e2e` runs `ddev env test`.

ddev expects a repository of integrations: a parent directory under git with the integration in a real directory that is
named like the check. That is made anew in a temporary place each time; ddev itself is installed once, into .venvs/ddev.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from .pythons import interpreter

ROOT = Path(__file__).resolve().parent.parent
CHECK = 'metta_checks'
DDEV = '20.1.0'
DDEV_PYTHON = '3.13'
CONFIG = 'ddev.toml'
# What runs offline and whose exit code means something. `models` knows only one file per integration: its part is
# played by `make generate` and its drift test.
VALIDATORS = (
    'config',
    'metadata',
    'dashboards',
    'readmes',
    'package',
    'imports',
    'http',
    'legacy-signature',
    'saved-views',
    'service-checks',
)


class Unavailable(Exception):
    """ddev cannot be had here; says why."""


def install() -> Path:
    """The ddev command. Raises Unavailable where it cannot be installed."""
    environment = ROOT / '.venvs' / f'ddev-{DDEV}'
    command = environment / 'bin' / 'ddev'
    if command.exists():
        return command
    executable = interpreter(DDEV_PYTHON)
    if executable is None:
        raise Unavailable(f'ddev {DDEV} needs Python {DDEV_PYTHON}, which is not on this machine')
    subprocess.run([executable, '-m', 'venv', '--clear', str(environment)], check=True)
    pip = [str(environment / 'bin' / 'python'), '-m', 'pip', '--quiet', '--disable-pip-version-check', 'install']
    answer = subprocess.run(
        [*pip, f'ddev=={DDEV}', 'datadog-checks-dev[cli]'], capture_output=True, text=True, check=False
    )
    if answer.returncode:
        shutil.rmtree(environment)
        raise Unavailable(f'ddev {DDEV} could not be installed: {answer.stderr.strip().splitlines()[-1]}')
    return command


def make_repository(parent: Path) -> Path:
    """The parent repository with this project in it. Returns the project's directory there."""
    checkout = parent / CHECK
    # A configuration of its own, whatever the user's ddev is set up for.
    (parent / CONFIG).touch()
    listed = subprocess.run(
        ['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in listed.stdout.decode().split('\0'):
        source = ROOT / name
        if name and (source.is_symlink() or source.is_file()):
            target = checkout / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    git = ['git', '-c', 'user.name=ddev', '-c', 'user.email=ddev@localhost', '-c', 'commit.gpgsign=false']
    for arguments in (['init', '-q', '-b', 'master'], ['add', '-A'], ['commit', '-q', '-m', 'Copy of the project']):
        subprocess.run([*git, *arguments], cwd=parent, check=True, capture_output=True)
    return checkout


def validate(ddev: Path, parent: Path) -> dict[str, subprocess.CompletedProcess[str]]:
    """Run every validator. Returns their results by name."""
    environment = {**os.environ, 'DDEV_CONFIG': str(parent / CONFIG), 'NO_COLOR': '1'}
    return {
        name: subprocess.run(
            [str(ddev), '-x', 'validate', name, CHECK],
            cwd=parent,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        for name in VALIDATORS
    }


def main(arguments: list[str]) -> int:
    """Returns the exit code: 0 when all is well or ddev cannot be had here, 1 otherwise."""
    try:
        ddev = install()
    except Unavailable as error:
        print(error)
        return 0
    with tempfile.TemporaryDirectory() as directory:
        parent = Path(directory)
        make_repository(parent)
        if arguments == ['e2e']:
            return _e2e(ddev, parent)
        results = validate(ddev, parent)
    for name, result in results.items():
        print(f'{"ok" if result.returncode == 0 else "FAILED":7} ddev validate {name}')
        if result.returncode:
            print(result.stdout + result.stderr)
    return int(any(result.returncode for result in results.values()))


def _e2e(ddev: Path, parent: Path) -> int:
    if subprocess.run(['docker', 'info'], capture_output=True, check=False).returncode:
        print('no Docker engine runs here: `ddev env test` was not run')
        return 0
    environment = {**os.environ, 'DDEV_CONFIG': str(parent / CONFIG)}
    configure = [str(ddev), 'config', 'set', 'repos.local', str(parent)]
    subprocess.run(configure, env=environment, check=True)
    command = [str(ddev), '-x', 'env', 'test', CHECK, f'py{DDEV_PYTHON}']
    return subprocess.run(command, cwd=parent, env=environment, check=False).returncode


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))

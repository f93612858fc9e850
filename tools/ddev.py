"""Run ddev on this project: `python -m tools.ddev` validates, `python -m tools.ddev e2e` runs `ddev env test`.

ddev expects a repository of integrations: a parent directory under git with the integration in a real directory that is
named like the check. The repository is created for each run. ddev itself and the environment of the end-to-end test are
installed once, below .venvs.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from . import environments
from .environments import ENVIRONMENTS, ROOT, Unavailable

CHECK = 'metta_checks'
REQUIREMENTS = ROOT / 'requirements' / 'ddev.txt'
DDEV_PYTHONS = ('3.13', '3.14')
# The environment of hatch.toml in which the end-to-end test runs.
E2E_ENVIRONMENT = 'e2e'
# Validators that run offline and have a meaningful exit code. `models` knows only one file per integration; `make
# generate` and its drift test replace it.
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
    'eula',
    'integration-style',
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Result of a validator."""

    validator: str
    passed: bool
    output: str


def install() -> Path:
    """Return the ddev command, installed on first use (half a gigabyte). Raises Unavailable."""
    return environments.command('ddev', REQUIREMENTS, DDEV_PYTHONS)


@dataclass(frozen=True)
class Repository:
    """A repository of integrations with a copy of this project.

    Attributes:
        ddev: the command
        parent: the repository's directory
        hatch: where ddev's hatch has its environments
    """

    ddev: Path
    parent: Path
    hatch: Path

    def __post_init__(self) -> None:
        # Separate settings, whatever the user's ddev is configured for, and no query of the package index for updates.
        settings = f'upgrade_check = false\nrepo = "local"\n[repos]\nlocal = "{self.parent}"\n'
        (self.parent / 'ddev.toml').write_text(settings, encoding='utf-8')
        copy_project(self.parent / CHECK)
        git = ['git', '-c', 'user.name=ddev', '-c', 'user.email=ddev@localhost', '-c', 'commit.gpgsign=false']
        for arguments in (['init', '-q', '-b', 'master'], ['add', '-A'], ['commit', '-q', '-m', 'Copy of the project']):
            subprocess.run([*git, *arguments], cwd=self.parent, env=self.variables, check=True, capture_output=True)

    @property
    def variables(self) -> dict[str, str]:
        """Environment of every command: separate from the user's ddev, hatch and git."""
        # Git's own variables, which a hook sets, would redirect git to another repository.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith('GIT_')}
        own = {
            'DDEV_CONFIG': str(self.parent / 'ddev.toml'),
            'DDEV_DATA_DIR': str(self.parent / '.ddev'),
            'HATCH_DATA_DIR': str(self.hatch),
            # Otherwise every process of a new environment compiles all imported modules.
            'UV_COMPILE_BYTECODE': '1',
            # Location of uv for ddev's hatch.
            'PATH': f'{self.ddev.parent}{os.pathsep}{os.environ["PATH"]}',
            'NO_COLOR': '1',
        }
        return {**inherited, **own}

    def validate(self, validator: str) -> Verdict:
        """Run one validator."""
        answer = subprocess.run(
            [str(self.ddev), '-x', 'validate', validator, CHECK],
            cwd=self.parent,
            env=self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return Verdict(validator, answer.returncode == 0, answer.stdout)

    @property
    def end_to_end(self) -> list[str]:
        """Return the command that starts the sandbox and an Agent that reads it, runs the tests, and stops both."""
        return [str(self.ddev), '-x', 'env', 'test', '--dev', CHECK, E2E_ENVIRONMENT]


def copy_project(target: Path) -> None:
    """Copy all files that git tracks or would track, links as links: the project as a clone has it."""
    listed = subprocess.run(
        ['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in listed.stdout.decode().split('\0'):
        source = ROOT / name
        if name and (source.is_symlink() or source.is_file()):
            copy = target / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy, follow_symlinks=False)


@contextmanager
def repository() -> Iterator[Repository]:
    """Yield a repository that is removed afterwards. Raises Unavailable."""
    ddev = install()
    with tempfile.TemporaryDirectory(prefix='ddev-') as directory:
        parent = Path(directory).resolve()
        yield Repository(ddev, parent, parent / '.hatch')


@contextmanager
def kept_repository() -> Iterator[Repository]:
    """Yield a repository whose environments are kept until their inputs change. Raises Unavailable.

    It always has the same path, by which hatch identifies its environments; one process at a time uses it.
    """
    ddev = install()
    place = ENVIRONMENTS / f'e2e-{_digest()}'
    with (ENVIRONMENTS / 'e2e.lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for other in ENVIRONMENTS.glob('e2e-*'):
            if other != place:
                shutil.rmtree(other)
        hatch, parent = place / 'hatch', place / 'repository'
        # Hatch creates this file when an environment is complete.
        if not any(hatch.glob('env/.metadata/*/virtual/*.json')):
            shutil.rmtree(hatch, ignore_errors=True)
        shutil.rmtree(parent, ignore_errors=True)
        parent.mkdir(parents=True)
        try:
            yield Repository(ddev, parent, hatch)
        finally:
            shutil.rmtree(parent)


def _digest() -> str:
    """Return a digest of all inputs of the end-to-end test's environment."""
    pyproject = tomllib.loads((ROOT / 'pyproject.toml').read_text(encoding='utf-8'))
    about = ROOT / pyproject['tool']['hatch']['version']['path']
    parts = [
        REQUIREMENTS.read_text(encoding='utf-8'),
        *(pyproject[table] for table in ('build-system', 'project')),
        pyproject['tool']['hatch'],
        *(path.read_text(encoding='utf-8') for path in (about, ROOT / 'hatch.toml')),
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def validate() -> int:
    """Run all validators and print a line for each; return the exit code."""
    failed = 0
    with repository() as place:
        for validator in VALIDATORS:
            verdict = place.validate(validator)
            print(f'{"ok" if verdict.passed else "FAILED":7} ddev validate {validator}', flush=True)
            if not verdict.passed:
                failed += 1
                print(verdict.output)
    return int(failed > 0)


def end_to_end() -> int:
    """Run the end-to-end tests; return the exit code. DDEV_E2E_AGENT names another image of the Agent."""
    docker = shutil.which('docker')
    if docker is None or subprocess.run([docker, 'info'], capture_output=True, check=False).returncode:
        raise Unavailable('no Docker engine is running; `ddev env test` was not run')
    with kept_repository() as place:
        return subprocess.run(place.end_to_end, cwd=place.parent, env=place.variables, check=False).returncode


def main(arguments: list[str]) -> int:
    """Return 0 on success, or if ddev is not available here (after saying so), else 1."""
    try:
        return end_to_end() if arguments == ['e2e'] else validate()
    except Unavailable as error:
        print(error)
        return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))

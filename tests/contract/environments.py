"""Empty environments with exactly what an Agent bundles, made once and kept below .venvs."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CONSTRAINTS = ('agent-7.72', 'agent-newest')
VERSIONS = ('3.11', '3.13')
# Lies in an environment whose installation has come to its end.
COMPLETE = '.complete'


def interpreter(version: str) -> str | None:
    """A Python of that version on this machine, None without one."""
    if version == f'{sys.version_info.major}.{sys.version_info.minor}':
        return sys.executable
    return next((path for path in _candidates(version) if _works(path)), None)


def _candidates(version: str) -> Iterator[str]:
    if found := shutil.which(f'python{version}'):
        yield found
    # A version manager's shim needs not have the version behind it that is switched on.
    if manager := shutil.which('pyenv'):
        known = subprocess.run([manager, 'versions', '--bare'], capture_output=True, text=True, check=False).stdout
        for name in known.split():
            if name.startswith(f'{version}.'):
                prefix = subprocess.run([manager, 'prefix', name], capture_output=True, text=True, check=False).stdout
                yield f'{prefix.strip()}/bin/python{version}'


def _works(executable: str) -> bool:
    return (
        subprocess.run([executable, '-c', 'import ensurepip, venv'], capture_output=True, check=False).returncode == 0
    )


@dataclass(frozen=True)
class Environment:
    """A virtual environment."""

    path: Path

    @property
    def python(self) -> str:
        """Its interpreter."""
        return str(self.path / 'bin' / 'python')

    @property
    def site_packages(self) -> Path:
        """Where its packages are."""
        return next(self.path.glob('lib/python*/site-packages'))

    def pip(self, *arguments: str) -> None:
        """Run pip in it. Raises CalledProcessError with pip's words."""
        command = [self.python, '-m', 'pip', '--disable-pip-version-check', '--quiet', *arguments]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        assert answer.returncode == 0, answer.stderr

    def run(self, code: str, *arguments: str) -> str:
        """Run Python code in it, away from this project's tree, and return what it printed."""
        answer = subprocess.run(
            [self.python, '-c', code, *arguments], capture_output=True, text=True, check=False, cwd=self.path
        )
        assert answer.returncode == 0, answer.stderr
        return answer.stdout


def agent_environment(version: str, constraints: str, executable: str) -> Environment:
    """The environment of an Agent, installed on first use."""
    pins = ROOT / 'constraints' / f'{constraints}.txt'
    digest = hashlib.sha256(pins.read_bytes()).hexdigest()[:12]
    environment = Environment(ROOT / '.venvs' / f'{constraints}-py{version}-{digest}')
    if not (environment.path / COMPLETE).exists():
        subprocess.run([executable, '-m', 'venv', '--clear', str(environment.path)], check=True)
        environment.pip('install', '-r', str(pins))
        (environment.path / COMPLETE).touch()
    return environment

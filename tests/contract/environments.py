"""Environments with exactly the packages that an Agent bundles, made once and kept below .venvs."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CONSTRAINTS = ('agent-7.72', 'agent-newest')
VERSIONS = ('3.11', '3.13')
# Marks an environment whose installation is complete.
COMPLETE = '.complete'


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
    """The environment of an Agent."""
    pins = ROOT / 'constraints' / f'{constraints}.txt'
    digest = hashlib.sha256(pins.read_bytes()).hexdigest()[:12]
    return _kept(f'{constraints}-py{version}-{digest}', executable, '-r', str(pins))


def _kept(name: str, executable: str, *requirements: str) -> Environment:
    """An environment that is installed when it is first asked for."""
    environment = Environment(ROOT / '.venvs' / name)
    if not (environment.path / COMPLETE).exists():
        subprocess.run([executable, '-m', 'venv', '--clear', str(environment.path)], check=True)
        environment.pip('install', *requirements)
        (environment.path / COMPLETE).touch()
    return environment

"""Environments of tools that the development environment does not hold, installed on first use below .venvs."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from .pythons import interpreter

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = ROOT / '.venvs'


class Unavailable(Exception):
    """A tool cannot be installed or run here; the message says why."""


def command(tool: str, requirements: Path, pythons: Sequence[str]) -> Path:
    """Return a tool's command from an environment with pinned packages. Raises Unavailable.

    Parameters:
        tool: the name of the command
        requirements: the file with the pins and their hashes; another one is another environment
        pythons: versions of Python that the tool runs on, such as `3.13`; the first one on this machine is taken
    """
    environment = ENVIRONMENTS / f'{tool}-{hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]}'
    found = environment / 'bin' / tool
    if found.exists():
        return found
    executable = next(filter(None, map(interpreter, pythons)), None)
    if executable is None:
        raise Unavailable(
            f'{tool} needs Python {pythons[0]} or newer: it cannot be installed on this Python '
            f'{sys.version_info.major}.{sys.version_info.minor}, and no other one is on this machine'
        )
    subprocess.run([executable, '-m', 'venv', '--clear', str(environment)], check=True)
    pip = [str(environment / 'bin' / 'python'), '-m', 'pip', '--quiet', '--disable-pip-version-check', 'install']
    hashed = ['--only-binary', ':all:', '--require-hashes', '-r', str(requirements)]
    answer = subprocess.run([*pip, *hashed], capture_output=True, text=True, check=False)
    if answer.returncode:
        shutil.rmtree(environment)
        raise Unavailable(f'{tool} could not be installed: {answer.stderr.strip().splitlines()[-1]}')
    return found

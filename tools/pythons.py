"""Find the Python versions on a machine."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator


def interpreter(version: str) -> str | None:
    """Return a Python of a version ('3.13') that can create virtual environments, None without one."""
    if version == f'{sys.version_info.major}.{sys.version_info.minor}':
        return sys.executable
    return next((path for path in _candidates(version) if _works(path)), None)


def _candidates(version: str) -> Iterator[str]:
    if found := shutil.which(f'python{version}'):
        yield found
    # A version manager's shim may exist without the version that it should run.
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

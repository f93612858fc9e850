"""The file that `init` writes, readable by its owner only."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ..configuration import DIRECTORY
from ..locations import VARIABLE

DEFAULT = Path('conf.d')


def target(config: Path | None, source: str, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the file of a source in a configuration: a conf.d directory, its metta_checks.d, or the file itself."""
    base = config or Path(environment.get(VARIABLE) or DEFAULT)
    if base.suffix in ('.yaml', '.yml'):
        return base
    folder = base if base.name == DIRECTORY else base / DIRECTORY
    return folder / f'{source}.yaml'


def write(path: Path, text: str) -> None:
    """Write a file with mode 0600, whole or not at all. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # A temporary file has this mode from the start.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f'.{path.name}.')
    try:
        with open(descriptor, 'w', encoding='utf-8') as file:
            file.write(text)
        os.replace(name, path)
    except OSError:
        os.unlink(name)
        raise

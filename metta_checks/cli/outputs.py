"""Files and folders that a command writes: checked before its work, so that no work is lost."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from metta_checks.as_code.asset import AssetError

from .exit_codes import EXIT_USAGE
from .terminal import fail


def check_file(path: Path) -> None:
    """Exit with one line and code 2 when a file cannot be written."""
    with writing(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if path.exists():
            path.open('ab').close()
        else:
            tempfile.TemporaryFile(dir=path.parent).close()


def check_folder(path: Path) -> None:
    """Exit with one line and code 2 when files cannot be written below a folder, which need not exist yet."""
    with writing(path):
        nearest = next(one for one in (path, *path.parents) if one.exists() or one.is_symlink())
        tempfile.TemporaryFile(dir=nearest).close()


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Exit with one line and code 2 when a file or folder cannot be written."""
    try:
        yield
    except OSError as error:
        fail(f'{path}: cannot be written: {error.strerror or type(error).__name__}', EXIT_USAGE)
    except AssetError as error:
        fail(str(error), EXIT_USAGE)

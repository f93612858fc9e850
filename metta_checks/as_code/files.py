"""Files that are written below a chosen folder, and never outside of it."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from .asset import AssetError

# File systems allow 255 bytes for a name, suffix included.
MAX_KEY = 200
_KEY = re.compile(rf'[A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_KEY - 1}}}')


def check_key(key: str) -> str:
    """Return a key that can be the name of a file. Raises AssetError for others."""
    if not _KEY.fullmatch(key):
        raise AssetError(
            f'key {key[:60]!r}: use 1 to {MAX_KEY} letters, digits, dots, hyphens and underscores, '
            'a letter or digit first'
        )
    return key


def file_key(text: str) -> str:
    """Return foreign text as a key that can be the name of a file: other characters replaced, long texts shortened.

    Different texts that would become the same key get a digest.
    """
    plain = re.sub(r'[^A-Za-z0-9._-]+', '_', text).lstrip('._-') or 'object'
    if plain == text and len(plain) <= MAX_KEY:
        return plain
    return f'{plain[: MAX_KEY - 9]}_{hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:8]}'


def write(folder: Path, name: str, content: bytes) -> Path:
    """Write a file below a folder and return its path. `name` is relative, with slashes.

    Raises AssetError for a name that leaves the folder or that a symbolic link below the folder redirects, OSError when
    the file cannot be written.
    """
    path = _inside(folder, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o666), 'wb') as file:
        file.write(content)
    return path


def remove(folder: Path, name: str) -> Path:
    """Remove a file below a folder and return its path. Raises as `write`."""
    path = _inside(folder, name)
    path.unlink()
    return path


def _inside(folder: Path, name: str) -> Path:
    path = folder
    for part in name.split('/'):
        if part in ('', '.', '..') or '\0' in part or '\\' in part:
            raise AssetError(f'{folder}: {name[:60]!r} is not the name of a file in this folder')
        path /= part
        if path.is_symlink():
            raise AssetError(f'{path}: is a symbolic link, which is not followed; remove it')
    return path

"""Contact and addresses of the project. pyproject.toml is the one place that a fork edits."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Addresses:
    """Addresses from pyproject.toml.

    Attributes:
        author: name of the maintainers
        email: where they are reached
        homepage: the home page
        repository: the repository, without a slash at the end
        documentation: where the documentation is published
    """

    author: str
    email: str
    homepage: str
    repository: str
    documentation: str


def load(root: Path) -> Addresses:
    """Return the addresses of the project in a directory. Raises KeyError for a missing one."""
    project = tomllib.loads((root / 'pyproject.toml').read_text(encoding='utf-8'))['project']
    author, urls = project['authors'][0], project['urls']
    return Addresses(
        author=author['name'],
        email=author['email'],
        homepage=urls['Homepage'],
        repository=urls['Repository'].rstrip('/'),
        documentation=urls['Documentation'],
    )

"""Divides the repositories of an instance among several instances."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b


@dataclass(frozen=True, slots=True)
class Shard:
    """One of `count` parts of the repositories, numbered from 0. Every repository is in exactly one part.

    A part depends on the name of a repository and on nothing else, so that instances agree without talking.
    """

    index: int = 0
    count: int = 1

    def has(self, slug: str) -> bool:
        """Return True if a repository (owner/name, in lower case) belongs to this part."""
        # Python's own hash differs from process to process.
        digest = blake2b(slug.encode(), digest_size=8).digest()
        return int.from_bytes(digest, 'big') % self.count == self.index

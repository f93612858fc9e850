"""Comparison of two commits of the default branch."""

from __future__ import annotations

from dataclasses import dataclass

from .model import Repository


@dataclass(frozen=True, slots=True)
class Comparison:
    """The commits of one place of the default branch compared with another: none is missing on both sides."""

    repository: Repository
    base: int
    head: int

    typename = 'Comparison'

    @property
    def id(self) -> str:
        """The global id."""
        return f'CMP_{self.repository.database_id}_{self.base}_{self.head}'

    @property
    def ahead_by(self) -> int:
        """Number of commits of the head that the base does not have."""
        return max(0, self.base - self.head)

    @property
    def behind_by(self) -> int:
        """Number of commits of the base that the head does not have."""
        return max(0, self.head - self.base)

    @property
    def status(self) -> str:
        """The state of the head relative to the base."""
        return 'AHEAD' if self.ahead_by else 'BEHIND' if self.behind_by else 'IDENTICAL'

    @property
    def places(self) -> range:
        """Places of the commits that only the head has, the oldest first."""
        return range(self.base - 1, self.head - 1, -1)


def compared(repository: Repository, base: str, head: str) -> Comparison | None:
    """Compare two commits or branches; None when one of them is not part of the default branch."""
    names = (repository.default_branch, f'refs/heads/{repository.default_branch}')
    places = [0 if name in names else repository.place_of(name) for name in (base, head)]
    if None in places:
        return None
    return Comparison(repository, places[0] or 0, places[1] or 0)

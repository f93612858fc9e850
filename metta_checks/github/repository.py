"""The repositories that an instance reads."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.memo import Learned
from .history import RepositoryFacts


@dataclass(slots=True)
class Repository:
    """A repository of the configuration, under its present name.

    Attributes:
        key: owner/name as configured, in lower case
        owner, name: the present name
        branch: the default branch, as last known; None while unknown, or without commits
        former_branches: earlier names of the default branch
        open_count: number of open pull requests, as last known; None while unknown
        rollups: states of the checks of the newest commits, as last known; None while unknown
    """

    key: str
    owner: str
    name: str
    branch: str | None = None
    former_branches: tuple[str, ...] = ()
    open_count: int | None = None
    rollups: Learned[tuple[str, ...]] | None = None

    @classmethod
    def of(cls, key: str) -> Repository:
        """Return a repository of which only the key is known."""
        owner, name = key.split('/')
        return cls(key, owner, name)

    @property
    def full_name(self) -> str:
        """owner/name."""
        return f'{self.owner}/{self.name}'

    @property
    def branches(self) -> tuple[str, ...]:
        """The names of the default branch, its earlier ones included; none while it is unknown."""
        return () if self.branch is None else (self.branch, *self.former_branches)

    @property
    def tags(self) -> dict[str, str]:
        """The base tags of the figures of the repository."""
        return {'org': self.owner, 'repo': self.full_name}

    def update(self, facts: RepositoryFacts) -> None:
        """Take over what is known of the repository."""
        self.owner, self.name, self.branch = facts.owner, facts.name, facts.branch
        self.former_branches = facts.former_branches
        self.open_count = facts.open_count
        self.rollups = facts.rollups

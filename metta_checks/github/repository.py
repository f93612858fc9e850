"""The repositories that an instance reads."""

from __future__ import annotations

from dataclasses import dataclass

from .history import RepositoryFacts


@dataclass(slots=True)
class Repository:
    """A repository of the configuration, under its present name.

    Attributes:
        key: owner/name as configured, in lower case
        owner, name: the present name
        branch: the default branch, as last known; None while unknown, or without commits
        open_count: number of open pull requests, as last known; None while unknown
    """

    key: str
    owner: str
    name: str
    branch: str | None = None
    open_count: int | None = None

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
    def tags(self) -> dict[str, str]:
        """The base tags of the figures of the repository."""
        return {'org': self.owner, 'repo': self.full_name}

    def update(self, facts: RepositoryFacts) -> None:
        """Take over what is known of the repository."""
        self.owner, self.name, self.branch = facts.owner, facts.name, facts.branch
        self.open_count = facts.open_count

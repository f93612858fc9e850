"""The owners of the repositories that an instance reads."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Owner:
    """An organization or a user.

    Attributes:
        key: the login, in lower case
    """

    key: str

    @property
    def tags(self) -> dict[str, str]:
        """The base tags of the figures of the owner."""
        return {'org': self.key}

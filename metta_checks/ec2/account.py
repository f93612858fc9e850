"""The account that the credentials belong to."""

from __future__ import annotations

from ..core.memo import Learned, fingerprint
from ..core.stored import stored
from .client import Client


@stored
class Account:
    """The account that the credentials belong to.

    Attributes:
        key: fingerprint of the access key in use
        id: number of the account
    """

    key: str
    id: str

    @property
    def tags(self) -> dict[str, str]:
        """The tag of all figures of the account."""
        return {'account': self.id}


def identified(client: Client, known: Learned[Account] | None, now: float) -> Learned[Account]:
    """Return the account of the credentials: the known one as long as the access key stays the same.

    Raises SourceError.
    """
    key = fingerprint(client.key())
    if known is not None and known.value.key == key:
        return known
    return Learned(Account(key, client.account()), now)

"""Elastic IP addresses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ...core.refresh import Sample
from ..records import Address


def measure(addresses: Iterable[Address]) -> Iterator[Sample]:
    """Yield the samples of block addresses."""
    yield Sample('addresses.unassociated', sum(not address.is_associated for address in addresses))

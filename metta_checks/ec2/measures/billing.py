"""The bill of AWS."""

from __future__ import annotations

from collections.abc import Iterator

from ...core.refresh import Sample
from ..records import Bill


def measure(bill: Bill) -> Iterator[Sample]:
    """Yield the samples of block billing from the bill of the last full day."""
    yield Sample('cost.billed_yesterday_usd', bill.usd)

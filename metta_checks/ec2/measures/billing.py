"""The bill of AWS, and the use of savings plans and reserved instances, as Cost Explorer reports them."""

from __future__ import annotations

from collections.abc import Iterator

from ...core import stats
from ...core.refresh import Sample
from ..cost_explorer import Bill, Cover, Use


def bill(found: Bill) -> Iterator[Sample]:
    """Yield the samples of block billing from the bill of a day."""
    yield Sample('cost.billed_yesterday_usd', found.unblended)
    yield Sample('cost.amortized_yesterday_usd', found.amortized)


def commitments(found: Cover | Use) -> Iterator[Sample]:
    """Yield the samples of block commitments: the coverage of usage, or the use of what was committed."""
    yield from _cover(found) if isinstance(found, Cover) else _use(found)


def _cover(found: Cover) -> Iterator[Sample]:
    if found.covered is not None and found.total is not None:
        yield Sample('commitments.coverage_pct', stats.percentage(found.covered, found.total), {'type': found.type})


def _use(found: Use) -> Iterator[Sample]:
    # Nothing is unused where nothing is committed.
    if not found.committed:
        return
    if found.used is not None:
        yield Sample('commitments.utilization_pct', stats.percentage(found.used, found.committed), {'type': found.type})
    yield Sample('commitments.unused_yesterday_usd', found.unused_usd, {'type': found.type})

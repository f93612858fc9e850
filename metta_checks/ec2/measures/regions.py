"""Figures of single regions. They do not depend on the other regions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping

from ...core.refresh import Sample
from ...core.tag_values import added_up, labels
from ..prices import PricedInstance, total
from ..records import Instance


def running(by_region: Mapping[str, Collection[Instance]]) -> Iterator[Sample]:
    """Yield the samples of block regions: the running instances of each region that could be read."""
    counts = _running(by_region)
    for region, number in added_up(counts, labels(counts)).items():
        yield Sample('region.instances_running', number, {'region': region})


def hourly(
    priced: Collection[PricedInstance], by_region: Mapping[str, Collection[Instance]], incomplete: Collection[str]
) -> Iterator[Sample]:
    """Yield the samples of block region_prices: the price of the running instances by region.

    The regions with a series of their own are those with the most instances. Regions in `incomplete` have none.
    """
    shown = labels(_running(by_region))
    prices: defaultdict[str, list[float | None]] = defaultdict(list)
    for one in priced:
        prices[shown[one.instance.region]].append(one.usd)
    left_out = {shown[region] for region in incomplete}
    for region in dict.fromkeys(shown.values()):
        if region not in left_out:
            yield Sample('region.hourly_usd', total(prices[region]), {'region': region})


def _running(by_region: Mapping[str, Collection[Instance]]) -> dict[str, float]:
    states = {region: Counter(instance.state for instance in some) for region, some in by_region.items()}
    return {region: counts['running'] for region, counts in states.items()}

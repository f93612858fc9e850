"""Reserved capacity, and interruptions of spot instances."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from ...core import stats
from ...core.refresh import Sample
from ...core.tag_values import added_up, labels
from ..capacity import Reservation


def reserved(reservations: Iterable[Reservation], seen: Iterable[str], *, max_types: int) -> Iterator[Sample]:
    """Yield the samples of block capacity. Instance types in `seen` are shown even at 0."""
    instances = dict.fromkeys(seen, 0.0)
    unused = dict(instances)
    for one in reservations:
        instances[one.instance_type] = instances.get(one.instance_type, 0) + one.instances
        unused[one.instance_type] = unused.get(one.instance_type, 0) + one.unused
    shown = labels(instances, max_types)
    for name, count in added_up(instances, shown).items():
        yield Sample('capacity.reserved_instances', count, {'instance_type': name})
    for name, count in added_up(unused, shown).items():
        yield Sample('capacity.unused_instances', count, {'instance_type': name})


def interrupted(types: Iterable[str], seen: Iterable[str], *, max_types: int) -> Iterator[Sample]:
    """Yield the samples of block spot from the types of the interrupted instances. Types in `seen` are shown at 0."""
    counts = dict.fromkeys(seen, 0) | Counter(types)
    for name, count in stats.top(counts, max_types).items():
        yield Sample('spot.interruptions_24h', count, {'instance_type': name})

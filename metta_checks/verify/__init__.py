"""Figures recomputed independently of the check, through the vendors' own SDKs.

Each module has `recompute(instance, now) -> Recomputed`, and `LEFT_OUT` when it leaves metrics out. A module with
`COMPARES_READINGS` takes the `reading` of an earlier result as a third argument, and then recomputes changes, too. A
module of a service that bills requests has `charges(instance)` and `free_of_charge(instance)`; a module that can
estimate its requests has `expected_requests(instance, totals)`, and `LIMITED_BY` where the service has several rate
limits. Nothing in this package imports a source's client, records or measures, and the check never imports this
package.
"""

from __future__ import annotations

import importlib
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..core.catalog import name_pattern
from ..core.tags import stored_tag


@dataclass(frozen=True, slots=True)
class Figure:
    """A value of a series.

    Attributes:
        name: full name of the metric
        tags: `key:value`, sorted, without those of the instance
        per_second: by how much at most a later look would find more, per second: 1 for an age in seconds of which the
            service or the reader determines the end
    """

    name: str
    value: float
    tags: tuple[str, ...] = ()
    per_second: float = 0.0


@dataclass(frozen=True, slots=True)
class NoSeries:
    """Says that a metric was recomputed, and that it has no series: nothing is there to count, or it is unknown."""

    name: str


@dataclass(frozen=True, slots=True)
class Recomputed:
    """Figures through the vendor's SDK, and the number of requests.

    Attributes:
        reading: what a later reading is compared with; None for a source without COMPARES_READINGS
        without_series: full names of the metrics that were recomputed and have no series
    """

    figures: tuple[Figure, ...]
    requests: int
    reading: Any = None
    without_series: frozenset[str] = frozenset()

    @classmethod
    def of(cls, found: Iterable[Figure | NoSeries], requests: int, reading: Any = None) -> Recomputed:
        """Return a result from what the parts of a recomputation yield."""
        found = tuple(found)
        figures = tuple(one for one in found if isinstance(one, Figure))
        return cls(figures, requests, reading, frozenset(one.name for one in found) - {one.name for one in figures})


@dataclass(frozen=True, slots=True)
class FigurePair:
    """A figure of the check and the recomputed one; None where one side has no such figure.

    Attributes:
        tolerance: by how much the figure can have grown between the two looks at the service
    """

    name: str
    tags: tuple[str, ...]
    ours: float | None
    theirs: float | None
    tolerance: float = 0.0

    @property
    def agrees(self) -> bool:
        """True if both are equal: whole numbers that do not grow exactly, others up to rounding and the tolerance."""
        if self.ours is None or self.theirs is None:
            return self.ours is self.theirs
        if not self.tolerance and float(self.ours).is_integer() and float(self.theirs).is_integer():
            return self.ours == self.theirs
        return math.isclose(self.ours, self.theirs, rel_tol=1e-4, abs_tol=max(1e-6, self.tolerance))


def recompute(
    source: str, instance: Mapping[str, Any], now: datetime, *, before: Recomputed | None = None
) -> Recomputed:
    """Return the recomputed figures of an instance, with those of changes since an earlier result if there is one.

    Raises ImportError when the extra `verify` is not installed.
    """
    module = importlib.import_module(f'.{source}', __name__)
    earlier = () if before is None else (before.reading,)
    recomputed: Recomputed = module.recompute(instance, now, *earlier)
    return recomputed


def compares_readings(source: str) -> bool:
    """Return True if two readings give more figures than one: those of changes and of waits.

    Raises ImportError when the extra `verify` is not installed.
    """
    return bool(getattr(importlib.import_module(f'.{source}', __name__), 'COMPARES_READINGS', False))


def left_out(source: str) -> Mapping[str, str]:
    """Return why metrics of a source are not recomputed, by their name without the source's prefix."""
    reasons: Mapping[str, str] = getattr(importlib.import_module(f'.{source}', __name__), 'LEFT_OUT', {})
    return reasons


def charges(source: str, instance: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what the service will bill for a comparison, one line per kind of request; empty when nothing."""
    module = importlib.import_module(f'.{source}', __name__)
    lines: tuple[str, ...] = module.charges(instance) if hasattr(module, 'charges') else ()
    return lines


def free_of_charge(source: str, instance: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the instance without the options whose requests the service bills."""
    module = importlib.import_module(f'.{source}', __name__)
    free: Mapping[str, Any] = module.free_of_charge(instance) if hasattr(module, 'free_of_charge') else instance
    return free


def expected_requests(source: str, instance: Mapping[str, Any], figures: Iterable[Figure]) -> int | None:
    """Return about how many requests `recompute` will send, from figures of the check; None where nobody knows."""
    module = importlib.import_module(f'.{source}', __name__)
    if not hasattr(module, 'expected_requests'):
        return None
    prefix = f'metta.{source}.'
    totals: defaultdict[str, float] = defaultdict(float)
    for figure in figures:
        totals[figure.name.removeprefix(prefix)] += figure.value
    requests: float = module.expected_requests(instance, totals)
    return math.ceil(requests)


def limited_by(source: str) -> str:
    """Return the resource whose rate limit the requests use up; empty for whichever has the fewest left."""
    resource: str = getattr(importlib.import_module(f'.{source}', __name__), 'LIMITED_BY', '')
    return resource


def of_other_metrics(source: str, names: Collection[str], figures: Iterable[Figure]) -> list[Figure]:
    """Return the figures of all metrics but these, named without the source's prefix, as in its catalog."""
    patterns = [name_pattern(f'metta.{source}.{name}') for name in names]
    return [one for one in figures if not any(pattern.fullmatch(one.name) for pattern in patterns)]


def compare(
    ours: Iterable[Figure], theirs: Iterable[Figure], *, without_series: Collection[str] = (), seconds: float = 0.0
) -> Iterator[FigurePair]:
    """Yield a pair per series: all recomputed figures, and those of the check under the same names without one.

    Args:
        ours: figures of the check
        theirs: recomputed figures
        without_series: names of metrics that were recomputed and have no series
        seconds: the longest time between the moments that two equal figures can describe
    """
    mine, other = _by_series(ours), _by_series(theirs)
    names = {name for name, _ in other}.union(without_series)
    for name, tags in sorted(other.keys() | {key for key in mine if key[0] in names}):
        own, recomputed = mine.get((name, tags)), other.get((name, tags))
        yield FigurePair(
            name,
            tags,
            own.value if own else None,
            recomputed.value if recomputed else None,
            recomputed.per_second * seconds if recomputed else 0.0,
        )


def _by_series(figures: Iterable[Figure]) -> dict[tuple[str, tuple[str, ...]], Figure]:
    """Return figures by name and tags, as Datadog stores these; values of one series are added up."""
    found: defaultdict[tuple[str, tuple[str, ...]], list[Figure]] = defaultdict(list)
    for figure in figures:
        found[figure.name, tuple(sorted(map(stored_tag, figure.tags)))].append(figure)
    return {
        (name, tags): Figure(
            name, math.fsum(one.value for one in same), tags, math.fsum(one.per_second for one in same)
        )
        for (name, tags), same in found.items()
    }

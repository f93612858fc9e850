"""Figures recomputed independently of the check, through the vendors' own SDKs.

Each module has `recompute(instance, now) -> Recomputed`, and `LEFT_OUT` when it leaves metrics out. A module with
`COMPARES_READINGS` takes the `reading` of an earlier result as a third argument, and then recomputes changes, too. A
module of a service that bills requests has `charges(instance)` and `free_of_charge(instance)`; a module that can
estimate its requests has `expected_requests(instance, totals)`, and `LIMITED_BY` where the service has several rate
limits. Nothing in this package imports a source's client, records or measures, and the check never imports this
package.
"""

from __future__ import annotations

import fnmatch
import importlib
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..core.tags import stored_tag


@dataclass(frozen=True, slots=True)
class Figure:
    """A recomputed value: full metric name, tags without the instance's own (`key:value`, sorted), value."""

    name: str
    value: float
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Recomputed:
    """Figures through the vendor's SDK, and the number of requests.

    Attributes:
        reading: what a later reading is compared with; None for a source without COMPARES_READINGS
    """

    figures: tuple[Figure, ...]
    requests: int
    reading: Any = None


@dataclass(frozen=True, slots=True)
class FigurePair:
    """A figure of the check and the recomputed one; None where one side has no such figure."""

    name: str
    tags: tuple[str, ...]
    ours: float | None
    theirs: float | None

    @property
    def agrees(self) -> bool:
        """True if both are equal: whole numbers exactly, others up to the moments at which the two were read."""
        if self.ours is None or self.theirs is None:
            return self.ours is self.theirs
        if float(self.ours).is_integer() and float(self.theirs).is_integer():
            return self.ours == self.theirs
        # An age of two hours, in half a second.
        return math.isclose(self.ours, self.theirs, rel_tol=1e-4, abs_tol=1e-6)


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
    patterns = [f'metta.{source}.{name}' for name in names]
    return [one for one in figures if not any(fnmatch.fnmatchcase(one.name, pattern) for pattern in patterns)]


def compare(ours: Iterable[Figure], theirs: Iterable[Figure]) -> Iterator[FigurePair]:
    """Yield a pair per series: all recomputed figures, and those of the check under the same names without one."""
    mine, other = _by_series(ours), _by_series(theirs)
    names = {name for name, _ in other}
    for name, tags in sorted(other.keys() | {key for key in mine if key[0] in names}):
        yield FigurePair(name, tags, mine.get((name, tags)), other.get((name, tags)))


def _by_series(figures: Iterable[Figure]) -> dict[tuple[str, tuple[str, ...]], float]:
    """Return figures by name and tags, as Datadog stores these; values of one series are added up."""
    values: defaultdict[tuple[str, tuple[str, ...]], list[float]] = defaultdict(list)
    for figure in figures:
        values[figure.name, tuple(sorted(map(stored_tag, figure.tags)))].append(figure.value)
    return {series: math.fsum(found) for series, found in values.items()}

"""The gauges of a run: the samples of the snapshot, and metrics about the collection itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from .points import Point
from .snapshot import Snapshot
from .timestamps import age


def samples(snapshot: Snapshot, now: float, keep_seconds: Callable[[str], float]) -> Iterator[Point]:
    """Yield the stored gauges that are not too old. `keep_seconds` returns how old those of a block may become."""
    for (_, name), block in snapshot.blocks.items():
        elapsed = age(block.refreshed_at, now)
        if elapsed is not None and elapsed <= keep_seconds(name):
            for metric, value, tags in block.gauges:
                yield Point(metric, 'gauge', value, tuple(tags))


def collection(
    snapshot: Snapshot, now: float, *, series: int, rate_limits: Mapping[str, tuple[float, float]]
) -> Iterator[Point]:
    """Yield the gauges `metta.collector.*` of an instance.

    `series` is the number of samples shown; `rate_limits` holds the remaining requests and the limit, by resource.
    """
    yield _point('series', series)
    yield _point('up', int(snapshot.status.is_up))
    yield _point('refresh.duration_seconds', snapshot.duration)
    ages: dict[str, float] = {}
    truncated: dict[str, bool] = {}
    for (_, name), block in snapshot.blocks.items():
        truncated[name] = truncated.get(name, False) or block.truncated
        elapsed = age(block.refreshed_at, now)
        if elapsed is not None:
            # Also of a block whose samples are too old to be shown: monitors need its age then.
            ages[name] = max(ages.get(name, 0.0), elapsed)
    for name, elapsed in ages.items():
        yield _point('data_age_seconds', elapsed, f'block:{name}')
    for name, is_truncated in truncated.items():
        yield _point('truncated', int(is_truncated), f'block:{name}')
    for resource, (remaining, limit) in rate_limits.items():
        yield _point('rate_limit.remaining', remaining, f'resource:{resource}')
        yield _point('rate_limit.limit', limit, f'resource:{resource}')


def _point(name: str, value: float, *tags: str) -> Point:
    return Point(f'metta.collector.{name}', 'gauge', value, tags)

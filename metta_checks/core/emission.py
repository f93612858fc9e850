"""The gauges of a run, as (full name, value, tags): the samples of the snapshot, and metrics about the collection."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from .snapshot import Gauge, Snapshot
from .times import age


def samples(snapshot: Snapshot, now: float, keep_seconds: Callable[[str], float]) -> Iterator[Gauge]:
    """Yield the stored gauges that are not too old. `keep_seconds` returns how old those of a block may become."""
    for (_, name), block in snapshot.blocks.items():
        elapsed = age(block.refreshed_at, now)
        if elapsed is not None and elapsed <= keep_seconds(name):
            yield from block.gauges


def collection(
    snapshot: Snapshot, now: float, *, series: int, rate_limits: Mapping[str, tuple[float, float]]
) -> Iterator[Gauge]:
    """Yield the gauges `metta.collector.*` of an instance.

    `series` is the number of samples shown; `rate_limits` holds the remaining requests and the limit, by resource.
    """
    yield _gauge('series', series)
    yield _gauge('up', int(snapshot.status.is_up))
    yield _gauge('refresh.duration_seconds', snapshot.duration)
    ages: dict[str, float] = {}
    truncated: dict[str, bool] = {}
    for (_, name), block in snapshot.blocks.items():
        truncated[name] = truncated.get(name, False) or block.truncated
        # Also of a block whose samples are too old to be shown, and, from its first attempt on, of one that has never
        # succeeded: monitors need its age then.
        elapsed = age(block.tried_at if block.refreshed_at is None else block.refreshed_at, now)
        if elapsed is not None:
            ages[name] = max(ages.get(name, 0.0), elapsed)
    if (waited := age(snapshot.not_begun_since, now)) is not None:
        ages['refresh'] = waited
    for name, elapsed in ages.items():
        yield _gauge('data_age_seconds', elapsed, f'block:{name}')
    for name, is_truncated in truncated.items():
        yield _gauge('truncated', int(is_truncated), f'block:{name}')
    for resource, (remaining, limit) in rate_limits.items():
        yield _gauge('rate_limit.remaining', remaining, f'resource:{resource}')
        yield _gauge('rate_limit.limit', limit, f'resource:{resource}')


def _gauge(name: str, value: float, *tags: str) -> Gauge:
    return f'metta.collector.{name}', value, list(tags)

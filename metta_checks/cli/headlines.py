"""The figures of each source that are shown first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from metta_checks.core.points import Point
from metta_checks.testing import SELF_METRICS

# Names without the prefix of the source, the most important ones first.
HEADLINES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        'asana': ('tasks.open', 'tasks.overdue', 'tasks.completed_7d', 'projects.active', 'projects.bugs.total_open'),
        'ec2': (
            'instances.running',
            'instances.idle',
            'cost.running_hourly_estimate',
            'cost.idle_hourly_usd',
            'cost.ebs_monthly_usd',
        ),
        'github': ('ci.tests_passing_on_main', 'prs.open', 'prs.merged_7d', 'prs.cycle_time_hours.p50'),
        'kubernetes': (
            'pods.running',
            'pods.pending_stuck',
            'pods.crash_looping',
            'gpu.free',
            'resources.cpu_efficiency_pct',
            'cost.waste_hourly_usd',
        ),
        'skypilot': ('jobs.running', 'jobs.queued', 'jobs.failed', 'resources.gpus.total_count', 'cost.hourly_usd'),
        'wandb': ('runs.active', 'runs.failed_7d', 'training.total_gpu_hours_7d'),
    }
)
# Metrics that are shown of a source without headlines.
FIRST = 5
# Series of a metric that are shown.
MAX_SERIES = 3


def headlines(source: str, points: Iterable[Point]) -> Iterator[tuple[str, list[Point], int]]:
    """Yield the headline metrics that have a value: full name, the first series, and the number of further ones.

    The largest values come first.
    """
    by_name: dict[str, list[Point]] = {}
    for point in points:
        if not point.name.startswith(SELF_METRICS):
            by_name.setdefault(point.name, []).append(point)
    known = [f'metta.{source}.{name}' for name in HEADLINES.get(source, ())]
    for name in known or sorted(by_name)[:FIRST]:
        if found := sorted(by_name.get(name, ()), key=lambda point: (-point.value, point.tags)):
            yield name, found[:MAX_SERIES], len(found[MAX_SERIES:])

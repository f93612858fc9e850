"""Clusters that people launched."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime

from ...core.refresh import Sample
from ..records import CLUSTER_STATUSES, Cluster

HOUR = 3600


def clusters(clusters: Sequence[Cluster], now: datetime, *, by_workspace: bool = False) -> Iterator[Sample]:
    """The figures of the list of clusters."""
    up = [cluster for cluster in clusters if cluster.is_up]
    yield Sample('clusters.active', len(up))
    yield Sample('clusters.no_autostop', sum(cluster.autostop is not None and cluster.autostop < 0 for cluster in up))
    ages = [max(0.0, now.timestamp() - cluster.launched_at) for cluster in up if cluster.launched_at is not None]
    yield Sample('clusters.age_hours.max', max(ages) / HOUR if ages else None)
    statuses = dict.fromkeys((*CLUSTER_STATUSES, *(cluster.status for cluster in clusters)))
    nodes: Counter[str] = Counter()
    counts: Counter[tuple[str, str]] = Counter()
    for cluster in clusters:
        nodes[cluster.status] += cluster.nodes
        counts[cluster.status, cluster.workspace if by_workspace else ''] += 1
    for status in statuses:
        yield Sample('clusters.nodes', nodes[status], {'status': status})
    for workspace in sorted({workspace for _, workspace in counts} if by_workspace else {''}):
        for status in statuses:
            tags = {'status': status, 'workspace': workspace} if by_workspace else {'status': status}
            yield Sample('clusters.count', counts[status, workspace], tags)


def gpus(clusters: Sequence[Cluster], *, by_workspace: bool = False) -> Iterator[Sample]:
    """GPUs of UP clusters, by type and market."""
    totals: dict[tuple[str, ...], float] = defaultdict(float)
    for cluster in clusters:
        for name, count in cluster.accelerators.items() if cluster.is_up else ():
            key = (name, cluster.market, *([cluster.workspace] if by_workspace else []))
            totals[key] += count * cluster.nodes
    for key, count in totals.items():
        tags = dict(zip(('gpu_type', 'market', 'workspace'), key, strict=False))
        yield Sample('gpus.in_use', count, {'kind': 'cluster', **tags})


def owners(clusters: Sequence[Cluster]) -> set[str]:
    """Who has an UP cluster."""
    return {cluster.owner for cluster in clusters if cluster.is_up and cluster.owner}

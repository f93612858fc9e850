"""Figures of the clusters that people launched."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime

from ...core.refresh import Sample
from ...core.times import hours_between
from ..records import CLUSTER_STATUSES, Cluster
from .tags import gpu_tags, status_tags, workspace_of


def clusters(clusters: Sequence[Cluster], now: datetime, *, by_workspace: bool = False) -> Iterator[Sample]:
    """Yield the figures of the list of clusters."""
    up = [cluster for cluster in clusters if cluster.is_up]
    yield Sample('clusters.active', len(up))
    yield Sample('clusters.no_autostop', sum(cluster.has_no_autostop for cluster in up))
    ages = [hours_between(cluster.launched_at, now) for cluster in up if cluster.launched_at is not None]
    yield Sample('clusters.age_hours.max', max(ages, default=None))
    statuses = tuple(dict.fromkeys((*CLUSTER_STATUSES, *(cluster.status for cluster in clusters))))
    yield from _nodes(clusters, statuses)
    yield from _counts(clusters, statuses, by_workspace=by_workspace)


def gpus(clusters: Sequence[Cluster], *, by_workspace: bool = False) -> Iterator[Sample]:
    """Yield the GPUs of UP clusters by type and market."""
    totals: dict[tuple[str, str, str], float] = defaultdict(float)
    for cluster in clusters:
        if cluster.is_up:
            workspace = workspace_of(cluster, by_workspace)
            for name, count in cluster.accelerators.items():
                totals[name, cluster.market, workspace] += count * cluster.nodes
    for key, count in totals.items():
        yield Sample('gpus.in_use', count, gpu_tags('cluster', *key))


def owners(clusters: Sequence[Cluster]) -> set[str]:
    """Return the owners of UP clusters."""
    return {cluster.owner for cluster in clusters if cluster.is_up and cluster.owner}


def _nodes(clusters: Sequence[Cluster], statuses: Sequence[str]) -> Iterator[Sample]:
    nodes: Counter[str] = Counter()
    for cluster in clusters:
        nodes[cluster.status] += cluster.nodes
    for status in statuses:
        yield Sample('clusters.nodes', nodes[status], {'status': status})


def _counts(clusters: Sequence[Cluster], statuses: Sequence[str], *, by_workspace: bool) -> Iterator[Sample]:
    counts = Counter((workspace_of(cluster, by_workspace), cluster.status) for cluster in clusters)
    # Without the tag, zeros are shown even when there are no clusters.
    workspaces = sorted({workspace for workspace, _ in counts}) if by_workspace else ['']
    for workspace in workspaces:
        for status in statuses:
            yield Sample('clusters.count', counts[workspace, status], status_tags(status, workspace))

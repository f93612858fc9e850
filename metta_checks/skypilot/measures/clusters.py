"""Figures of the clusters that people launched."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from math import fsum

from ...core.refresh import Sample
from ...core.times import hours_between
from ..cluster_records import CLUSTER_STATUSES, Cluster
from ..kinds import CLUSTER, CONTROLLER
from .tags import GpuKey, by_status, by_workspace_and_status, gpus_in_use, workspace_of


def clusters(clusters: Sequence[Cluster], now: datetime, *, by_workspace: bool = False) -> Iterator[Sample]:
    """Yield the figures of the list of clusters."""
    launched = [cluster for cluster in clusters if not cluster.is_controller]
    up = [cluster for cluster in launched if cluster.is_up]
    yield Sample('clusters.active', len(up))
    yield Sample('clusters.no_autostop', sum(cluster.has_no_autostop for cluster in up))
    ages = [hours_between(cluster.launched_at, now) for cluster in up if cluster.launched_at is not None]
    yield Sample('clusters.age_hours.max', max(ages, default=None))
    yield from by_status('clusters.nodes', _nodes(launched), CLUSTER_STATUSES)
    yield from by_workspace_and_status('clusters.count', launched, CLUSTER_STATUSES, by_workspace=by_workspace)


def gpus(clusters: Sequence[Cluster], *, by_workspace: bool = False) -> Iterator[Sample]:
    """Yield the GPUs of UP clusters by type, kind and market."""
    totals: dict[GpuKey, float] = defaultdict(float)
    for cluster in clusters:
        if cluster.is_up:
            kind = CONTROLLER if cluster.is_controller else CLUSTER
            workspace = workspace_of(cluster, by_workspace)
            for name, count in cluster.gpus.items():
                totals[(name, workspace), kind, cluster.market] += count
    yield from gpus_in_use(totals, by_workspace=by_workspace)


def of_people(clusters: Sequence[Cluster]) -> list[Cluster]:
    """Return the UP clusters that people launched."""
    return [cluster for cluster in clusters if cluster.is_up and not cluster.is_controller]


def idle(found: Sequence[tuple[Cluster, bool | None]], rates: Mapping[str, float | None] | None) -> Iterator[Sample]:
    """Yield the idle clusters, their GPUs and their cost.

    Parameters:
        found: clusters, and whether each is idle; None where that is unknown
        rates: USD per hour by the hash of the cluster; None when the costs were not read
    """
    idle_ones = [cluster for cluster, is_idle in found if is_idle]
    yield Sample('clusters.idle', len(idle_ones))
    yield Sample('clusters.idle_unknown', sum(is_idle is None for _, is_idle in found))
    yield Sample('clusters.idle_gpus', fsum(fsum(cluster.gpus.values()) for cluster in idle_ones))
    if rates is not None:
        known = [rate for cluster in idle_ones if (rate := rates.get(cluster.hash)) is not None]
        yield Sample('cost.idle_clusters_hourly_usd', fsum(known) if known or not idle_ones else None)


def owners(clusters: Sequence[Cluster]) -> set[str]:
    """Return the owners of UP clusters that people launched."""
    return {cluster.owner for cluster in of_people(clusters) if cluster.owner}


def _nodes(clusters: Sequence[Cluster]) -> Mapping[str, int]:
    nodes: Counter[str] = Counter()
    for cluster in clusters:
        nodes[cluster.status] += cluster.nodes
    return nodes

"""Figures of clusters that people launched, and of GPUs in use."""

from __future__ import annotations

from collections.abc import Iterator

from .. import Figure, NoSeries
from .machines import CONTROLLERS, cluster_gpus, gpus, market, row_market
from .queue import HOUR, one_row_per_worker
from .reading import Reading, Row, breakdown, figure, figure_of

STATUSES = frozenset({'UP', 'INIT', 'STOPPED', 'AUTOSTOPPING'})


def of_people(clusters: list[Row]) -> list[Row]:
    """Return the clusters of /status without SkyPilot's controllers."""
    return [cluster for cluster in clusters if not cluster['name'].startswith(CONTROLLERS)]


def cluster_figures(reading: Reading) -> Iterator[Figure | NoSeries]:
    """Yield the figures of clusters by status."""
    clusters = of_people(reading.clusters)
    by_workspace = bool(reading.instance.get('by_workspace'))
    counted = [(cluster['status'], cluster.get('workspace') if by_workspace else None) for cluster in clusters]
    for workspace in {place for _, place in counted} if by_workspace else {None}:
        tags = {'workspace': str(workspace)} if by_workspace else {}
        for status in {*STATUSES, *(status for status, _ in counted)}:
            yield figure('clusters.count', counted.count((status, workspace)), status=status, **tags)
    for status in {*STATUSES, *(status for status, _ in counted)}:
        nodes = sum(cluster['nodes'] for cluster in clusters if cluster['status'] == status)
        yield figure('clusters.nodes', nodes, status=status)
    up = [cluster for cluster in clusters if cluster['status'] == 'UP']
    yield figure('clusters.active', len(up))
    yield figure('clusters.no_autostop', len([cluster for cluster in up if cluster['autostop'] < 0]))
    ages = [(reading.now.timestamp() - cluster['launched_at']) / HOUR for cluster in up]
    yield figure_of('clusters.age_hours.max', max(ages, default=None), per_second=1 / HOUR)


def gpus_in_use(rows: list[Row], reading: Reading) -> Iterator[Figure | NoSeries]:
    """Yield GPUs in use by kind, type and market, with the option by workspace, too."""
    held = [
        (('worker' if row.get('current_cluster_name') else 'job', name, row_market(row), row.get('workspace')), count)
        for row in one_row_per_worker([row for row in rows if row['status'] not in ('STARTING', 'RECOVERING')])
        for name, count in gpus(row).items()
    ]
    for cluster in reading.clusters:
        if cluster['status'] == 'UP':
            kind = 'controller' if cluster['name'].startswith(CONTROLLERS) else 'cluster'
            for name, count in cluster_gpus(cluster, 'nodes').items():
                held.append(((kind, name, market(cluster['resources_str']), cluster.get('workspace')), count))
    tags = ('kind', 'gpu_type', 'market', 'workspace')[: 4 if reading.instance.get('by_workspace') else 3]
    yield from breakdown('gpus.in_use', tags, [(tuple(map(str, key[: len(tags)])), count) for key, count in held])

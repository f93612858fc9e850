"""The tags that figures of jobs and of clusters have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

from ...core.refresh import Sample
from ...core.tag_values import (
    MAX_GPU_TYPES,
    MAX_UNKNOWN,
    MAX_VALUES,
    added_up,
    combination_labels,
    filled,
    labels,
)
from ..records import Cluster, Job

# GPU type and workspace, and the market.
GpuKey = tuple[tuple[str, str], str]


def workspace_of(owned: Job | Cluster, by_workspace: bool) -> str:
    """Return the workspace of a job or cluster; empty without option `by_workspace`."""
    # Datadog lowers tag values: names that differ only in case are one workspace.
    return owned.workspace.lower() if by_workspace else ''


def by_status(name: str, counts: Mapping[str, float], known: Collection[str]) -> Iterator[Sample]:
    """Yield a number by status; `known` statuses are shown even at 0."""
    for status, number in filled(counts, known).items():
        yield Sample(name, number, {'status': status})


def by_workspace_and_status(
    name: str, owned: Sequence[Job] | Sequence[Cluster], known: Collection[str], *, by_workspace: bool
) -> Iterator[Sample]:
    """Yield the number of jobs or clusters by status and, with option `by_workspace`, by workspace."""
    counts = Counter((workspace_of(one, by_workspace), one.status) for one in owned)
    workspaces = labels(Counter(workspace_of(one, by_workspace) for one in owned))
    statuses = labels(Counter(one.status for one in owned), MAX_UNKNOWN, known=known)
    shown = added_up(counts, {key: (workspaces[key[0]], statuses[key[1]]) for key in counts})
    # Without the tag, zeros are shown even when there is nothing to count.
    for workspace in sorted(set(workspaces.values())) if by_workspace else ['']:
        for status in dict.fromkeys((*known, *statuses.values())):
            yield Sample(name, shown.get((workspace, status), 0), {'status': status, **_workspace(workspace)})


def gpus_in_use(kind: str, totals: Mapping[GpuKey, float], *, by_workspace: bool) -> Iterator[Sample]:
    """Yield the GPUs of jobs or clusters (`kind`) by GPU type, market and, with option `by_workspace`, workspace."""
    limit = MAX_GPU_TYPES + MAX_VALUES if by_workspace else MAX_GPU_TYPES
    shown = combination_labels(added_up(totals, {key: key[0] for key in totals}), limit)
    by_tags = added_up(totals, {(pair, market): (shown[pair], market) for pair, market in totals})
    for ((gpu_type, workspace), market), count in by_tags.items():
        tags = {'kind': kind, 'gpu_type': gpu_type, 'market': market, **_workspace(workspace)}
        yield Sample('gpus.in_use', count, tags)


def _workspace(workspace: str) -> dict[str, str]:
    return {'workspace': workspace} if workspace else {}

"""The tags that figures of jobs and of clusters have in common."""

from __future__ import annotations

from collections import Counter, defaultdict
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
from ..cluster_records import Cluster
from ..records import Job

# GPU type and workspace, the kind of owner, and the market.
GpuKey = tuple[tuple[str, str], str, str]


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


def gpus_in_use(totals: Mapping[GpuKey, float], *, by_workspace: bool) -> Iterator[Sample]:
    """Yield the GPUs in use by GPU type, kind, market and, with option `by_workspace`, workspace."""
    limit = MAX_GPU_TYPES + MAX_VALUES if by_workspace else MAX_GPU_TYPES
    shown = combination_labels(added_up(totals, {key: key[0] for key in totals}), limit)
    for ((gpu_type, workspace), kind, market), count in added_up(
        totals, {key: (shown[key[0]], *key[1:]) for key in totals}
    ).items():
        tags = {'kind': kind, 'gpu_type': gpu_type, 'market': market, **_workspace(workspace)}
        yield Sample('gpus.in_use', count, tags)


def by_user(name: str, totals: Mapping[str, float], names: Mapping[str, str]) -> Iterator[Sample]:
    """Yield a number by user: those with the most, and the sum of all others.

    Parameters:
        name: of the metric
        totals: the number by the hash of the user
        names: the name for display by the hash. Two users of one name are shown with their hashes
    """
    users_of_name = Counter(names[user].lower() for user in totals)
    shown = labels(totals)
    by_label: dict[str, float] = defaultdict(float)
    for user, number in totals.items():
        name_shown = names[user].lower()
        unique = name_shown if users_of_name[name_shown] == 1 else f'{name_shown} ({user})'
        by_label[unique if shown[user] == user else shown[user]] += number
    for user, number in by_label.items():
        yield Sample(name, number, {'user': user})


def _workspace(workspace: str) -> dict[str, str]:
    return {'workspace': workspace} if workspace else {}

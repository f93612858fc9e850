"""The tags that figures of jobs and of clusters have in common."""

from __future__ import annotations

from ..records import Cluster, Job


def workspace_of(owned: Job | Cluster, by_workspace: bool) -> str:
    """Return the workspace of a job or cluster; empty without option `by_workspace`."""
    return owned.workspace if by_workspace else ''


def status_tags(status: str, workspace: str) -> dict[str, str]:
    """Return the tags of a number of jobs or clusters."""
    return {'status': status, **_workspace(workspace)}


def gpu_tags(kind: str, gpu_type: str, market: str, workspace: str) -> dict[str, str]:
    """Return the tags of a number of GPUs. `kind` is `job` or `cluster`."""
    return {'kind': kind, 'gpu_type': gpu_type, 'market': market, **_workspace(workspace)}


def _workspace(workspace: str) -> dict[str, str]:
    return {'workspace': workspace} if workspace else {}

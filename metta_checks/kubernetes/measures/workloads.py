"""Figures by workload: a Deployment, StatefulSet, DaemonSet, Job, RayCluster, Rollout or any other controller."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ...core.refresh import Sample
from ...core.tag_values import OTHER, added_up, combination_labels
from ..records import Pod

# Namespace, kind and name.
Key = tuple[str, str, str]
# Pods without a controller, and everything that is not shown by itself.
NONE: Key = (OTHER, OTHER, OTHER)


def key(pod: Pod) -> Key:
    """Return the key of the workload of a pod."""
    return (pod.namespace, pod.owner.kind, pod.owner.name) if all(pod.owner) else NONE


def largest(name: str, values: Mapping[Key, float], limit: int) -> Iterator[Sample]:
    """Yield a figure of the workloads with the highest values, and the sum over all others."""
    named = {workload: value for workload, value in values.items() if workload != NONE}
    shown = {NONE: NONE, **combination_labels(named, limit)}
    for (namespace, kind, owner), value in added_up(values, shown).items():
        yield Sample(name, value, {'kube_namespace': namespace, 'owner_kind': kind, 'owner_name': owner})

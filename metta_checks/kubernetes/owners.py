"""The workload that a pod belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

REPLICA_SET = 'ReplicaSet'
# The label with the hash of the pod template, by the kind of workload whose controller sets it. The name of a
# ReplicaSet alone does not tell: one without a Deployment may contain a hyphen, too.
HASH_LABELS = (('pod-template-hash', 'Deployment'), ('rollouts-pod-template-hash', 'Rollout'))


class Owner(NamedTuple):
    """The controller of a pod, or the workload behind its ReplicaSet. Both are empty for a pod without a controller."""

    kind: str = ''
    name: str = ''

    @classmethod
    def parse(cls, metadata: Mapping[str, Any]) -> Owner:
        """Return the owner in the metadata of a pod."""
        for reference in metadata.get('ownerReferences') or ():
            if reference.get('controller'):
                kind, name = reference.get('kind') or '', reference.get('name') or ''
                return _behind(name, metadata.get('labels') or {}) if kind == REPLICA_SET else cls(kind, name)
        return cls()


def _behind(replica_set: str, labels: Mapping[str, Any]) -> Owner:
    """Return the workload behind a ReplicaSet: its name is that of the workload and the hash of the pod template."""
    for label, kind in HASH_LABELS:
        suffix = f'-{labels.get(label)}'
        if labels.get(label) and replica_set.endswith(suffix) and replica_set != suffix:
            return Owner(kind, replica_set.removesuffix(suffix))
    return Owner(REPLICA_SET, replica_set)

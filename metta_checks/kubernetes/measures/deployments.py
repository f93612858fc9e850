"""Figures of the block `deployments`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ...core.refresh import Sample
from ..records import Deployment


def deployments(deployments: Iterable[Deployment]) -> Iterator[Sample]:
    """Yield the figures of the list of deployments."""
    yield Sample('deployments.zero_replicas', sum(deployment.replicas == 0 for deployment in deployments))

"""Options of the Kubernetes service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..options import ServiceOptions

MetricsServer = Literal['ok', 'absent', 'not_ready']


@dataclass(frozen=True)
class KubernetesOptions(ServiceOptions):
    """Options of the Kubernetes service.

    Attributes:
        pods: number of pods; None: in proportion to `scale`
        metrics_server: `ok`, `absent` (404) or `not_ready` (503)
        claims: a node offers GPUs through dynamic resource allocation, and pods claim them
    """

    pods: int | None = None
    metrics_server: MetricsServer = 'ok'
    claims: bool = False

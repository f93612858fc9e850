"""Kubernetes' figures through the official typed client: whole lists, model objects, exact decimal quantities.

It needs ten to twenty times the CPU and memory of the check, and warns above 2,000 pods. A crash loop that only shows
between two refreshes is not recomputed, since there is no earlier refresh to compare with.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from .. import Figure, NoSeries, Recomputed
from ..coverage import CHANGES
from . import gpu_usage, gpus, health, nodes, usage
from .reading import Cluster, Reading

# Why a metric is not recomputed, by its name without the prefix.
LEFT_OUT: Mapping[str, str] = {'containers.restarts': CHANGES, 'containers.oom_kills': CHANGES}


def recompute(instance: Mapping[str, Any], now: datetime) -> Recomputed:
    """Return the gauges of an instance.

    Raises kubernetes.client.ApiException or requests.RequestException when the API or Prometheus refuses.
    """
    cluster = Cluster(instance)
    reading = Reading(instance, cluster, now)
    figures: list[Figure | NoSeries] = list(health.figures(reading))
    if instance.get('collect_usage', True):
        figures += usage.figures(reading)
    if instance.get('collect_nodes', True):
        figures += [*nodes.figures(reading), *gpus.figures(reading)]
        if instance.get('gpu_usage'):
            figures += gpu_usage.figures(reading)
    return Recomputed.of(figures, cluster.requests)


def expected_requests(instance: Mapping[str, Any], _: Mapping[str, float]) -> float:
    """Return how many lists a comparison reads, each by one request."""
    with_usage, with_nodes = instance.get('collect_usage', True), instance.get('collect_nodes', True)
    named = len((instance.get('namespaces') or {}).get('include') or ()) or 1
    # The pods are counted first.
    requests = 1 + named * (3 if with_usage else 2)
    if with_nodes:
        requests += 1 + (1 + named if instance.get('resource_claims') else 0) + (1 if instance.get('gpu_usage') else 0)
    return requests

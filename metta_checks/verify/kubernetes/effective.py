"""The requests of pods as the scheduler counts them.

https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#resource-sharing-within-containers,
https://kubernetes.io/docs/tasks/configure-pod-container/assign-pod-level-resources/ and
https://kubernetes.io/docs/tasks/configure-pod-container/resize-container-resources/
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from kubernetes import client

from .reading import Pod, Usage, amount, has_condition


def effective(pod: Pod, resource: str) -> Decimal:
    """Return the quantity that the scheduler counts for a pod."""
    sidecars = peak = Decimal(0)
    for container in pod.spec.init_containers or ():
        request = held(pod, container, resource) if is_sidecar(container) else requested(container, resource)
        peak = max(peak, sidecars + request)
        if is_sidecar(container):
            sidecars += request
    need = max(peak, sidecars + sum((held(pod, one, resource) for one in pod.spec.containers), Decimal(0)))
    if resource in pod_level(pod):
        need = of_pod(pod, resource)
    return need + amount(pod.spec.overhead or {}, resource)


def is_sidecar(container: client.V1Container) -> bool:
    """Return whether an init container runs as long as the pod. Old clients do not have the field."""
    return getattr(container, 'restart_policy', None) == 'Always'


def apps_and_sidecars(pod: Pod) -> list[client.V1Container]:
    """Return the containers that run as long as the pod: all but the init containers that run to completion."""
    return [*(one for one in pod.spec.init_containers or () if is_sidecar(one)), *pod.spec.containers]


def is_measured(pod: Pod, usage: Usage) -> bool:
    """Return whether there is usage of all containers that run, out of those that run as long as the pod."""
    stopped = {entry.name for entry in statuses(pod) if entry.state and (entry.state.waiting or entry.state.terminated)}
    return all(container.name in usage for container in apps_and_sidecars(pod) if container.name not in stopped)


def statuses(pod: Pod) -> list[client.V1ContainerStatus]:
    """Return the statuses of regular and init containers, without those of ephemeral ones."""
    kinds = (pod.status.container_statuses, pod.status.init_container_statuses)
    return [entry for kind in kinds for entry in kind or ()]


def requested(container: client.V1Container, resource: str) -> Decimal:
    """Return the request of a container, 0 for none."""
    return amount((container.resources and container.resources.requests) or {}, resource)


def pod_level(pod: Pod) -> Mapping[str, str]:
    """Return the requests of the pod as a whole. Old clients do not have the field."""
    resources = getattr(pod.spec, 'resources', None)
    return (resources and resources.requests) or {}


def held(pod: Pod, container: client.V1Container, resource: str) -> Decimal:
    """Return the request of a container, or what its node has given to it if that is more."""
    entries = [entry for entry in statuses(pod) if entry.name == container.name]
    has = [entry.allocated_resources or {} for entry in entries]
    has += [(entry.resources and entry.resources.requests) or {} for entry in entries]
    return _largest(pod, requested(container, resource), [amount(one, resource) for one in has if resource in one])


def of_pod(pod: Pod, resource: str) -> Decimal:
    """Return the request of the pod as a whole, or what its node has given to it if that is more."""
    actual = getattr(pod.status, 'resources', None)
    has = (getattr(pod.status, 'allocated_resources', None) or {}, (actual and actual.requests) or {})
    return _largest(pod, amount(pod_level(pod), resource), [amount(one, resource) for one in has if resource in one])


def _largest(pod: Pod, wish: Decimal, has: list[Decimal]) -> Decimal:
    """Return the largest of the request and what the node has given, without a request that it can never give."""
    infeasible = getattr(pod.status, 'resize', None) == 'Infeasible' or has_condition(
        pod.status.conditions, 'PodResizePending', 'True', 'Infeasible'
    )
    return max(has) if infeasible and has else max([wish, *has])

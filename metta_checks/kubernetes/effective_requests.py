"""Requests of pods as the scheduler counts them.

The effective request of a pod is the larger of two: the sum over the containers that run as long as the pod (regular
containers and native sidecars), and the peak while the init containers run, in their order, each beside the sidecars
that started before it. A request of the pod as a whole replaces this per resource. The overhead of the runtime class
is added. A container or pod that is resized in place counts with the largest of what its specification asks for, what
its node has allocated and what it has. See Kubernetes' documentation of sidecar containers, of pod-level resources and
of in-place resize.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .quantity import BadQuantity, parse_quantity

# Takes the reason and the message of something that cannot be used.
Problem = Callable[[str, str], None]
# Number of cores, bytes or devices by resource name. A resource that is not requested is missing.
Amounts = dict[str, float]

CPU = 'cpu'
MEMORY = 'memory'
BAD_QUANTITY = 'bad_quantity'
MAX_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Container:
    """A container that runs as long as its pod: a regular container or a native sidecar.

    Attributes:
        requested: by resource name; a resource that is not requested is missing
    """

    name: str
    requested: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class PodRequests:
    """The requests of a pod.

    Attributes:
        containers: the containers that run as long as the pod
        effective: the effective request of the pod by resource name
        pod_level: the requests of the pod as a whole, by resource name
    """

    containers: tuple[Container, ...]
    effective: Mapping[str, float]
    pod_level: Mapping[str, float]

    @classmethod
    def parse(cls, item: Mapping[str, Any], problem: Problem) -> PodRequests:
        """Return the requests of a pod of a list. A container with a quantity that cannot be read is left out."""
        spec, status = item['spec'], item['status']
        reader = _Reader(item, problem)
        sidecars, peak = _init_containers(spec, status, reader)
        regular = reader.running(spec['containers'], status.get('containerStatuses'))
        containers = (*sidecars, *regular)
        effective: Amounts = {}
        for container in containers:
            _add(effective, container.requested)
        _raise(effective, peak)
        pod_level = reader.whole(spec.get('resources'), status)
        effective.update(pod_level)
        _add(effective, reader.quantities(spec.get('overhead'), 'the runtime overhead') or {})
        return cls(containers, effective, pod_level)


def is_counted(resource: str) -> bool:
    """Return True for CPU, memory and extended resources, which have a domain, such as `nvidia.com/gpu`."""
    return resource in (CPU, MEMORY) or '/' in resource


def shown(error: BadQuantity) -> str:
    """Return a quantity that cannot be read, for messages."""
    text = repr(error.args[0])
    return text if len(text) <= MAX_SHOWN else f'{text[: MAX_SHOWN - 3]}...'


class _Reader:
    """Reads the requests of one pod's containers.

    Parameters:
        item: the pod
        problem: takes what cannot be read
    """

    def __init__(self, item: Mapping[str, Any], problem: Problem) -> None:
        self._metadata = item['metadata']
        self._problem = problem
        self._resize_is_infeasible = any(map(_is_infeasible_resize, item['status'].get('conditions') or ()))

    def quantities(self, values: Mapping[str, Any] | None, whose: str) -> Amounts | None:
        """Return the counted resources; None, after reporting it, when a quantity cannot be read."""
        if not values:
            return {}
        try:
            return {name: parse_quantity(value) for name, value in values.items() if is_counted(name)}
        except BadQuantity as error:
            pod = f'pod {self._metadata["namespace"]}/{self._metadata["name"]}'
            self._problem(
                BAD_QUANTITY, f'{pod}: the request {shown(error)} of {whose} is not a quantity; it is left out'
            )
            return None

    def specified(self, item: Mapping[str, Any]) -> Amounts | None:
        """Return the requests in the specification of a container."""
        return self._requests(item.get('resources'), f'container {item["name"]}')

    def running(
        self, items: Iterable[Mapping[str, Any]], statuses: Iterable[Mapping[str, Any]] | None
    ) -> Iterator[Container]:
        """Yield containers that run as long as their pod."""
        by_name = {entry['name']: entry for entry in statuses or ()}
        for item in items:
            name = item['name']
            requests = self._held(item.get('resources'), by_name.get(name), f'container {name}')
            if requests is not None:
                yield Container(name, requests)

    def whole(self, resources: Mapping[str, Any] | None, status: Mapping[str, Any]) -> Amounts:
        """Return the requests of the pod as a whole. The API server has applied the defaults to them."""
        if not resources or not resources.get('requests'):
            return {}
        return self._held(resources, status, 'the pod as a whole') or {}

    def _requests(self, resources: Mapping[str, Any] | None, whose: str) -> Amounts | None:
        return self.quantities(resources.get('requests'), whose) if resources else {}

    def _held(
        self, resources: Mapping[str, Any] | None, status: Mapping[str, Any] | None, whose: str
    ) -> Amounts | None:
        """Return the most that a container or pod holds, or is about to hold, while it is resized in place."""
        requests = self._requests(resources, whose)
        if requests is None or status is None:
            return requests
        allocated, actual = status.get('allocatedResources'), status.get('resources')
        if not allocated and not actual:
            return requests
        held, had = self.quantities(allocated, whose), self._requests(actual, whose)
        if held is None or had is None:
            return None
        _raise(held, had)
        # The node keeps what it gave when it can never give what the specification asks for.
        if self._resize_is_infeasible:
            return {**requests, **held}
        _raise(held, requests)
        return held


def _init_containers(
    spec: Mapping[str, Any], status: Mapping[str, Any], reader: _Reader
) -> tuple[list[Container], Amounts]:
    """Return the native sidecars, and the highest request at any time while the init containers run."""
    sidecars: list[Container] = []
    total: Amounts = {}
    peak: Amounts = {}
    for item in spec.get('initContainers') or ():
        if item.get('restartPolicy') == 'Always':
            for sidecar in reader.running([item], status.get('initContainerStatuses')):
                sidecars.append(sidecar)
                _add(total, sidecar.requested)
                _raise(peak, total)
        else:
            _raise(peak, _sum(total, reader.specified(item) or {}))
    return sidecars, peak


def _is_infeasible_resize(condition: Mapping[str, Any]) -> bool:
    return condition['type'] == 'PodResizePending' and condition.get('reason') == 'Infeasible'


def _sum(first: Mapping[str, float], second: Mapping[str, float]) -> Amounts:
    total = dict(first)
    _add(total, second)
    return total


def _add(total: Amounts, more: Mapping[str, float]) -> None:
    for name, value in more.items():
        total[name] = total.get(name, 0.0) + value


def _raise(total: Amounts, minimum: Mapping[str, float]) -> None:
    for name, value in minimum.items():
        if value > total.get(name, -1.0):
            total[name] = value

"""Kubernetes' figures through the official typed client: whole lists, model objects, exact decimal quantities.

It needs ten to twenty times the CPU and memory of the check, and warns above 2,000 pods. A crash loop that only shows
between two refreshes is not recomputed, since there is no earlier refresh to compare with.
"""

from __future__ import annotations

import os
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from kubernetes import client, config
from kubernetes.utils.quantity import parse_quantity

from . import Figure, Recomputed

PREFIX = 'metta.kubernetes.'
MANY_PODS = 2_000
MILLI = Decimal('0.001')
MIB = Decimal(2**20)
UNITS = {'cpu': ('cores', Decimal(1)), 'memory': ('gb', Decimal(2**30))}
THRESHOLDS = {
    'overallocated_ratio': 0.2,
    'overallocated_min_age_minutes': 15,
    'high_restarts': 5,
    'idle_cpu_millicores': 1,
    'idle_memory_mib': 10,
    'low_cpu_millicores': 10,
    'low_memory_mib': 50,
    'pending_stuck_minutes': 5,
    'not_ready_minutes': 15,
}
# Waiting reasons of containers that cannot be started.
START_ERRORS = {
    'CreateContainerConfigError',
    'CreateContainerError',
    'PostStartHookError',
    'PreCreateHookError',
    'PreStartHookError',
    'RunContainerError',
}
# The kubelet forgets the crashes of a container that has run for this long.
STABLE = timedelta(minutes=10)
PULL_ERRORS = (
    'ImagePullBackOff',
    'ErrImagePull',
    'InvalidImageName',
    'ErrImageNeverPull',
    'ImageInspectError',
    'RegistryUnavailable',
    'SignatureValidationFailed',
)
Usage = dict[str, dict[str, Decimal]]
T = TypeVar('T')


def recompute(instance: Mapping[str, Any], now: datetime) -> Recomputed:
    """Return the gauges of an instance. Raises kubernetes.client.ApiException when the API refuses."""
    cluster = _Cluster(instance)
    figures = _Figures(instance, cluster, now)
    return Recomputed(tuple(figures.all()), cluster.number)


def _configuration(instance: Mapping[str, Any]) -> client.Configuration:
    found = client.Configuration()
    if url := instance.get('api_server_url'):
        found.host = url.rstrip('/')
        if token := instance.get('token'):
            found.api_key['authorization'] = f'Bearer {token}'
        found.ssl_ca_cert = instance.get('tls_ca_cert')
        found.verify_ssl = instance.get('tls_verify', True)
        found.cert_file, found.key_file = instance.get('tls_cert'), instance.get('tls_private_key')
    elif instance.get('kubeconfig') or instance.get('context') or 'KUBERNETES_SERVICE_HOST' not in os.environ:
        config.load_kube_config(
            instance.get('kubeconfig'), instance.get('context'), client_configuration=found, persist_config=False
        )
    else:
        config.load_incluster_config(client_configuration=found)
    return found


def _given(value: T | None) -> T:
    """Return a field that the API always sends, although the client's models declare it as optional."""
    if value is None:
        raise ValueError('the Kubernetes API left out a field that every object has')
    return value


@dataclass(frozen=True, slots=True)
class _Pod:
    """A pod as the API lists it."""

    namespace: str
    name: str
    created: datetime
    is_live: bool
    is_deleting: bool
    is_gated: bool
    # Deployment of the pod's replica set; empty for every other pod.
    deployment: str
    spec: client.V1PodSpec
    status: client.V1PodStatus

    @classmethod
    def parse(cls, pod: client.V1Pod) -> _Pod:
        metadata, status = _given(pod.metadata), _given(pod.status)
        return cls(
            namespace=_given(metadata.namespace),
            name=_given(metadata.name),
            created=_given(metadata.creation_timestamp),
            is_live=status.phase == 'Running' and metadata.deletion_timestamp is None,
            is_deleting=metadata.deletion_timestamp is not None,
            is_gated=bool(_given(pod.spec).scheduling_gates) and not _given(pod.spec).node_name,
            deployment=_deployment(metadata),
            spec=_given(pod.spec),
            status=status,
        )


class _Cluster:
    """All lists, each read once."""

    def __init__(self, instance: Mapping[str, Any]) -> None:
        selection = instance.get('namespaces') or {}
        self._include = tuple(selection.get('include') or ())
        self._exclude = tuple(selection.get('exclude') or ())
        self.number = 0
        with client.ApiClient(_configuration(instance)) as api:
            core, apps, custom = client.CoreV1Api(api), client.AppsV1Api(api), client.CustomObjectsApi(api)
            self._warn_of_many(core)
            listed = self._items(core.list_pod_for_all_namespaces, core.list_namespaced_pod)
            self.pods = [pod for pod in map(_Pod.parse, listed) if pod.status.phase != 'Succeeded']
            self.deployments: list[client.V1Deployment] = self._items(
                apps.list_deployment_for_all_namespaces, apps.list_namespaced_deployment
            )
            self.nodes: list[client.V1Node] = (
                self._call(core.list_node).items if instance.get('collect_nodes', True) else []
            )
            self.usage = self._usage(custom) if instance.get('collect_usage', True) else {}

    def sees(self, namespace: str) -> bool:
        included = not self._include or any(fnmatchcase(namespace, pattern) for pattern in self._include)
        return included and not any(fnmatchcase(namespace, pattern) for pattern in self._exclude)

    @property
    def _named(self) -> tuple[str, ...]:
        """Return the namespaces that can be listed by name, which needs fewer permissions."""
        plain = all(not set(name) & set('*?[') for name in self._include)
        return tuple(dict.fromkeys(self._include)) if plain and len(self._include) <= 10 else ()

    def _call(self, method: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        self.number += 1
        return method(*arguments, **options)

    def _items(self, everywhere: Callable[..., Any], in_one: Callable[..., Any]) -> list[Any]:
        lists = [self._call(in_one, name) for name in self._named] if self._named else [self._call(everywhere)]
        return [item for found in lists for item in found.items if self.sees(item.metadata.namespace)]

    def _warn_of_many(self, core: client.CoreV1Api) -> None:
        if self._named:
            return
        first = self._call(core.list_pod_for_all_namespaces, limit=1)
        number = len(first.items) + (first.metadata.remaining_item_count or 0)
        if number > MANY_PODS:
            warnings.warn(
                f'{number} pods: this takes 10 to 20 times the CPU and memory of the check (0.2 GB per 1,000 pods)',
                stacklevel=4,
            )

    def _usage(self, custom: client.CustomObjectsApi) -> dict[tuple[str, str], Usage]:
        which = ('metrics.k8s.io', 'v1beta1')
        if self._named:
            lists = [self._call(custom.list_namespaced_custom_object, *which, name, 'pods') for name in self._named]
        else:
            lists = [self._call(custom.list_cluster_custom_object, *which, 'pods')]
        return {
            (item['metadata']['namespace'], item['metadata']['name']): {
                container['name']: {name: parse_quantity(container['usage'][name]) for name in UNITS}
                for container in item['containers']
            }
            for found in lists
            for item in found['items']
        }


@dataclass
class _Sums:
    """Totals of one resource over all measured containers."""

    requested: Decimal = Decimal(0)
    used: Decimal = Decimal(0)
    used_of_all: Decimal = Decimal(0)
    over: Decimal = Decimal(0)
    waste: dict[tuple[str, str], Decimal] = field(default_factory=lambda: defaultdict(Decimal))

    @property
    def wasted(self) -> Decimal:
        return sum(self.waste.values(), Decimal(0))


class _Figures:
    """Figures by the definitions in docs/metrics/kubernetes.md."""

    def __init__(self, instance: Mapping[str, Any], cluster: _Cluster, now: datetime) -> None:
        self._instance = instance
        self._cluster = cluster
        self._now = now
        self._thresholds = {**THRESHOLDS, **(instance.get('thresholds') or {})}
        self._pull_errors = instance.get('image_pull_error_reasons') or PULL_ERRORS
        name = instance.get('cluster_name')
        self._tags = (f'cluster:{name}'.lower(),) if name else ()
        self._live = [pod for pod in cluster.pods if pod.is_live]

    def all(self) -> Iterator[Figure]:
        yield from self._health()
        zero = sum(_given(deployment.spec).replicas == 0 for deployment in self._cluster.deployments)
        yield self._figure('deployments.zero_replicas', zero)
        if self._instance.get('collect_usage', True):
            yield from self._usage()
        if self._instance.get('collect_nodes', True):
            yield from self._nodes()

    def _figure(self, name: str, value: float | Decimal, **tags: str) -> Figure:
        own = [f'{key}:{tag}'.lower() for key, tag in tags.items()]
        return Figure(PREFIX + name, float(value), tuple(sorted([*self._tags, *own])))

    def _age_minutes(self, moment: datetime) -> float:
        return (self._now - moment).total_seconds() / 60

    def _capped(
        self, name: str, by_namespace: Mapping[str, int | Decimal], scale: int | Decimal = 1
    ) -> Iterator[Figure]:
        ordered = sorted(by_namespace.items(), key=lambda item: (-item[1], item[0]))
        limit = self._instance.get('max_namespaces', 50)
        for namespace, value in ordered[:limit]:
            yield self._figure(name, value / scale, kube_namespace=namespace)
        if rest := ordered[limit:]:
            yield self._figure(name, sum(value for _, value in rest) / scale, kube_namespace='other')

    # Health.

    def _health(self) -> Iterator[Figure]:
        counts: Counter[str] = Counter()
        unhealthy: Counter[str] = Counter()
        for pod in self._cluster.pods:
            marks = set(self._marks(pod))
            counts.update(marks)
            sick = marks & {
                'crash_looping',
                'image_pull_errors',
                'failed',
                'pending_stuck',
                'start_error',
                'long_not_ready',
            }
            unhealthy[pod.namespace] += bool(sick)
        for name in MARKS:
            yield self._figure(f'pods.{name}', counts[name])
        yield from self._capped('namespace.pods_unhealthy', unhealthy)
        held = [
            pod
            for pod in self._cluster.pods
            if _holds(pod)
            or (pod.status.phase == 'Pending' and not (pod.spec.node_name or pod.is_gated or pod.is_deleting))
        ]
        for resource, (unit, scale) in UNITS.items():
            total = sum((_effective(pod, resource) for pod in held), Decimal(0))
            yield self._figure(f'resources.{resource}_requested_{unit}', total / scale)

    def _marks(self, pod: _Pod) -> Iterator[str]:
        yield from self._container_marks(_statuses(pod))
        if pod.status.phase == 'Failed':
            yield 'failed'
            if pod.status.reason == 'Evicted':
                yield 'evicted'
        if pod.status.phase == 'Pending':
            yield from self._pending_marks(pod)
        if pod.is_live:
            yield from self._live_marks(pod)

    def _container_marks(self, statuses: list[client.V1ContainerStatus]) -> Iterator[str]:
        waiting = {status.state.waiting.reason for status in statuses if status.state and status.state.waiting}
        if waiting & START_ERRORS:
            yield 'start_error'
        if 'CrashLoopBackOff' in waiting or any(map(self._is_looping, statuses)):
            yield 'crash_looping'
        if waiting & set(self._pull_errors):
            yield 'image_pull_errors'
        if any(status.restart_count > self._thresholds['high_restarts'] for status in statuses):
            yield 'high_restarts'
        if any(self._killed_lately(status) for status in statuses):
            yield 'oomkilled_24h'

    def _pending_marks(self, pod: _Pod) -> Iterator[str]:
        yield 'pending'
        scheduled = next((one for one in pod.status.conditions or () if one.type == 'PodScheduled'), None)
        assigned = scheduled.last_transition_time if scheduled and scheduled.status == 'True' else None
        is_waiting = not (pod.is_gated or _is_initializing(pod))
        if is_waiting and self._age_minutes(assigned or pod.created) > self._thresholds['pending_stuck_minutes']:
            yield 'pending_stuck'
        if _has_condition(pod.status.conditions, 'PodScheduled', 'False', 'Unschedulable'):
            yield 'unschedulable'

    def _live_marks(self, pod: _Pod) -> Iterator[str]:
        yield 'running'
        if not _has_condition(pod.status.conditions, 'Ready', 'True'):
            yield 'not_ready'
            ready = next((one for one in pod.status.conditions or () if one.type == 'Ready'), None)
            since = ready.last_transition_time if ready and ready.reason != 'PodCompleted' else None
            if since and self._age_minutes(since) > self._thresholds['not_ready_minutes']:
                yield 'long_not_ready'
        by_container = UNITS.keys() - _pod_level(pod).keys()
        if any(not _request(container, name) for container in _apps_and_sidecars(pod) for name in by_container):
            yield 'no_requests'

    def _is_looping(self, status: client.V1ContainerStatus) -> bool:
        """Return whether a container was restarted twice, failed soon and has not run for long since."""
        ends = [state.terminated for state in (status.state, status.last_state) if state and state.terminated]
        if status.restart_count < 2 or not ends or not ends[0].exit_code:
            return False
        started, finished = ends[0].started_at, ends[0].finished_at
        if not started or not finished:
            return False
        running = status.state.running if status.state else None
        since = (running and running.started_at) or finished
        return finished - started < STABLE and self._now - since < STABLE

    def _killed_lately(self, status: client.V1ContainerStatus) -> bool:
        ends = [state.terminated for state in (status.state, status.last_state) if state and state.terminated]
        since = self._now - timedelta(hours=24)
        return any(end.reason == 'OOMKilled' and end.finished_at and end.finished_at >= since for end in ends)

    # Usage.

    def _usage(self) -> Iterator[Figure]:
        sums = {name: _Sums() for name in UNITS}
        counts: Counter[str] = Counter()
        for pod in self._live:
            if usage := self._cluster.usage.get((pod.namespace, pod.name)):
                counts['sampled'] += 1
                counts['overallocated'] += self._add(pod, usage, sums)
                counts.update(self._usage_marks(usage))
        for resource, found in sums.items():
            yield from self._resource(resource, found)
        if self._live:
            yield self._figure('resources.usage_coverage_pct', 100 * counts['sampled'] / len(self._live))
        yield self._figure('resources.overallocated_pods', counts['overallocated'])
        yield self._figure('pods.idle_count', counts['idle'])
        yield self._figure('pods.low_cpu_usage', counts['low_cpu'])
        yield self._figure('pods.low_memory_usage', counts['low_memory'])
        if prices := self._instance.get('prices'):
            cores, gibibytes = sums['cpu'].wasted, sums['memory'].wasted / UNITS['memory'][1]
            hourly = float(cores) * prices['cpu_core_hour'] + float(gibibytes) * prices['memory_gib_hour']
            yield self._figure('cost.waste_hourly_usd', hourly)
        if number := self._instance.get('per_deployment'):
            yield from self._by_deployment(sums['cpu'].waste, number)

    def _usage_marks(self, usage: Usage) -> Iterator[str]:
        limits = self._thresholds
        millicores, mebibytes = _total(usage, 'cpu') / MILLI, _total(usage, 'memory') / MIB
        if millicores < limits['idle_cpu_millicores'] and mebibytes < limits['idle_memory_mib']:
            yield 'idle'
        if millicores < limits['low_cpu_millicores']:
            yield 'low_cpu'
        if mebibytes < limits['low_memory_mib']:
            yield 'low_memory'

    def _resource(self, resource: str, found: _Sums) -> Iterator[Figure]:
        unit, scale = UNITS[resource]
        yield self._figure(f'resources.{resource}_waste_{unit}', found.wasted / scale)
        yield self._figure(f'resources.{resource}_overuse_{unit}', found.over / scale)
        yield self._figure(f'resources.{resource}_used_{unit}', found.used_of_all / scale)
        if found.requested:
            efficiency = 100 * (found.requested - found.wasted) / found.requested
            yield self._figure(f'resources.{resource}_efficiency_pct', efficiency)
        by_namespace: dict[str, Decimal] = defaultdict(Decimal)
        for (namespace, _), value in found.waste.items():
            by_namespace[namespace] += value
        yield from self._capped(f'namespace.{resource}_waste_{unit}', by_namespace, scale)

    def _add(self, pod: _Pod, usage: Usage, sums: Mapping[str, _Sums]) -> bool:
        """Add a pod to the totals; return whether it is over-allocated."""
        started = pod.status.start_time or pod.created
        old_enough = self._age_minutes(started) >= self._thresholds['overallocated_min_age_minutes']
        ratio = Decimal(str(self._thresholds['overallocated_ratio']))
        below = False
        for resource, total in sums.items():
            requested = used = Decimal(0)
            for request, one_used in self._units(pod, usage, resource):
                requested, used = requested + request, used + one_used
                total.over += max(Decimal(0), one_used - request)
                total.waste[pod.namespace, pod.deployment] += max(Decimal(0), request - one_used)
            total.used_of_all += sum(
                (usage[c.name][resource] for c in _apps_and_sidecars(pod) if c.name in usage), Decimal(0)
            )
            total.requested += requested
            total.used += used
            below |= bool(requested) and used < ratio * requested
        return below and old_enough

    @staticmethod
    def _units(pod: _Pod, usage: Usage, resource: str) -> list[tuple[Decimal, Decimal]]:
        """Return request and usage of what requests the resource: the pod as a whole, or its containers."""
        containers = _apps_and_sidecars(pod)
        if resource in _pod_level(pod):
            if any(container.name not in usage for container in containers):
                return []
            return [(_of_pod(pod, resource), sum((usage[c.name][resource] for c in containers), Decimal(0)))]
        found = [(_held(pod, c, resource), usage[c.name][resource]) for c in containers if c.name in usage]
        return [(request, used) for request, used in found if request]

    def _by_deployment(self, waste: Mapping[tuple[str, str], Decimal], number: int) -> Iterator[Figure]:
        named = sorted((-value, *key) for key, value in waste.items() if key[1])
        for value, namespace, deployment in named[:number]:
            yield self._figure('deployment.waste_cores', -value, kube_namespace=namespace, deployment=deployment)
        others = [-value for value, *_ in named[number:]] + [value for key, value in waste.items() if not key[1]]
        rest = sum(others, Decimal(0))
        if len(named) > number or rest:
            yield self._figure('deployment.waste_cores', rest, kube_namespace='other', deployment='other')

    # Nodes.

    def _nodes(self) -> Iterator[Figure]:
        nodes = self._cluster.nodes
        ready = [
            node
            for node in nodes
            if _has_condition(_given(node.status).conditions, 'Ready', 'True') and not _is_virtual(node)
        ]
        for resource, (unit, scale) in UNITS.items():
            yield self._figure(f'resources.{resource}_allocatable_{unit}', self._offered(ready, resource) / scale)
        if self._instance.get('cluster_idle'):
            holders = [pod for pod in self._cluster.pods if _holds(pod)]
            for resource, (unit, scale) in UNITS.items():
                idle = Decimal(0)
                for node in ready:
                    here = [pod for pod in holders if pod.spec.node_name == _given(node.metadata).name]
                    occupied = [max(_effective(pod, resource), self._used(pod, resource)) for pod in here]
                    idle += max(Decimal(0), self._offered([node], resource) - sum(occupied, Decimal(0)))
                yield self._figure(f'resources.{resource}_idle_{unit}', idle / scale)

    def _used(self, pod: _Pod, resource: str) -> Decimal:
        return _total(self._cluster.usage.get((pod.namespace, pod.name), {}), resource)

    @staticmethod
    def _offered(nodes: Iterable[client.V1Node], resource: str) -> Decimal:
        return sum((_amount(_allocatable(node), resource) for node in nodes), Decimal(0))


MARKS = (
    'crash_looping',
    'image_pull_errors',
    'high_restarts',
    'oomkilled_24h',
    'failed',
    'evicted',
    'pending',
    'pending_stuck',
    'unschedulable',
    'running',
    'not_ready',
    'no_requests',
)


def _holds(pod: _Pod) -> bool:
    """Return whether a pod occupies its requests on a node."""
    return bool(pod.spec.node_name) and pod.status.phase not in ('Succeeded', 'Failed')


def _is_initializing(pod: _Pod) -> bool:
    """Return whether an init container runs that is not a sidecar."""
    names = {c.name for c in pod.spec.init_containers or () if not _is_sidecar(c)}
    return any(
        entry.name in names and entry.state and entry.state.running
        for entry in pod.status.init_container_statuses or ()
    )


def _is_virtual(node: client.V1Node) -> bool:
    """Return whether a node stands for the capacity of another service."""
    labels = _given(node.metadata).labels or {}
    marks = (
        ('type', 'virtual-kubelet'),
        ('liqo.io/type', 'virtual-node'),
        ('eks.amazonaws.com/compute-type', 'fargate'),
    )
    tainted = any(taint.key == 'virtual-kubelet.io/provider' for taint in (node.spec and node.spec.taints) or ())
    return tainted or any(labels.get(key) == value for key, value in marks)


def _total(usage: Usage, resource: str) -> Decimal:
    """Return the usage of a pod: of all its containers together."""
    return sum((used[resource] for used in usage.values()), Decimal(0))


def _statuses(pod: _Pod) -> list[client.V1ContainerStatus]:
    status = pod.status
    kinds = (status.container_statuses, status.init_container_statuses)
    return [entry for kind in kinds for entry in kind or ()]


def _has_condition(
    conditions: Sequence[client.V1PodCondition | client.V1NodeCondition] | None,
    kind: str,
    status: str,
    reason: str | None = None,
) -> bool:
    return any(
        condition.type == kind and condition.status == status and reason in (None, condition.reason)
        for condition in conditions or ()
    )


def _containers(pod: _Pod) -> list[client.V1Container]:
    return [*(pod.spec.init_containers or ()), *pod.spec.containers]


def _is_sidecar(container: client.V1Container) -> bool:
    # Old clients do not have the field.
    return getattr(container, 'restart_policy', None) == 'Always'


def _apps_and_sidecars(pod: _Pod) -> list[client.V1Container]:
    """Return the containers that run as long as the pod: all but the init containers that run to completion."""
    return [*(c for c in pod.spec.init_containers or () if _is_sidecar(c)), *pod.spec.containers]


def _requests(container: client.V1Container) -> Mapping[str, str]:
    return (container.resources and container.resources.requests) or {}


def _request(container: client.V1Container, resource: str) -> Decimal:
    return _amount(_requests(container), resource)


def _allocatable(node: client.V1Node) -> Mapping[str, str]:
    return _given(node.status).allocatable or {}


def _amount(quantities: Mapping[str, str], resource: str) -> Decimal:
    """Return the quantity of a resource as an exact number; 0 without one."""
    amount: Decimal = parse_quantity(quantities.get(resource, 0))
    return amount


def _pod_level(pod: _Pod) -> Mapping[str, str]:
    resources = getattr(pod.spec, 'resources', None)
    return (resources and resources.requests) or {}


def _held(pod: _Pod, container: client.V1Container, resource: str) -> Decimal:
    """Return the request of a container, or what its node has given to it if that is more."""
    entries = [entry for entry in _statuses(pod) if entry.name == container.name]
    given = [(entry.allocated_resources or {}) for entry in entries]
    given += [(entry.resources and entry.resources.requests) or {} for entry in entries]
    return max([_request(container, resource), *(_amount(one, resource) for one in given)])


def _of_pod(pod: _Pod, resource: str) -> Decimal:
    """Return the request of the pod as a whole, or what its node has given to it if that is more."""
    allocated = getattr(pod.status, 'allocated_resources', None) or {}
    actual = getattr(pod.status, 'resources', None)
    requests = (actual and actual.requests) or {}
    return max(_amount(one, resource) for one in (_pod_level(pod), allocated, requests))


def _effective(pod: _Pod, resource: str) -> Decimal:
    """Return the quantity that the scheduler counts for a pod (infeasible resizes excluded)."""
    sidecars = peak = Decimal(0)
    for container in pod.spec.init_containers or ():
        request = _held(pod, container, resource) if _is_sidecar(container) else _request(container, resource)
        peak = max(peak, sidecars + request)
        if _is_sidecar(container):
            sidecars += request
    need = max(peak, sidecars + sum((_held(pod, c, resource) for c in pod.spec.containers), Decimal(0)))
    if resource in _pod_level(pod):
        need = _of_pod(pod, resource)
    return need + _amount(pod.spec.overhead or {}, resource)


def _deployment(metadata: client.V1ObjectMeta) -> str:
    suffix = f'-{(metadata.labels or {}).get("pod-template-hash")}'
    for owner in metadata.owner_references or ():
        if owner.controller and owner.kind == 'ReplicaSet' and owner.name.endswith(suffix):
            name: str = owner.name.removesuffix(suffix)
            return name
    return ''

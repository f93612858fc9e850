"""The lists of a cluster through the official typed client, each read once, and the options of the instance."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from kubernetes import client, config
from kubernetes.utils.quantity import parse_quantity

from ...core.accelerators import accelerator_type
from .. import Figure, NoSeries

PREFIX = 'metta.kubernetes.'
MANY_PODS = 2_000
# Unit and scale of the resources of which requests are compared with usage.
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
    'terminating_stuck_minutes': 5,
}
Usage = dict[str, dict[str, Decimal]]
T = TypeVar('T')


def given(value: T | None) -> T:
    """Return a field that the API always sends, although the client's models declare it as optional."""
    if value is None:
        raise ValueError('the Kubernetes API left out a field that every object has')
    return value


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod as the API lists it.

    Attributes:
        deletion_ends: the end of the grace period, after its deletion was requested
        owner: kind and name of the workload, None without a controller
        is_queued: Kueue manages its scheduling gates, so one reading does not tell since when it has had none
    """

    namespace: str
    name: str
    uid: str
    created: datetime
    deletion_ends: datetime | None
    owner: tuple[str, str] | None
    is_queued: bool
    spec: client.V1PodSpec
    status: client.V1PodStatus

    @classmethod
    def parse(cls, pod: client.V1Pod) -> Pod:
        """Return the pod of a model of the client."""
        metadata = given(pod.metadata)
        return cls(
            namespace=given(metadata.namespace),
            name=given(metadata.name),
            uid=given(metadata.uid),
            created=given(metadata.creation_timestamp),
            deletion_ends=metadata.deletion_timestamp,
            owner=_owner(metadata),
            is_queued=(metadata.labels or {}).get('kueue.x-k8s.io/managed') == 'true',
            spec=given(pod.spec),
            status=given(pod.status),
        )

    @property
    def is_live(self) -> bool:
        """True when it runs and its deletion was not requested."""
        return self.status.phase == 'Running' and self.deletion_ends is None

    @property
    def is_gated(self) -> bool:
        """True while scheduling gates keep the scheduler from looking at it."""
        return bool(self.spec.scheduling_gates) and not self.spec.node_name

    @property
    def holds(self) -> bool:
        """True while it occupies its requests on a node."""
        return bool(self.spec.node_name) and self.status.phase not in ('Succeeded', 'Failed')

    @property
    def is_unschedulable(self) -> bool:
        """True when the scheduler found no node for it."""
        unschedulable = has_condition(self.status.conditions, 'PodScheduled', 'False', 'Unschedulable')
        return self.status.phase == 'Pending' and unschedulable


class Cluster:
    """All lists, each read once."""

    def __init__(self, instance: Mapping[str, Any]) -> None:
        selection = instance.get('namespaces') or {}
        self._include = tuple(selection.get('include') or ())
        self._exclude = tuple(selection.get('exclude') or ())
        self.requests = 0
        with_nodes = instance.get('collect_nodes', True)
        with client.ApiClient(_configuration(instance)) as api:
            core, apps, devices = client.CoreV1Api(api), client.AppsV1Api(api), client.ResourceV1Api(api)
            self._warn_of_many(core)
            listed = self._items(core.list_pod_for_all_namespaces, core.list_namespaced_pod)
            self.pods = [pod for pod in map(Pod.parse, listed) if pod.status.phase != 'Succeeded']
            self.deployments: list[client.V1Deployment] = self._items(
                apps.list_deployment_for_all_namespaces, apps.list_namespaced_deployment
            )
            self.nodes: list[client.V1Node] = self._call(core.list_node).items if with_nodes else []
            self.slices: list[client.V1ResourceSlice] = []
            self.claims: list[client.ResourceV1ResourceClaim] = []
            if with_nodes and instance.get('resource_claims'):
                self.slices = self._call(devices.list_resource_slice).items
                self.claims = self._items(
                    devices.list_resource_claim_for_all_namespaces, devices.list_namespaced_resource_claim
                )
            custom = client.CustomObjectsApi(api)
            self.usage = dict(self._usage(custom)) if instance.get('collect_usage', True) else {}

    def _sees(self, namespace: str) -> bool:
        included = not self._include or any(fnmatchcase(namespace, pattern) for pattern in self._include)
        return included and not any(fnmatchcase(namespace, pattern) for pattern in self._exclude)

    @property
    def _named(self) -> tuple[str, ...]:
        """Return the namespaces that can be listed by name, which needs fewer permissions."""
        plain = all(not set(name) & set('*?[') for name in self._include)
        return tuple(dict.fromkeys(self._include)) if plain and len(self._include) <= 10 else ()

    def _call(self, method: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        self.requests += 1
        return method(*arguments, **options)

    def _items(self, everywhere: Callable[..., Any], in_one: Callable[..., Any]) -> list[Any]:
        lists = [self._call(in_one, name) for name in self._named] if self._named else [self._call(everywhere)]
        return [item for found in lists for item in found.items if self._sees(item.metadata.namespace)]

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

    def _usage(self, custom: client.CustomObjectsApi) -> Iterator[tuple[tuple[str, str], Usage]]:
        """Yield the samples of containers by namespace and name of their pod, without those that cannot be its own."""
        which = ('metrics.k8s.io', 'v1beta1')
        if self._named:
            lists = [self._call(custom.list_namespaced_custom_object, *which, name, 'pods') for name in self._named]
        else:
            lists = [self._call(custom.list_cluster_custom_object, *which, 'pods')]
        pods = {(pod.namespace, pod.name): pod for pod in self.pods}
        limits = {given(node.metadata).name: given(node.status).capacity or {} for node in self.nodes}
        for item in (item for found in lists for item in found['items']):
            key = (item['metadata']['namespace'], item['metadata']['name'])
            pod = pods.get(key)
            if pod is None or _is_earlier(item['timestamp'], pod):
                continue
            limit = limits.get(pod.spec.node_name, {})
            measured = {
                container['name']: {name: parse_quantity(container['usage'][name]) for name in UNITS}
                for container in item['containers']
            }
            yield key, {name: used for name, used in measured.items() if not _is_beyond(used, limit)}


class Reading:
    """Input of the figures: a cluster, the options of an instance, and the time."""

    def __init__(self, instance: Mapping[str, Any], cluster: Cluster, now: datetime) -> None:
        self.instance = instance
        self.cluster = cluster
        self.now = now
        self.thresholds = {**THRESHOLDS, **(instance.get('thresholds') or {})}
        types = instance.get('accelerator_types') or {}
        self.accelerator_types = {resource: accelerator_type(name) for resource, name in types.items()}
        self.live = [pod for pod in cluster.pods if pod.is_live]
        name = instance.get('cluster_name')
        self._tags = (f'cluster:{name}'.lower(),) if name else ()

    def figure(self, name: str, value: float | Decimal, **tags: str) -> Figure:
        """Return a figure by its name without the prefix."""
        own = [f'{key}:{tag}'.lower() for key, tag in tags.items()]
        return Figure(PREFIX + name, float(value), tuple(sorted([*self._tags, *own])))

    def figure_of(self, name: str, value: float | Decimal | None) -> Figure | NoSeries:
        """Return a figure without tags, or that there is none."""
        return NoSeries(PREFIX + name) if value is None else self.figure(name, value)

    def by_type(self, name: str, values: Mapping[str, float | Decimal]) -> Iterator[Figure | NoSeries]:
        """Yield a figure per type of accelerator, or that there is none."""
        if not values:
            yield NoSeries(PREFIX + name)
        for gpu_type, value in values.items():
            yield self.figure(name, value, gpu_type=gpu_type)

    def age_minutes(self, moment: datetime) -> float:
        """Return the minutes since a moment."""
        return (self.now - moment).total_seconds() / 60

    def by_namespace(
        self, name: str, values: Mapping[str, int | Decimal], scale: int | Decimal = 1
    ) -> Iterator[Figure | NoSeries]:
        """Yield the namespaces with the highest values, and the sum of the others; or that there is none."""
        shown, rest = self.highest(values)
        if not values:
            yield NoSeries(PREFIX + name)
        for namespace in shown:
            yield self.figure(name, values[namespace] / scale, kube_namespace=namespace)
        if rest:
            yield self.figure(name, sum(values[one] for one in rest) / scale, kube_namespace='other')

    def highest(self, values: Mapping[str, int | Decimal]) -> tuple[list[str], list[str]]:
        """Return the namespaces that are shown, those with the highest values, and the others."""
        ordered = sorted(values, key=lambda namespace: (-values[namespace], namespace))
        limit = self.instance.get('max_namespaces', 50)
        return ordered[:limit], ordered[limit:]

    def by_workload(
        self, name: str, values: Mapping[tuple[str, tuple[str, str] | None], Decimal], scale: Decimal = Decimal(1)
    ) -> Iterator[Figure | NoSeries]:
        """Yield the workloads with the highest values, and the sum of the others and of pods without a controller.

        Yields nothing without the option, and NoSeries without any value.
        """
        number = self.instance.get('per_workload')
        if not number:
            return
        if not values:
            yield NoSeries(PREFIX + name)
        ordered = sorted((-value, namespace, owner) for (namespace, owner), value in values.items() if owner)
        for value, namespace, (kind, owner_name) in ordered[:number]:
            tags = {'kube_namespace': namespace, 'owner_kind': kind, 'owner_name': owner_name}
            yield self.figure(name, -value / scale, **tags)
        bare = [value for (_, owner), value in values.items() if not owner]
        rest = sum(bare, Decimal(0)) - sum((value for value, *_ in ordered[number:]), Decimal(0))
        if ordered[number:] or rest:
            tags = dict.fromkeys(('kube_namespace', 'owner_kind', 'owner_name'), 'other')
            yield self.figure(name, rest / scale, **tags)


def has_condition(
    conditions: list[client.V1PodCondition] | list[client.V1NodeCondition] | None,
    kind: str,
    status: str,
    reason: str | None = None,
) -> bool:
    """Return whether a condition has a status, for a reason if one is given."""
    return any(
        condition.type == kind and condition.status == status and reason in (None, condition.reason)
        for condition in conditions or ()
    )


def amount(quantities: Mapping[str, str], resource: str) -> Decimal:
    """Return the quantity of a resource as an exact number; 0 without one."""
    found: Decimal = parse_quantity(quantities.get(resource, 0))
    return found


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


def _owner(metadata: client.V1ObjectMeta) -> tuple[str, str] | None:
    """Return kind and name of the workload: the controller, or what the hash of the pod template says is behind it."""
    owner = next((one for one in metadata.owner_references or () if one.controller), None)
    if owner is None:
        return None
    if owner.kind == 'ReplicaSet':
        labels = metadata.labels or {}
        for kind, label in (('Deployment', 'pod-template-hash'), ('Rollout', 'rollouts-pod-template-hash')):
            suffix = f'-{labels.get(label)}'
            if label in labels and owner.name.endswith(suffix):
                return kind, owner.name.removesuffix(suffix)
    return owner.kind, owner.name


def _is_earlier(sampled: str, pod: Pod) -> bool:
    """Return whether a sample is older than the pod, and so of an earlier pod of that name."""
    return datetime.fromisoformat(sampled) < (pod.status.start_time or pod.created)


def _is_beyond(used: Mapping[str, Decimal], limit: Mapping[str, str]) -> bool:
    """Return whether a container uses more than its node has."""
    return any(name in limit and value > amount(limit, name) for name, value in used.items())

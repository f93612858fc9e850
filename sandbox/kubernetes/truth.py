"""The figures that the check should report, computed in whole numbers from the data of the cluster."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from ..server import Figure
from . import truth_gpus
from .data import PULL_ERRORS, Cluster
from .model import GIB, MIB, NANO, Container, Pod

PREFIX = 'metta.kubernetes.'
UNIT = {'cpu': NANO, 'memory': GIB}
SUFFIX = {'cpu': 'cores', 'memory': 'gb'}


class Truth:
    """The truth about a cluster at `now`.

    `sampled` is True when the metrics API answers; `shown` is the number of deployments and of workloads with series.
    """

    def __init__(
        self,
        cluster: Cluster,
        now: datetime,
        *,
        cluster_name: str,
        sampled: bool,
        prices: dict[str, float],
        shown: int,
    ) -> None:
        self._cluster = cluster
        self._now = now
        self._tags = (f'cluster:{cluster_name}',)
        self._sampled = sampled
        self._prices = prices
        self._shown = shown
        self._pods = [pod for pod in cluster.pods if pod.phase != 'Succeeded']
        self._live = [pod for pod in self._pods if pod.live]

    def figures(self) -> Iterator[Figure]:
        """Compute all figures."""
        yield from self._health()
        yield from self._nodes()
        yield self._figure('deployments.zero_replicas', sum(item.replicas == 0 for item in self._cluster.deployments))
        if self._sampled:
            yield from self._usage()
            yield from self._idle()

    def _figure(self, name: str, value: float, **tags: str) -> Figure:
        return Figure(
            PREFIX + name, value, tuple(sorted((*self._tags, *(f'{key}:{tag}' for key, tag in tags.items()))))
        )

    # Health.

    def _health(self) -> Iterator[Figure]:
        day_ago = self._now - timedelta(hours=24)
        sets = {
            'pods.crash_looping': {pod.uid for pod in self._pods if self._crashes(pod)},
            'pods.image_pull_errors': {pod.uid for pod in self._pods if _waits(pod, PULL_ERRORS)},
            'pods.failed': {pod.uid for pod in self._pods if pod.phase == 'Failed'},
            'pods.pending_stuck': {
                pod.uid
                for pod in self._pods
                if pod.phase == 'Pending'
                and not (pod.gated or _initializes(pod))
                and self._now - pod.created > timedelta(minutes=5)
            },
        }
        for name, members in sets.items():
            yield self._figure(name, len(members))
        counts = {
            'pods.pending': sum(pod.phase == 'Pending' for pod in self._pods),
            'pods.oomkilled_24h': sum(
                any(e.reason == 'OOMKilled' and e.at >= day_ago for c in pod.all_containers for e in c.ends)
                for pod in self._pods
            ),
            'pods.high_restarts': sum(max(c.restarts for c in pod.all_containers) > 5 for pod in self._pods),
            'pods.running': len(self._live),
            'pods.not_ready': sum(not pod.ready for pod in self._live),
            'pods.no_requests': sum(_unrequested(pod) for pod in self._live),
            'pods.evicted': sum(pod.phase == 'Failed' and pod.reason == 'Evicted' for pod in self._pods),
            'pods.unschedulable': sum(pod.unschedulable for pod in self._pods),
            'pods.gated': sum(pod.gated for pod in self._pods),
            'pods.terminating': sum(pod.deleting for pod in self._pods),
            'pods.terminating_stuck': sum(
                pod.deletion_ends is not None and self._now - pod.deletion_ends > timedelta(minutes=5)
                for pod in self._pods
            ),
        }
        for name, value in counts.items():
            yield self._figure(name, value)
        yield from self._waiting()
        asking = self._holders() + [pod for pod in self._pods if pod.phase == 'Pending' and not pod.node]
        for resource in ('cpu', 'memory'):
            suffix, unit = SUFFIX[resource], UNIT[resource]
            totals: Counter[str] = Counter()
            for pod in asking:
                totals[pod.namespace] += 0 if pod.gated else effective(pod, resource)
            yield self._figure(f'resources.{resource}_requested_{suffix}', totals.total() / unit)
            for namespace in {pod.namespace for pod in asking if not pod.gated}:
                yield self._figure(
                    f'namespace.{resource}_requested_{suffix}', totals[namespace] / unit, kube_namespace=namespace
                )
        sick = set().union(*sets.values())
        # The cluster has no other pods that are not ready, but those have not been ready since they started.
        sick |= {
            pod.uid
            for pod in self._live
            if not pod.ready and pod.started and self._now - pod.started > timedelta(minutes=15)
        }
        for namespace in {pod.namespace for pod in self._pods}:
            number = sum(pod.namespace == namespace and pod.uid in sick for pod in self._pods)
            yield self._figure('namespace.pods_unhealthy', number, kube_namespace=namespace)

    def _waiting(self) -> Iterator[Figure]:
        reasons: Counter[str] = Counter()
        for pod in self._pods:
            if pod.started:
                reasons.update({container.waiting for container in pod.all_containers if container.waiting})
        known = (
            'ContainerCreating', 'PodInitializing', 'CrashLoopBackOff', 'ImagePullBackOff', 'ErrImagePull',
            'CreateContainerConfigError', 'RunContainerError',
        )  # fmt: skip
        others = sorted((-number, reason) for reason, number in reasons.items() if reason not in known)
        shown = {reason: reasons[reason] for reason in known} | {reason: -number for number, reason in others[:5]}
        if others[5:]:
            shown['other'] = -sum(number for number, _ in others[5:])
        for reason, number in shown.items():
            yield self._figure('pods.waiting', number, reason=reason)

    def _crashes(self, pod: Pod) -> bool:
        for container in pod.all_containers:
            if pod.started and container.waiting == 'CrashLoopBackOff':
                return True
            failed = bool(container.ends) and container.ends[0].exit_code != 0
            # The kubelet forgets the crashes of a container that has run for ten minutes.
            limit = timedelta(minutes=10)
            if failed and container.restarts >= 2 and container.ends[0].ran < limit > self._now - container.ends[0].at:
                return True
            before = pod.restarts_before
            if before is not None and failed and container.restarts - before[container.name] >= 2:
                return True
        return False

    # Usage.

    def _usage(self) -> Iterator[Figure]:
        sampled = [pod for pod in self._live if pod.sampled]
        waste: dict[str, Counter[str]] = {}
        for resource in ('cpu', 'memory'):
            suffix, unit = SUFFIX[resource], UNIT[resource]
            units = [(pod, *numbers) for pod in sampled for numbers in measured(pod, resource)]
            unused, requested = Counter[str](), Counter[str]()
            by_workload: Counter[tuple[str, ...]] = Counter()
            for pod, request, used in units:
                unused[pod.namespace] += max(0, request - used)
                requested[pod.namespace] += request
                by_workload[pod.namespace, *pod.workload] += max(0, request - used)
            waste[resource] = unused
            over = sum(max(0, used - request) for _, request, used in units)
            yield self._figure(f'resources.{resource}_waste_{suffix}', unused.total() / unit)
            yield self._figure(f'resources.{resource}_overuse_{suffix}', over / unit)
            efficiency = 100 - 100 * unused.total() / requested.total()
            yield self._figure(f'resources.{resource}_efficiency_pct', efficiency)
            everything = sum(_used(c, resource) for pod in sampled for c in pod.app_and_sidecars)
            yield self._figure(f'resources.{resource}_used_{suffix}', everything / unit)
            for namespace, number in unused.items():
                yield self._figure(f'namespace.{resource}_waste_{suffix}', number / unit, kube_namespace=namespace)
                efficiency = 100 - 100 * number / requested[namespace]
                yield self._figure(f'namespace.{resource}_efficiency_pct', efficiency, kube_namespace=namespace)
            yield from self._by_workload(f'workload.{resource}_waste_{suffix}', by_workload, unit)
        yield self._figure('resources.usage_coverage_pct', 100 * len(sampled) / len(self._live))
        yield self._figure('resources.overallocated_pods', sum(self._overallocated(pod) for pod in sampled))
        cpu = [sum(c.used_cpu for c in pod.app_and_sidecars) for pod in sampled]
        memory = [sum(c.used_memory for c in pod.app_and_sidecars) for pod in sampled]
        both = zip(cpu, memory, strict=True)
        yield self._figure('pods.idle_count', sum(c < NANO // 1000 and m < 10 * MIB for c, m in both))
        yield self._figure('pods.low_cpu_usage', sum(c < NANO // 100 for c in cpu))
        yield self._figure('pods.low_memory_usage', sum(m < 50 * MIB for m in memory))
        hourly = {
            namespace: waste['cpu'][namespace] / NANO * self._prices['cpu_core_hour']
            + waste['memory'][namespace] / GIB * self._prices['memory_gib_hour']
            for namespace in waste['cpu'] | waste['memory']
        }
        yield self._figure('cost.waste_hourly_usd', sum(hourly.values()))
        for namespace, cost in hourly.items():
            yield self._figure('cost.namespace_waste_hourly_usd', cost, kube_namespace=namespace)
        yield from self._by_deployment(sampled)

    def _by_deployment(self, sampled: Iterable[Pod]) -> Iterator[Figure]:
        unused: Counter[tuple[str, str]] = Counter()
        for pod in sampled:
            for request, used in measured(pod, 'cpu'):
                unused[pod.namespace, pod.deployment] += max(0, request - used)
        ranking = sorted((-number, *key) for key, number in unused.items() if key[1])
        shown = ranking[: self._shown]
        for number, namespace, deployment in shown:
            yield self._figure(
                'deployment.waste_cores', -number / NANO, kube_namespace=namespace, deployment=deployment
            )
        rest = unused.total() + sum(number for number, *_ in shown)
        yield self._figure('deployment.waste_cores', rest / NANO, kube_namespace='other', deployment='other')

    def _by_workload(self, name: str, values: Mapping[tuple[str, ...], float], unit: int) -> Iterator[Figure]:
        ranking = sorted((not key[1], -number, key) for key, number in values.items() if number or unit > 1)
        named = sum(not bare for bare, *_ in ranking)
        shown = min(self._shown, named)
        for _, number, (namespace, kind, owner) in ranking[:shown]:
            yield self._figure(name, -number / unit, kube_namespace=namespace, owner_kind=kind, owner_name=owner)
        if others := ranking[shown:]:
            rest = -sum(number for _, number, _ in others)
            yield self._figure(name, rest / unit, kube_namespace='other', owner_kind='other', owner_name='other')

    def _overallocated(self, pod: Pod) -> bool:
        if self._now - (pod.started or pod.created) < timedelta(minutes=15):
            return False
        for resource in ('cpu', 'memory'):
            units = measured(pod, resource)
            # Below a fifth, in whole numbers.
            if 5 * sum(used for _, used in units) < sum(request for request, _ in units):
                return True
        return False

    # Nodes.

    def _nodes(self) -> Iterator[Figure]:
        ready = [node for node in self._cluster.nodes if node.ready and not node.virtual]
        yield self._figure('resources.cpu_allocatable_cores', sum(node.cpu.value for node in ready) / NANO)
        yield self._figure('resources.memory_allocatable_gb', sum(node.memory.value for node in ready) / GIB)
        yield from self._accelerators()

    def _accelerators(self) -> Iterator[Figure]:
        for name, gpu_type, number in truth_gpus.by_type(self._cluster):
            yield self._figure(f'gpu.{name}', float(number), gpu_type=gpu_type)
        namespaces: defaultdict[str, float] = defaultdict(float)
        workloads: defaultdict[tuple[str, ...], float] = defaultdict(float)
        for part in truth_gpus.taken(self._cluster):
            namespaces[part.namespace] += float(part.number)
            workloads[part.namespace, *(part.pod.workload if part.pod else ('', ''))] += float(part.number)
        for namespace, total in namespaces.items():
            yield self._figure('namespace.gpu_requested', total, kube_namespace=namespace)
        yield from self._by_workload('workload.gpu_requested', workloads, 1)

    def _idle(self) -> Iterator[Figure]:
        for resource in ('cpu', 'memory'):
            idle = 0
            for node in self._cluster.nodes:
                if node.ready and not node.virtual:
                    taken = 0
                    for pod in self._holders():
                        if pod.node == node.name:
                            has_usage = pod.live and pod.sampled
                            used = sum(_used(c, resource) for c in pod.app_and_sidecars) if has_usage else 0
                            taken += max(effective(pod, resource), used)
                    idle += max(0, getattr(node, resource).value - taken)
            yield self._figure(f'resources.{resource}_idle_{SUFFIX[resource]}', idle / UNIT[resource])

    def _holders(self) -> list[Pod]:
        return [pod for pod in self._pods if pod.node and pod.phase not in ('Succeeded', 'Failed')]


def effective(pod: Pod, resource: str) -> int:
    """Return the amount of CPU or memory that the scheduler reserves for a pod."""
    sidecars = [_request(pod, container, resource) for container in pod.init if container.sidecar]
    need = sum(_request(pod, container, resource) for container in pod.containers) + sum(sidecars)
    for position, container in enumerate(pod.init):
        beside = sum(_request(pod, other, resource) for other in pod.init[:position] if other.sidecar)
        need = max(need, beside + _request(pod, container, resource))
    if resource == 'cpu' and pod.pod_cpu:
        need = _of_pod(pod)
    if pod.overhead:
        need += pod.overhead[0 if resource == 'cpu' else 1].value
    return need


def measured(pod: Pod, resource: str) -> list[tuple[int, int]]:
    """Return request and usage of what requests a resource: the pod as a whole, or its containers."""
    if resource == 'cpu' and pod.pod_cpu:
        return [(_of_pod(pod), sum(container.used_cpu for container in pod.app_and_sidecars))]
    found = [(_request(pod, one, resource), _used(one, resource)) for one in pod.app_and_sidecars]
    return [numbers for numbers in found if numbers[0] > 0]


def _request(pod: Pod, container: Container, resource: str) -> int:
    """Return the request of a container, or what its node has allocated to it if that is more."""
    asked = container.request(resource)
    if resource == 'cpu' and pod.allocated_cpu and pod.started and container is pod.containers[0]:
        return max(asked, pod.allocated_cpu.value)
    return asked


def _of_pod(pod: Pod) -> int:
    """Return the request of the pod as a whole, or what its node has allocated to it if that is more."""
    return max(amount.value for amount in (pod.pod_cpu, pod.pod_allocated_cpu) if amount)


def _used(container: Container, resource: str) -> int:
    return container.used_cpu if resource == 'cpu' else container.used_memory


def _waits(pod: Pod, reasons: Iterable[str]) -> bool:
    return pod.started is not None and any(container.waiting in reasons for container in pod.all_containers)


def _initializes(pod: Pod) -> bool:
    """Return True while an init container runs that is not a sidecar."""
    return pod.started is not None and any(not (one.sidecar or one.waiting or one.ended) for one in pod.init)


def _unrequested(pod: Pod) -> bool:
    lacks_cpu = pod.pod_cpu is None and any(not container.request('cpu') for container in pod.app_and_sidecars)
    return lacks_cpu or any(not container.request('memory') for container in pod.app_and_sidecars)

"""The figures that the check should report, computed in whole numbers from the data of the cluster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from ..server import Figure
from .data import PULL_ERRORS, Cluster
from .model import GIB, MIB, NANO, Container, Pod

PREFIX = 'metta.kubernetes.'
UNIT = {'cpu': NANO, 'memory': GIB}
SUFFIX = {'cpu': 'cores', 'memory': 'gb'}


class Truth:
    """The truth about a cluster at `now`. `sampled` is True when the metrics API answers."""

    def __init__(
        self,
        cluster: Cluster,
        now: datetime,
        *,
        cluster_name: str,
        sampled: bool,
        prices: dict[str, float],
        per_deployment: int,
    ) -> None:
        self._cluster = cluster
        self._now = now
        self._tags = (f'cluster:{cluster_name}',)
        self._sampled = sampled
        self._prices = prices
        self._per_deployment = per_deployment
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
                if pod.phase == 'Pending' and self._now - pod.created > timedelta(minutes=5)
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
        }
        for name, value in counts.items():
            yield self._figure(name, value)
        held = [pod for pod in self._pods if pod.live or pod.phase == 'Pending']
        for resource in ('cpu', 'memory'):
            total = sum(effective(pod, resource) for pod in held)
            yield self._figure(f'resources.{resource}_requested_{SUFFIX[resource]}', total / UNIT[resource])
        sick = set().union(*sets.values())
        for namespace in {pod.namespace for pod in self._pods}:
            number = sum(pod.namespace == namespace and pod.uid in sick for pod in self._pods)
            yield self._figure('namespace.pods_unhealthy', number, kube_namespace=namespace)

    @staticmethod
    def _crashes(pod: Pod) -> bool:
        for container in pod.all_containers:
            if pod.started and container.waiting == 'CrashLoopBackOff':
                return True
            failed = bool(container.ends) and container.ends[0].exit_code != 0
            before = pod.restarts_before
            if before is not None and failed and container.restarts - before[container.name] >= 2:
                return True
        return False

    # Usage.

    def _usage(self) -> Iterator[Figure]:
        sampled = [pod for pod in self._live if pod.sampled]
        waste: dict[str, int] = {}
        for resource in ('cpu', 'memory'):
            suffix, unit = SUFFIX[resource], UNIT[resource]
            measured = [(pod, c) for pod in sampled for c in pod.app_and_sidecars if c.request(resource) > 0]
            unused: Counter[str] = Counter()
            for pod, container in measured:
                unused[pod.namespace] += max(0, container.request(resource) - _used(container, resource))
            waste[resource] = unused.total()
            requested = sum(c.request(resource) for _, c in measured)
            used = sum(_used(c, resource) for _, c in measured)
            over = sum(max(0, _used(c, resource) - c.request(resource)) for _, c in measured)
            yield self._figure(f'resources.{resource}_waste_{suffix}', waste[resource] / unit)
            yield self._figure(f'resources.{resource}_overuse_{suffix}', over / unit)
            yield self._figure(f'resources.{resource}_efficiency_pct', 100 * used / requested)
            everything = sum(_used(c, resource) for pod in sampled for c in pod.app_and_sidecars)
            yield self._figure(f'resources.{resource}_used_{suffix}', everything / unit)
            for namespace, number in unused.items():
                yield self._figure(f'namespace.{resource}_waste_{suffix}', number / unit, kube_namespace=namespace)
        yield self._figure('resources.usage_coverage_pct', 100 * len(sampled) / len(self._live))
        yield self._figure('resources.overallocated_pods', sum(self._overallocated(pod) for pod in sampled))
        cpu = [sum(c.used_cpu for c in pod.app_and_sidecars) for pod in sampled]
        memory = [sum(c.used_memory for c in pod.app_and_sidecars) for pod in sampled]
        both = zip(cpu, memory, strict=True)
        yield self._figure('pods.idle_count', sum(c < NANO // 1000 and m < 10 * MIB for c, m in both))
        yield self._figure('pods.low_cpu_usage', sum(c < NANO // 100 for c in cpu))
        yield self._figure('pods.low_memory_usage', sum(m < 50 * MIB for m in memory))
        hourly = (
            waste['cpu'] / NANO * self._prices['cpu_core_hour']
            + waste['memory'] / GIB * self._prices['memory_gib_hour']
        )
        yield self._figure('cost.waste_hourly_usd', hourly)
        yield from self._by_deployment(sampled)

    def _by_deployment(self, sampled: Iterable[Pod]) -> Iterator[Figure]:
        unused: Counter[tuple[str, str]] = Counter()
        for pod in sampled:
            for container in pod.app_and_sidecars:
                unused[pod.namespace, pod.deployment] += max(0, container.request('cpu') - container.used_cpu)
        ranking = sorted((-number, *key) for key, number in unused.items() if key[1])
        shown = ranking[: self._per_deployment]
        for number, namespace, deployment in shown:
            yield self._figure(
                'deployment.waste_cores', -number / NANO, kube_namespace=namespace, deployment=deployment
            )
        rest = unused.total() + sum(number for number, *_ in shown)
        yield self._figure('deployment.waste_cores', rest / NANO, kube_namespace='other', deployment='other')

    def _overallocated(self, pod: Pod) -> bool:
        if self._now - (pod.started or pod.created) < timedelta(minutes=15):
            return False
        for resource in ('cpu', 'memory'):
            measured = [container for container in pod.app_and_sidecars if container.request(resource) > 0]
            # Below a fifth, in whole numbers.
            used = sum(_used(container, resource) for container in measured)
            if 5 * used < sum(container.request(resource) for container in measured):
                return True
        return False

    # Nodes.

    def _nodes(self) -> Iterator[Figure]:
        ready = [node for node in self._cluster.nodes if node.ready]
        yield self._figure('resources.cpu_allocatable_cores', sum(node.cpu.value for node in ready) / NANO)
        yield self._figure('resources.memory_allocatable_gb', sum(node.memory.value for node in ready) / GIB)
        offered = sum(node.gpus for node in ready)
        taken = sum(effective(pod, 'gpu') for pod in self._holders())
        for name, value in (('allocatable', offered), ('requested', taken), ('free', max(0, offered - taken))):
            yield self._figure(f'gpu.{name}', value, gpu_type='nvidia-gpu')

    def _idle(self) -> Iterator[Figure]:
        for resource in ('cpu', 'memory'):
            ready = [node for node in self._cluster.nodes if node.ready]
            offered = sum(getattr(node, resource).value for node in ready)
            taken = 0
            for pod in self._holders():
                used = sum(_used(c, resource) for c in pod.app_and_sidecars) if pod.live and pod.sampled else 0
                taken += max(effective(pod, resource), used)
            yield self._figure(f'resources.{resource}_idle_{SUFFIX[resource]}', (offered - taken) / UNIT[resource])

    def _holders(self) -> list[Pod]:
        return [pod for pod in self._pods if pod.live or (pod.phase == 'Pending' and pod.node)]


def effective(pod: Pod, resource: str) -> int:
    """Return the amount that the scheduler reserves for a pod."""
    sidecars = [container.request(resource) for container in pod.init if container.sidecar]
    need = sum(container.request(resource) for container in pod.containers) + sum(sidecars)
    for position, container in enumerate(pod.init):
        beside = sum(other.request(resource) for other in pod.init[:position] if other.sidecar)
        need = max(need, beside + container.request(resource))
    if resource == 'cpu' and pod.pod_cpu:
        need = pod.pod_cpu.value
    if pod.overhead and resource != 'gpu':
        need += pod.overhead[0 if resource == 'cpu' else 1].value
    return need


def _used(container: Container, resource: str) -> int:
    return container.used_cpu if resource == 'cpu' else container.used_memory


def _waits(pod: Pod, reasons: Iterable[str]) -> bool:
    return pod.started is not None and any(container.waiting in reasons for container in pod.all_containers)


def _unrequested(pod: Pod) -> bool:
    lacks_cpu = pod.pod_cpu is None and any(not container.request('cpu') for container in pod.app_and_sidecars)
    return lacks_cpu or any(not container.request('memory') for container in pod.app_and_sidecars)

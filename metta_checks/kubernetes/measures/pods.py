"""Figures of the block `pods`: health of pods, and their requests."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from ...core.refresh import Sample
from ...core.stats import top
from ...core.tag_values import filled
from ...core.times import seconds_between
from ..container_states import CRASH_LOOP, LOOPING_RESTARTS, ContainerStatus
from ..effective_requests import CPU, MEMORY
from ..history import History
from ..quantity import GIB
from ..records import Pod
from ..settings import Settings

# The conditions that are counted, by metric, in the order in which they are sent.
CONDITIONS = (
    'pods.crash_looping',
    'pods.image_pull_errors',
    'pods.failed',
    'pods.evicted',
    'pods.pending',
    'pods.pending_stuck',
    'pods.unschedulable',
    'pods.gated',
    'pods.terminating',
    'pods.terminating_stuck',
    'pods.high_restarts',
    'pods.oomkilled_24h',
    'pods.running',
    'pods.not_ready',
    'pods.no_requests',
)
UNHEALTHY = ('pods.crash_looping', 'pods.image_pull_errors', 'pods.failed', 'pods.pending_stuck')
# The waiting reasons of the kubelet for a container that cannot be started although its image is there.
START_ERRORS = frozenset(
    {
        'CreateContainerConfigError',
        'CreateContainerError',
        'PostStartHookError',
        'PreCreateHookError',
        'PreStartHookError',
        'RunContainerError',
    }
)
# The waiting reasons that are always shown; the rest of the kubelet's are rare.
REASONS = (
    'ContainerCreating',
    'PodInitializing',
    CRASH_LOOP,
    'ImagePullBackOff',
    'ErrImagePull',
    'CreateContainerConfigError',
    'RunContainerError',
)


def pods(
    pods: Collection[Pod],
    now: datetime,
    *,
    previous: History | None,
    current: History,
    settings: Settings,
) -> Iterator[Sample]:
    """Yield the figures of the list of pods. `previous` is None on the first refresh."""
    examination = _Examination(now, previous, current, settings)
    counts: Counter[str] = Counter()
    unhealthy: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for pod in pods:
        conditions = examination.conditions(pod)
        counts.update(conditions)
        unhealthy[pod.namespace] += examination.is_unhealthy(pod, conditions)
        reasons.update({status.waiting for status in pod.statuses if status.waiting})
    for name in CONDITIONS:
        yield Sample(name, counts[name])
    for reason, number in filled(reasons, REASONS).items():
        yield Sample('pods.waiting', number, {'reason': reason})
    yield from _requested(pods, settings)
    for namespace, number in top(unhealthy, settings.max_namespaces).items():
        yield Sample('namespace.pods_unhealthy', number, {'kube_namespace': namespace})
    if previous is not None:
        yield from _since(pods, previous)


class _Examination:
    """Finds the conditions of pods in one refresh."""

    def __init__(self, now: datetime, previous: History | None, current: History, settings: Settings) -> None:
        self._previous = previous
        self._admitted = current.admitted
        self._image_pull_errors = settings.image_pull_errors
        self._thresholds = settings.thresholds
        self._oom_since = now - timedelta(hours=24)
        self._now = now

    def conditions(self, pod: Pod) -> Mapping[str, bool]:
        """Return the conditions by metric."""
        return {
            'pods.crash_looping': any(self._is_looping(pod, status) for status in pod.statuses),
            'pods.image_pull_errors': any(status.waiting in self._image_pull_errors for status in pod.statuses),
            'pods.failed': pod.failed,
            'pods.evicted': pod.evicted,
            'pods.pending': pod.pending,
            'pods.pending_stuck': self._is_stuck(pod),
            'pods.unschedulable': pod.pending and pod.unschedulable,
            'pods.gated': pod.gated,
            'pods.terminating': pod.deleting,
            'pods.terminating_stuck': self._is_overdue(pod),
            'pods.high_restarts': any(status.restarts > self._thresholds.high_restarts for status in pod.statuses),
            'pods.oomkilled_24h': any(map(self._was_oom_killed, pod.statuses)),
            'pods.running': pod.live,
            'pods.not_ready': pod.live and not pod.ready,
            'pods.no_requests': pod.live and _lacks_requests(pod),
        }

    def is_unhealthy(self, pod: Pod, conditions: Mapping[str, bool]) -> bool:
        """Return True for a pod that needs attention."""
        return (
            any(conditions[name] for name in UNHEALTHY)
            or any(status.waiting in START_ERRORS for status in pod.statuses)
            or (pod.live and self._is_older(pod.not_ready_since, self._thresholds.not_ready_minutes))
        )

    def _is_looping(self, pod: Pod, status: ContainerStatus) -> bool:
        return status.is_looping(self._now) or self._keeps_failing(pod, status)

    def _keeps_failing(self, pod: Pod, status: ContainerStatus) -> bool:
        if self._previous is None or status.restarts < LOOPING_RESTARTS or not status.last_exit_failed:
            return False
        return self._previous.new_restarts(pod, status) >= LOOPING_RESTARTS

    def _is_stuck(self, pod: Pod) -> bool:
        """Return True for a pod that has waited too long: for a node, or on its node for its containers to start."""
        if not pod.pending or pod.gated or pod.initializing:
            return False
        seconds = self._thresholds.pending_stuck_minutes * 60
        if (admitted := self._admitted.get(pod.uid)) is not None:
            return self._now.timestamp() - admitted > seconds
        return self._is_older(pod.scheduled or pod.created, self._thresholds.pending_stuck_minutes)

    def _is_overdue(self, pod: Pod) -> bool:
        return self._is_older(pod.deleted_by, self._thresholds.terminating_stuck_minutes)

    def _is_older(self, moment: datetime | None, minutes: float) -> bool:
        return moment is not None and seconds_between(moment, self._now) > minutes * 60

    def _was_oom_killed(self, status: ContainerStatus) -> bool:
        return any(end.finished_at is not None and end.finished_at >= self._oom_since for end in status.oom_kills)


def _requested(pods: Iterable[Pod], settings: Settings) -> Iterator[Sample]:
    """Yield the requests of the pods that hold them on a node, and of those that wait for a node."""
    asking = [pod for pod in pods if pod.holds_resources or pod.waits_for_node]
    for resource, name, scale in ((CPU, 'cpu_requested_cores', 1), (MEMORY, 'memory_requested_gb', GIB)):
        by_namespace: defaultdict[str, list[float]] = defaultdict(list)
        for pod in asking:
            by_namespace[pod.namespace].append(pod.requested.get(resource, 0.0) / scale)
        sums = {namespace: math.fsum(amounts) for namespace, amounts in by_namespace.items()}
        yield Sample(f'resources.{name}', math.fsum(sums.values()))
        if settings.per_namespace:
            for namespace, amount in top(sums, settings.max_namespaces).items():
                yield Sample(f'namespace.{name}', amount, {'kube_namespace': namespace})


def _since(pods: Collection[Pod], previous: History) -> Iterator[Sample]:
    statuses = [(pod, status) for pod in pods for status in pod.statuses]
    yield Sample('containers.restarts', sum(previous.new_restarts(pod, status) for pod, status in statuses))
    kills = {key for pod, status in statuses for key in previous.new_oom_kills(pod, status)}
    yield Sample('containers.oom_kills', len(kills))


def _lacks_requests(pod: Pod) -> bool:
    """Return True when a container lacks a request, which may be 0, that the pod as a whole does not make either."""
    return any(
        resource not in pod.pod_level and not container.requested.get(resource)
        for container in pod.containers
        for resource in (CPU, MEMORY)
    )

"""Figures of the block `pods`: health of pods, and their requests."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from ...core.refresh import Sample
from ...core.stats import top
from ...core.stored import stored
from ...core.times import seconds_between
from ..effective_requests import CPU, MEMORY
from ..quantity import GIB
from ..records import ContainerStatus, Pod, Termination
from ..settings import Settings

CRASH_LOOP = 'CrashLoopBackOff'
# A container that fails this often between two refreshes is in a crash loop, even if it is running when it is read.
LOOPING_RESTARTS = 2
# The conditions that are counted, by metric, in the order in which they are sent.
CONDITIONS = (
    'pods.crash_looping',
    'pods.image_pull_errors',
    'pods.failed',
    'pods.evicted',
    'pods.pending',
    'pods.pending_stuck',
    'pods.unschedulable',
    'pods.high_restarts',
    'pods.oomkilled_24h',
    'pods.running',
    'pods.not_ready',
    'pods.no_requests',
)
UNHEALTHY = ('pods.crash_looping', 'pods.image_pull_errors', 'pods.failed', 'pods.pending_stuck')


@stored
class History:
    """The parts of the last list of pods that the next one is compared with.

    Attributes:
        restarts: number of restarts by pod uid and container; without those that were never restarted
        ooms: keys of OOMKilled ends that are still shown
    """

    restarts: dict[str, int]
    ooms: frozenset[str]

    @classmethod
    def of(cls, pods: Iterable[Pod]) -> History:
        """Return the history that these pods leave."""
        restarts: dict[str, int] = {}
        ooms: set[str] = set()
        for pod in pods:
            for status in pod.statuses:
                if status.restarts:
                    restarts[_key(pod, status)] = status.restarts
                ooms.update(_oom_key(pod, status, end) for end in status.oom_kills)
        return cls(restarts, frozenset(ooms))


def pods(
    pods: Collection[Pod],
    now: datetime,
    *,
    previous: History | None,
    current: History,
    settings: Settings,
) -> Iterator[Sample]:
    """Yield the figures of the list of pods. `previous` is None on the first refresh."""
    examination = _Examination(now, previous, settings)
    counts: Counter[str] = Counter()
    unhealthy: Counter[str] = Counter()
    for pod in pods:
        conditions = examination.conditions(pod)
        counts.update(conditions)
        unhealthy[pod.namespace] += any(conditions[name] for name in UNHEALTHY)
    for name in CONDITIONS:
        yield Sample(name, counts[name])
    yield from _requested(pods)
    for namespace, number in top(unhealthy, settings.max_namespaces).items():
        yield Sample('namespace.pods_unhealthy', number, {'kube_namespace': namespace})
    if previous is not None:
        yield from _since(previous, current)


class _Examination:
    """Finds the conditions of pods in one refresh."""

    def __init__(self, now: datetime, previous: History | None, settings: Settings) -> None:
        self._previous = previous
        self._image_pull_errors = settings.image_pull_errors
        self._high_restarts = settings.thresholds.high_restarts
        self._oom_since = now - timedelta(hours=24)
        self._now = now
        self._stuck_seconds = settings.thresholds.pending_stuck_minutes * 60

    def conditions(self, pod: Pod) -> Mapping[str, bool]:
        """Return the conditions by metric."""
        return {
            'pods.crash_looping': self._is_crash_looping(pod),
            'pods.image_pull_errors': any(status.waiting in self._image_pull_errors for status in pod.statuses),
            'pods.failed': pod.failed,
            'pods.evicted': pod.evicted,
            'pods.pending': pod.pending,
            'pods.pending_stuck': self._is_stuck(pod),
            'pods.unschedulable': pod.pending and pod.unschedulable,
            'pods.high_restarts': any(status.restarts > self._high_restarts for status in pod.statuses),
            'pods.oomkilled_24h': any(map(self._was_oom_killed, pod.statuses)),
            'pods.running': pod.live,
            'pods.not_ready': pod.live and not pod.ready,
            'pods.no_requests': pod.live and _lacks_requests(pod),
        }

    def _is_crash_looping(self, pod: Pod) -> bool:
        return any(status.waiting == CRASH_LOOP or self._keeps_failing(pod, status) for status in pod.statuses)

    def _is_stuck(self, pod: Pod) -> bool:
        if not pod.pending or pod.created is None:
            return False
        return seconds_between(pod.created, self._now) > self._stuck_seconds

    def _keeps_failing(self, pod: Pod, status: ContainerStatus) -> bool:
        if self._previous is None or status.restarts < LOOPING_RESTARTS or not status.last_exit_failed:
            return False
        return status.restarts - self._previous.restarts.get(_key(pod, status), 0) >= LOOPING_RESTARTS

    def _was_oom_killed(self, status: ContainerStatus) -> bool:
        return any(end.finished_at is not None and end.finished_at >= self._oom_since for end in status.oom_kills)


def _requested(pods: Iterable[Pod]) -> Iterator[Sample]:
    holders = [pod for pod in pods if pod.live or pod.pending]
    yield Sample('resources.cpu_requested_cores', math.fsum(pod.requested.get(CPU, 0.0) for pod in holders))
    yield Sample('resources.memory_requested_gb', math.fsum(pod.requested.get(MEMORY, 0.0) for pod in holders) / GIB)


def _since(previous: History, current: History) -> Iterator[Sample]:
    rises = (number - previous.restarts.get(key, 0) for key, number in current.restarts.items())
    yield Sample('containers.restarts', sum(max(0, rise) for rise in rises))
    yield Sample('containers.oom_kills', len(current.ooms - previous.ooms))


def _lacks_requests(pod: Pod) -> bool:
    """Return True when a container lacks a request, which may be 0, that the pod as a whole does not make either."""
    return any(
        resource not in pod.pod_level and not container.requested.get(resource)
        for container in pod.containers
        for resource in (CPU, MEMORY)
    )


def _key(pod: Pod, status: ContainerStatus) -> str:
    return f'{pod.uid}/{status.container}'


def _oom_key(pod: Pod, status: ContainerStatus, end: Termination) -> str:
    finished_at = end.finished_at.isoformat() if end.finished_at else ''
    return f'{_key(pod, status)}/{end.container_id}/{finished_at}'

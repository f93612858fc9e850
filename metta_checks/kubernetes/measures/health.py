"""Health of pods, and what they request."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta

from ...core.refresh import Sample
from ...core.stats import top
from ...core.stored import stored
from ..records import CPU, MEMORY, Pod, Status, Termination
from .settings import GIB, Settings

CRASH_LOOP = 'CrashLoopBackOff'
OOM_KILLED = 'OOMKilled'
# A container that fails this often between two refreshes loops, even if it happens to run at the moment of reading.
LOOPING_RESTARTS = 2


@stored
class History:
    """What is compared with the next time.

    restarts: by pod uid and container, where there were any; ooms: OOMKilled ends that are still shown.
    """

    restarts: dict[str, int]
    ooms: frozenset[str]

    @classmethod
    def of(cls, pods: Iterable[Pod]) -> History:
        """What the pods show now."""
        restarts: dict[str, int] = {}
        ooms: set[str] = set()
        for pod in pods:
            for status in pod.statuses:
                if status.restarts:
                    restarts[_key(pod, status)] = status.restarts
                ooms.update(_oom_key(pod, status, end) for end in _oom_kills(status))
        return cls(restarts, frozenset(ooms))


def pods(
    pods: Collection[Pod],
    now: datetime,
    *,
    previous: History | None,
    current: History,
    settings: Settings,
) -> Iterator[Sample]:
    """Everything of the block `pods`. `previous` is None on the first refresh."""
    thresholds = settings.thresholds
    oom_since = now - timedelta(hours=24)
    stuck_seconds = thresholds.pending_stuck_minutes * 60
    counts: Counter[str] = Counter()
    unhealthy: dict[str, int] = {}
    for pod in pods:
        unhealthy.setdefault(pod.namespace, 0)
        crashing = any(_is_crash_looping(pod, status, previous) for status in pod.statuses)
        pull_error = any(status.waiting in settings.image_pull_errors for status in pod.statuses)
        failed = pod.phase == 'Failed'
        stuck = pod.pending and pod.created is not None and (now - pod.created).total_seconds() > stuck_seconds
        counts['pods.crash_looping'] += crashing
        counts['pods.image_pull_errors'] += pull_error
        counts['pods.failed'] += failed
        counts['pods.evicted'] += failed and pod.reason == 'Evicted'
        counts['pods.pending'] += pod.pending
        counts['pods.pending_stuck'] += stuck
        counts['pods.unschedulable'] += pod.pending and pod.unschedulable
        counts['pods.high_restarts'] += any(status.restarts > thresholds.high_restarts for status in pod.statuses)
        counts['pods.oomkilled_24h'] += any(
            end.finished_at is not None and end.finished_at >= oom_since
            for status in pod.statuses
            for end in _oom_kills(status)
        )
        counts['pods.running'] += pod.live
        counts['pods.not_ready'] += pod.live and not pod.ready
        counts['pods.no_requests'] += pod.live and _lacks_requests(pod)
        unhealthy[pod.namespace] += crashing or pull_error or failed or stuck
    for name in _COUNTS:
        yield Sample(name, counts[name])
    yield from _requested(pods)
    for namespace, number in top(unhealthy, settings.max_namespaces).items():
        yield Sample('namespace.pods_unhealthy', number, {'kube_namespace': namespace})
    if previous is not None:
        rises = (number - previous.restarts.get(key, 0) for key, number in current.restarts.items())
        yield Sample('containers.restarts', sum(max(0, rise) for rise in rises))
        yield Sample('containers.oom_kills', len(current.ooms - previous.ooms))


_COUNTS = (
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


def _requested(pods: Iterable[Pod]) -> Iterator[Sample]:
    holders = [pod for pod in pods if pod.live or pod.pending]
    yield Sample('resources.cpu_requested_cores', math.fsum(pod.requested.get(CPU, 0.0) for pod in holders))
    yield Sample('resources.memory_requested_gb', math.fsum(pod.requested.get(MEMORY, 0.0) for pod in holders) / GIB)


def _key(pod: Pod, status: Status) -> str:
    return f'{pod.uid}/{status.container}'


def _oom_key(pod: Pod, status: Status, end: Termination) -> str:
    moment = end.finished_at.isoformat() if end.finished_at else ''
    return f'{_key(pod, status)}/{end.container_id}/{moment}'


def _oom_kills(status: Status) -> Iterator[Termination]:
    return (end for end in status.terminations if end.reason == OOM_KILLED)


def _is_crash_looping(pod: Pod, status: Status, previous: History | None) -> bool:
    if status.waiting == CRASH_LOOP:
        return True
    if previous is None or status.restarts < LOOPING_RESTARTS or not status.last_exit_failed:
        return False
    return status.restarts - previous.restarts.get(_key(pod, status), 0) >= LOOPING_RESTARTS


def _lacks_requests(pod: Pod) -> bool:
    """A request of zero is none; one of the pod as a whole serves all its containers."""
    return any(
        resource not in pod.pod_level and not container.requested.get(resource)
        for container in pod.containers
        for resource in (CPU, MEMORY)
    )

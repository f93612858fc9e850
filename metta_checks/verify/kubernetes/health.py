"""Figures of block `pods`, and the deployments: health and requests."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

from kubernetes import client

from .. import Figure, NoSeries
from .effective import apps_and_sidecars, effective, is_sidecar, pod_level, requested, statuses
from .reading import UNITS, Pod, Reading, given, has_condition

MARKS = (
    'crash_looping', 'image_pull_errors', 'high_restarts', 'oomkilled_24h', 'failed', 'evicted', 'pending',
    'pending_stuck', 'unschedulable', 'running', 'not_ready', 'no_requests', 'gated', 'terminating',
    'terminating_stuck',
)  # fmt: skip
# Marks of pods that are not well; the last two do not have figures of their own.
SICK = {'crash_looping', 'image_pull_errors', 'failed', 'pending_stuck', 'start_error', 'long_not_ready'}
# Waiting reasons of containers that cannot be started.
START_ERRORS = {
    'CreateContainerConfigError',
    'CreateContainerError',
    'PostStartHookError',
    'PreCreateHookError',
    'PreStartHookError',
    'RunContainerError',
}
PULL_ERRORS = (
    'ImagePullBackOff',
    'ErrImagePull',
    'InvalidImageName',
    'ErrImageNeverPull',
    'ImageInspectError',
    'RegistryUnavailable',
    'SignatureValidationFailed',
)
# Waiting reasons that are always shown, and the number of others.
REASONS = (
    'ContainerCreating', 'PodInitializing', 'CrashLoopBackOff', 'ImagePullBackOff', 'ErrImagePull',
    'CreateContainerConfigError', 'RunContainerError',
)  # fmt: skip
OTHER_REASONS = 5
# The kubelet forgets the crashes of a container that has run for this long.
STABLE = timedelta(minutes=10)


def figures(reading: Reading) -> Iterator[Figure | NoSeries]:
    """Yield health, requests and deployments."""
    counts: Counter[str] = Counter()
    unhealthy: Counter[str] = Counter()
    for pod in reading.cluster.pods:
        marks = set(_marks(reading, pod))
        counts.update(marks)
        unhealthy[pod.namespace] += bool(marks & SICK)
    for name in MARKS:
        yield reading.figure(f'pods.{name}', counts[name])
    yield from reading.by_namespace('namespace.pods_unhealthy', unhealthy)
    yield from _waiting(reading)
    yield from _requests(reading)
    zero = sum(given(deployment.spec).replicas == 0 for deployment in reading.cluster.deployments)
    yield reading.figure('deployments.zero_replicas', zero)


def _requests(reading: Reading) -> Iterator[Figure | NoSeries]:
    asking = [pod for pod in reading.cluster.pods if pod.holds or _waits_for_node(pod)]
    for resource, (unit, scale) in UNITS.items():
        totals: defaultdict[str, Decimal] = defaultdict(Decimal)
        for pod in asking:
            totals[pod.namespace] += effective(pod, resource)
        yield reading.figure(f'resources.{resource}_requested_{unit}', sum(totals.values(), Decimal(0)) / scale)
        if reading.instance.get('per_namespace'):
            yield from reading.by_namespace(f'namespace.{resource}_requested_{unit}', totals, scale)


def _waits_for_node(pod: Pod) -> bool:
    is_waiting = pod.status.phase == 'Pending' and not pod.spec.node_name
    return is_waiting and not pod.is_gated and pod.deletion_ends is None


def _waiting(reading: Reading) -> Iterator[Figure]:
    counts: Counter[str] = Counter(dict.fromkeys(REASONS, 0))
    for pod in reading.cluster.pods:
        counts.update(_waiting_reasons(pod))
    others = sorted(counts.keys() - set(REASONS), key=lambda reason: (-counts[reason], reason))
    for reason in (*REASONS, *others[:OTHER_REASONS]):
        yield reading.figure('pods.waiting', counts[reason], reason=reason)
    if rest := others[OTHER_REASONS:]:
        yield reading.figure('pods.waiting', sum(counts[reason] for reason in rest), reason='other')


def _waiting_reasons(pod: Pod) -> set[str]:
    found = (entry.state.waiting.reason for entry in statuses(pod) if entry.state and entry.state.waiting)
    return {reason for reason in found if reason}


def _marks(reading: Reading, pod: Pod) -> Iterator[str]:
    yield from _container_marks(reading, pod)
    if pod.status.phase == 'Failed':
        yield 'failed'
        if pod.status.reason == 'Evicted':
            yield 'evicted'
    if pod.status.phase == 'Pending':
        yield from _pending_marks(reading, pod)
    if pod.is_live:
        yield from _live_marks(reading, pod)
    if pod.is_gated:
        yield 'gated'
    if pod.deletion_ends:
        yield 'terminating'
        if reading.age_minutes(pod.deletion_ends) > reading.thresholds['terminating_stuck_minutes']:
            yield 'terminating_stuck'


def _container_marks(reading: Reading, pod: Pod) -> Iterator[str]:
    entries, waiting = statuses(pod), _waiting_reasons(pod)
    if waiting & START_ERRORS:
        yield 'start_error'
    if 'CrashLoopBackOff' in waiting or any(_is_looping(reading, entry) for entry in entries):
        yield 'crash_looping'
    if waiting & set(reading.instance.get('image_pull_error_reasons') or PULL_ERRORS):
        yield 'image_pull_errors'
    if any(entry.restart_count > reading.thresholds['high_restarts'] for entry in entries):
        yield 'high_restarts'
    since = reading.now - timedelta(hours=24)
    ends = [end for entry in entries for end in _ends(entry)]
    if any(end.reason == 'OOMKilled' and end.finished_at and end.finished_at >= since for end in ends):
        yield 'oomkilled_24h'


def _pending_marks(reading: Reading, pod: Pod) -> Iterator[str]:
    yield 'pending'
    scheduled = _condition(pod, 'PodScheduled')
    assigned = scheduled.last_transition_time if scheduled and scheduled.status == 'True' else None
    is_waiting = not (pod.is_gated or _is_initializing(pod) or (pod.is_queued and not assigned))
    if is_waiting and reading.age_minutes(assigned or pod.created) > reading.thresholds['pending_stuck_minutes']:
        yield 'pending_stuck'
    if pod.is_unschedulable:
        yield 'unschedulable'


def _live_marks(reading: Reading, pod: Pod) -> Iterator[str]:
    yield 'running'
    if not has_condition(pod.status.conditions, 'Ready', 'True'):
        yield 'not_ready'
        ready = _condition(pod, 'Ready')
        since = ready.last_transition_time if ready and ready.reason != 'PodCompleted' else None
        if since and reading.age_minutes(since) > reading.thresholds['not_ready_minutes']:
            yield 'long_not_ready'
    by_container = UNITS.keys() - pod_level(pod).keys()
    if any(not requested(container, name) for container in apps_and_sidecars(pod) for name in by_container):
        yield 'no_requests'


def _condition(pod: Pod, kind: str) -> client.V1PodCondition | None:
    return next((one for one in pod.status.conditions or () if one.type == kind), None)


def _is_initializing(pod: Pod) -> bool:
    """Return whether an init container runs that is not a sidecar."""
    names = {container.name for container in pod.spec.init_containers or () if not is_sidecar(container)}
    return any(
        entry.name in names and entry.state and entry.state.running
        for entry in pod.status.init_container_statuses or ()
    )


def _ends(status: client.V1ContainerStatus) -> list[client.V1ContainerStateTerminated]:
    """Return the ends that the API shows, the latest first."""
    return [state.terminated for state in (status.state, status.last_state) if state and state.terminated]


def _is_looping(reading: Reading, status: client.V1ContainerStatus) -> bool:
    """Return whether a container was restarted twice, failed soon and has not run for long since."""
    ends = _ends(status)
    if status.restart_count < 2 or not ends or not ends[0].exit_code:
        return False
    started, finished = ends[0].started_at, ends[0].finished_at
    if not started or not finished:
        return False
    running = status.state.running if status.state else None
    since = (running and running.started_at) or finished
    return finished - started < STABLE and reading.now - since < STABLE

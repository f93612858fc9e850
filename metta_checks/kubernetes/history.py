"""The parts of a list of pods that the next one is compared with."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from ..core.stored import stored
from .container_states import ContainerStatus, Termination
from .records import Pod

# Kubelets report a restart late, and by clocks of their own.
LATE = timedelta(minutes=10)


@stored
class History:
    """The parts of the last list of pods that the next one is compared with.

    Attributes:
        restarts: number of restarts by pod uid and container; without those that were never restarted
        ooms: keys of OOMKilled ends that are still shown
        gated: uids of the pods that scheduling gates keep from the scheduler
        admitted: when pods that wait for a node were first seen without their gates, in seconds since the epoch, by uid
        read_at: the time of the reading, in seconds since the epoch
    """

    restarts: dict[str, int]
    ooms: frozenset[str]
    gated: frozenset[str]
    admitted: dict[str, float]
    read_at: float

    @classmethod
    def of(cls, pods: Iterable[Pod], now: datetime, previous: History | None) -> History:
        """Return the history that these pods leave."""
        restarts: dict[str, int] = {}
        ooms: set[str] = set()
        gated: set[str] = set()
        admitted: dict[str, float] = {}
        for pod in pods:
            for status in pod.statuses:
                if status.restarts:
                    restarts[status_key(pod, status)] = status.restarts
                ooms.update(_oom_key(pod, status, end) for end in status.oom_kills)
            if pod.gated:
                gated.add(pod.uid)
            elif pod.waits_for_node and (since := _admitted(pod, now, previous)) is not None:
                admitted[pod.uid] = since
        return cls(restarts, frozenset(ooms), frozenset(gated), admitted, now.timestamp())

    def new_restarts(self, pod: Pod, status: ContainerStatus) -> int:
        """Return the restarts of a container since this reading."""
        known = self.restarts.get(status_key(pod, status))
        if known is None:
            known = status.restarts if self._is_missed(pod, status.changed_at) else 0
        return max(0, status.restarts - known)

    def new_oom_kills(self, pod: Pod, status: ContainerStatus) -> set[str]:
        """Return the keys of the OOMKilled ends of a container since this reading."""
        ends = (end for end in status.oom_kills if not self._is_missed(pod, end.finished_at))
        return {_oom_key(pod, status, end) for end in ends} - self.ooms

    def _is_missed(self, pod: Pod, moment: datetime | None) -> bool:
        """Return True for something that this reading would have shown if it had had the pod.

        A list can lack a pod once, and a namespace can be forbidden for a while.
        """
        times = [one.timestamp() for one in (pod.created, moment) if one is not None]
        return len(times) == 2 and max(times) < self.read_at - LATE.total_seconds()


def status_key(pod: Pod, status: ContainerStatus) -> str:
    """Return the key of a container's restarts."""
    return f'{pod.uid}/{status.container}'


def _admitted(pod: Pod, now: datetime, previous: History | None) -> float | None:
    """Return when a pod was first seen without its gates; None when it is not known to have had any.

    The API does not tell when gates were removed.
    """
    if previous is not None and pod.uid in previous.admitted:
        return previous.admitted[pod.uid]
    had_gates = pod.admitted_by_kueue or (previous is not None and pod.uid in previous.gated)
    return now.timestamp() if had_gates else None


def _oom_key(pod: Pod, status: ContainerStatus, end: Termination) -> str:
    finished_at = end.finished_at.isoformat() if end.finished_at else ''
    return f'{status_key(pod, status)}/{end.container_id}/{finished_at}'

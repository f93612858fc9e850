"""States of containers: waiting, ended, and failing again and again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..core.fields import moment
from ..core.times import seconds_between

OOM_KILLED = 'OOMKilled'
CRASH_LOOP = 'CrashLoopBackOff'
# A container that was restarted this often in a short time is in a crash loop, even if it runs when it is read.
LOOPING_RESTARTS = 2
# The kubelet forgets the crashes of a container once it has run for this long.
STABLE_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Termination:
    """An end of a container."""

    container_id: str
    reason: str
    exit_code: int | None
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def failed(self) -> bool:
        """True when the exit code is known and other than 0."""
        return self.exit_code not in (0, None)

    @classmethod
    def parse(cls, entry: Mapping[str, Any]) -> Termination:
        """Return the end of a container from its `terminated` state."""
        return cls(
            container_id=entry.get('containerID') or '',
            reason=entry.get('reason') or '',
            exit_code=entry.get('exitCode'),
            started_at=moment(entry.get('startedAt')),
            finished_at=moment(entry.get('finishedAt')),
        )


@dataclass(frozen=True, slots=True)
class ContainerStatus:
    """The status of a regular or init container that waits, ended or was restarted.

    Attributes:
        container: name of the container
        stopped: True when it does not run: it waits or has ended
        waiting: the reason for waiting; empty when it does not wait
        running_since: None when it does not run
        terminations: its known ends, the latest first
    """

    container: str
    stopped: bool
    restarts: int
    waiting: str
    running_since: datetime | None
    terminations: tuple[Termination, ...]

    @property
    def last_exit_failed(self) -> bool:
        """True when the latest known end had an exit code other than 0."""
        return bool(self.terminations) and self.terminations[0].failed

    @property
    def changed_at(self) -> datetime | None:
        """When it began to run, or ended; None when no time is known."""
        return self.running_since or next((end.finished_at for end in self.terminations), None)

    @property
    def oom_kills(self) -> Iterator[Termination]:
        """The known ends for lack of memory."""
        return (end for end in self.terminations if end.reason == OOM_KILLED)

    def is_looping(self, now: datetime) -> bool:
        """Return True for a container in a crash loop, as far as one reading tells.

        It waits for that reason; or it was restarted at least twice, its last run failed within ten minutes, and the
        present one, if any, is younger than that. Times that are missing tell nothing.
        """
        if self.waiting == CRASH_LOOP:
            return True
        if self.restarts < LOOPING_RESTARTS or not self.last_exit_failed:
            return False
        last = self.terminations[0]
        if last.started_at is None or last.finished_at is None:
            return False
        since = self.running_since or last.finished_at
        lasted = seconds_between(last.started_at, last.finished_at)
        return lasted < STABLE_SECONDS and seconds_between(since, now) < STABLE_SECONDS

    @classmethod
    def parse(cls, entry: Mapping[str, Any]) -> ContainerStatus | None:
        """Return the status of a container, None for one that runs and was never restarted."""
        state, last_state = entry.get('state') or {}, entry.get('lastState') or {}
        stopped = state.get('waiting') is not None or state.get('terminated') is not None
        waiting = (state.get('waiting') or {}).get('reason') or ''
        ends = (one.get('terminated') for one in (state, last_state))
        terminations = tuple(Termination.parse(end) for end in ends if end is not None)
        restarts = entry.get('restartCount') or 0
        if not (stopped or terminations or restarts):
            return None
        running = state.get('running')
        since = moment(running.get('startedAt')) if running else None
        return cls(entry['name'], stopped, restarts, waiting, since, terminations)


def runs(entry: Mapping[str, Any]) -> bool:
    """Return True for the status of a container that runs."""
    return (entry.get('state') or {}).get('running') is not None

"""When a run began and ended, and how long it ran: also for runs that were recorded offline and sent later.

For those, the server knows the time of the upload. The run's own record of its times is in its summary. The time of
creation comes from the clock of the run's machine, heartbeats and running times from that of the server.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..core.fields import amount, mapping

# Summary keys that the SDK writes itself.
SUMMARY_KEYS = ('_wandb', '_runtime', '_timestamp')
# The server and the run measure the running time of an online run differently by less.
TOLERANCE_SECONDS = 60
# Later times are damage, such as milliseconds.
MAX_TIMESTAMP = 4e9


class RunTimes(NamedTuple):
    """The times of a run in seconds since the epoch.

    Attributes:
        begin: when it began
        end: its last sign of life
        running_seconds: the running time without pauses; None when the server does not send it
    """

    begin: float
    end: float
    running_seconds: float | None


def run_times(
    created: float, heartbeat: float | None, compute_seconds: float | None, summary: Mapping[str, Any]
) -> RunTimes:
    """Return the times of a run.

    A run that recorded a longer running time than the server saw was sent later: its own times count. A run that was
    created after its last heartbeat has a machine whose clock is ahead: its running time tells when it began.
    """
    end = created if heartbeat is None else heartbeat
    if created > end:
        created = end - (compute_seconds or 0.0)
    logged_seconds = amount(summary.get('_runtime'))
    recorded = amount((mapping(summary.get('_wandb')) or {}).get('runtime'))
    runtime = logged_seconds if recorded is None else recorded
    if compute_seconds is None or runtime is None or runtime <= compute_seconds + TOLERANCE_SECONDS:
        return RunTimes(created, end, compute_seconds)
    logged_at = amount(summary.get('_timestamp'))
    if logged_at is None or logged_seconds is None or logged_at > MAX_TIMESTAMP:
        return RunTimes(created, end, _bounded(compute_seconds, runtime, end - created))
    started = logged_at - logged_seconds
    begin = min(created, started)
    end = max(begin, min(end, started + max(runtime, logged_seconds)))
    return RunTimes(begin, end, _bounded(compute_seconds, runtime, end - begin))


def _bounded(compute_seconds: float, runtime: float, life: float) -> float:
    """Return the recorded running time, at most the life of the run. It may count pauses of a resumed run."""
    return max(min(runtime, life), min(compute_seconds, life), 0.0)

"""Options of the W&B service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..options import ServiceOptions

MAIN = 'metta'
EVALS = 'metta-evals'

HeartbeatFilter = Literal['yes', 'error', 'ignore', 'never']
RateHeaders = Literal['always', 'on_429']


@dataclass(frozen=True)
class WandbOptions(ServiceOptions):
    """Options of the W&B service. `scale` is that of the history, not of the running jobs.

    Attributes:
        week_scale: scale of the runs that ended in the last seven days; None: that of the history
        activity: runs start, end and crash while time passes
        heartbeat_filter: `yes`; `error`, `ignore` or `never` for servers that do not filter by heartbeatAt
        old_schema: no computeSeconds, runInfo, updatedAt, nor `keys`
        rate_headers: `always`, or `on_429` only
        projects: names of the projects that are served
    """

    week_scale: float | None = None
    activity: bool = True
    heartbeat_filter: HeartbeatFilter = 'yes'
    old_schema: bool = False
    rate_headers: RateHeaders = 'always'
    projects: Sequence[str] = (MAIN, EVALS)

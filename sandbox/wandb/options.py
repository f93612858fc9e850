"""Options of the W&B service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ..options import ServiceOptions

MAIN = 'metta'
EVALS = 'metta-evals'
# Projects with rare situations: the one has all facts that the figures need, the other lacks some.
FLEET = 'metta-fleet'
UNCLEAR = 'metta-unclear'

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
        missing_fields: `Type.field` and `Type.field.argument` that the schema lacks, such as `Run.host`
        rate_headers: `always`, or `on_429` only
        clock_skew: seconds by which the server's clock is ahead of the client's; negative: behind
        denied_projects: projects that are answered with the GraphQL error "permission denied"
        rare: two further projects with machines that several runs share, runs on several machines, missing metadata,
            resumed, preempted and offline runs, and unusual names of GPUs; see rare.py
        projects: names of the projects that are served; None: all
        instance_options: further options of the instance that reads the service; the truth follows them
    """

    week_scale: float | None = None
    activity: bool = True
    heartbeat_filter: HeartbeatFilter = 'yes'
    old_schema: bool = False
    missing_fields: Sequence[str] = ()
    rate_headers: RateHeaders = 'always'
    clock_skew: float = 0.0
    denied_projects: Sequence[str] = ()
    rare: bool = False
    projects: Sequence[str] | None = None
    instance_options: Mapping[str, Any] = field(default_factory=dict)

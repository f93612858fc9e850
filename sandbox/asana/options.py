"""Options of the Asana service."""

from __future__ import annotations

from dataclasses import dataclass

from ..options import ServiceOptions


@dataclass(frozen=True)
class Amounts:
    """Amounts in the workspace. None: in proportion to `scale`.

    Attributes:
        tasks: number of tasks, subtasks included
        projects: number of projects that are not archived; by `scale` never fewer than at scale 1
        bugs: number of the tasks that are bugs
    """

    tasks: int | None = None
    projects: int | None = None
    bugs: int | None = None


@dataclass(frozen=True)
class Behavior:
    """Behavior of the API.

    Attributes:
        premium: paid plan; search is answered with 402 without it, and the rate limit is that of a free workspace
        rate_limit: requests per minute; None: as the plan has it
        search_lag: seconds until search finds a change
        offset_seconds: lifetime of an offset
        status_types: projects carry status_type; without, only the older color
    """

    premium: bool = True
    rate_limit: int | None = None
    search_lag: float = 15.0
    offset_seconds: float = 600.0
    status_types: bool = True


@dataclass(frozen=True)
class AsanaOptions(Amounts, Behavior, ServiceOptions):
    """Options of the Asana service.

    Attributes:
        activity: people work while time passes
        creations: and create tasks
        tasks_total: the check reports tasks.total
    """

    activity: bool = True
    creations: bool = True
    tasks_total: bool = True

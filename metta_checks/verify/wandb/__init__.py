"""W&B's figures through W&B's own SDK: every run of the project, page by page, and plain loops over the runs.

The SDK's list of runs lacks the running time, the host and the hardware, which come from additional GraphQL queries.
So do the states of the sweeps, each of which is a request with the SDK. Cost: 2 requests per 100 runs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from .. import Figure, NoSeries, Recomputed
from .changes import Earlier
from .project import Project
from .reading import PER_PAGE, SWEEPS, Extras, Lists, Run, sdk

__all__ = ['LEFT_OUT', 'recompute']

# Why a metric is not recomputed, by its name without the prefix.
LEFT_OUT: Mapping[str, str] = {
    'runs.finished': 'needs two readings: option --interval',
    'training.run_duration_hours': 'a histogram of the running times that runs.finished counts',
}
# The figures of changes are recomputed from two readings.
COMPARES_READINGS = True
# The rate limit of W&B's API, which the check uses up, too.
LIMITED_BY = 'graphql'


def expected_requests(instance: Mapping[str, Any], totals: Mapping[str, float]) -> float:
    """Return about how many requests a comparison sends, from the check's figures: two lists of the runs."""
    projects = len(instance.get('projects') or ()) or 1
    requests = 1 + 2 * _pages(totals['runs.total'], projects)
    if not instance.get('projects'):
        requests += 1
    if instance.get('sweeps'):
        requests += _pages(totals['sweeps.count'], projects)
    return requests


def _pages(rows: float, projects: int) -> float:
    """Return about how many pages the lists of all projects have together. On average, the last ones are half full."""
    return max(projects, rows / PER_PAGE + projects / 2)


def recompute(instance: Mapping[str, Any], now: datetime, before: Mapping[str, Earlier] | None = None) -> Recomputed:
    """Return every gauge that the instance shows, for each of its projects; with an earlier reading, also changes.

    `gpus.in_use` is omitted for types of earlier refreshes, which the source shows as 0.

    Raises the SDK's own errors (CommError, ValueError) and those of `requests`. Leaves no files or settings behind.
    """
    figures: list[Figure | NoSeries] = []
    readings: dict[str, Earlier] = {}
    sent = 1  # for the viewer, asked by the SDK itself
    with sdk(instance) as api:
        entity = instance['entity']
        projects = list(instance.get('projects') or ())
        if not projects:
            projects = [project.name for project in api.projects(entity, per_page=PER_PAGE)]
            sent += max(1, math.ceil(len(projects) / PER_PAGE))
        for name in projects:
            lists = Lists(instance, name)
            extras = Extras.of(lists, now)
            # Not list(): it hides an error of the SDK in a row, and then there are no runs.
            listed = api.runs(f'{entity}/{name}', per_page=PER_PAGE, lazy=False)
            runs = [Run.of(run, extras.of_run(run.id), instance) for run in listed]
            project = Project(instance, name, runs, extras)
            figures += project.figures()
            readings[name] = Earlier.of(runs, project.now)
            if before is None or name in before:
                figures += project.changes(before[name] if before else None)
            if instance.get('sweeps'):
                figures += project.of_sweeps(row['state'] for row in lists.rows(SWEEPS, ['state']))
            sent += lists.sent + max(1, math.ceil(len(runs) / PER_PAGE))
    return Recomputed.of(figures, sent, readings)

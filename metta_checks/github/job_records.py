"""Records of the jobs of workflow runs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from ..core.fields import integer, items, moment, text
from .connections import GITHUB
from .run_records import Run, WorkflowKey

NO_LABELS = 'none'


class Job(NamedTuple):
    """A job of an attempt of a workflow run."""

    id: int
    run: int
    attempt: int
    workflow_key: WorkflowKey
    name: str
    # The labels that it asks a runner for, in lower case, sorted and joined by `+`.
    label: str
    # Empty while unfinished.
    conclusion: str
    created: datetime | None
    # When it started on a runner; None when it never did.
    started: datetime | None
    completed: datetime | None

    @classmethod
    def parse(cls, value: Mapping[str, Any], run: Run, attempt: int) -> Job:
        """Read a job of REST, of an attempt of a run. Raises BadPayload without an id."""
        labels = sorted({label.lower() for one in items(value.get('labels')) or () if (label := text(one))})
        return cls(
            id=GITHUB.required(integer, value, 'id', 'job'),
            run=run.id,
            attempt=attempt,
            workflow_key=run.workflow_key,
            name=text(value.get('name')) or 'unknown',
            label='+'.join(labels) or NO_LABELS,
            conclusion=text(value.get('conclusion')) or '',
            created=moment(value.get('created_at')),
            started=_started(value),
            completed=moment(value.get('completed_at')),
        )


def _started(job: Mapping[str, Any]) -> datetime | None:
    """Return when a job started on a runner.

    This is `started_at`, or the start of the first step where that is later: GitHub does not always correct
    `started_at` when a runner takes the job. A job that never got a runner has a `started_at`, too.
    """
    if not GITHUB.optional(integer, job, 'runner_id') or job.get('conclusion') == 'skipped':
        return None
    steps = (moment(step.get('started_at')) for step in GITHUB.parts(job, 'steps'))
    first = min((at for at in steps if at is not None), default=None)
    stated = moment(job.get('started_at'))
    return max((at for at in (stated, first) if at is not None), default=None)

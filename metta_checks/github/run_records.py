"""Records of GitHub's workflow runs and of their attempts.

Records that are stored between refreshes are named tuples, so that rows are small in memory and as JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ..core.fields import integer, moment, objects, text
from ..core.times import seconds_between
from .connections import GITHUB

# Statuses and conclusions of workflow runs.
COMPLETED = 'completed'
IN_PROGRESS = 'in_progress'
QUEUED = frozenset({'queued', 'requested', 'pending', 'waiting'})
FAILED = frozenset({'failure', 'timed_out', 'startup_failure'})
PASSED = frozenset({'success', 'neutral'})
# Conclusions of runs whose jobs were executed to an end, so that their duration means something.
EXECUTED = frozenset({'success', 'failure', 'timed_out'})

# A run that has not started for this long waits: for a runner, an approval, or another run of its concurrency group.
START_DELAY = timedelta(minutes=1)

RUNS_PAGE = 100
# GitHub lists at most a thousand workflow runs of any filter, whatever its pages and totals say.
RUNS_CAP = 1000
# Paths of workflows that GitHub supplies: dynamic/dependabot/dependabot-updates.
DYNAMIC = 'dynamic/'

# Identifies a workflow: GitHub's number, or the name where an answer lacks it.
WorkflowKey = int | str


class EndedAttempt(NamedTuple):
    """An attempt of a run, with the end that GitHub stated when the attempt was first seen to have ended."""

    number: int
    # Empty for an attempt that GitHub no longer shows, after a second look.
    conclusion: str
    started: datetime
    ended: datetime


class Run(NamedTuple):
    """A workflow run. `attempt` and `updated` never decrease."""

    id: int
    workflow_key: WorkflowKey
    # The name of the workflow at the time of the run.
    workflow: str
    # False when GitHub shows the path of the file as the name: the workflow has none, or its file is broken.
    named: bool
    status: str
    # Empty while unfinished.
    conclusion: str
    event: str
    created: datetime
    # Start of the last attempt.
    started: datetime
    updated: datetime
    attempt: int
    # True for a run of the repository's own code: not started by a pull request, and not of a fork.
    own: bool
    branch: str
    sha: str
    # End of the last attempt, as first seen; None while unfinished.
    ended: datetime | None = None
    # True when the last attempt was seen to wait.
    waited: bool = False
    # The last attempt that was counted in the count `ci.runs`.
    counted: int = 0
    # The earlier attempts that are known to have ended, the oldest first.
    earlier: tuple[EndedAttempt, ...] = ()
    # The numbers of the earlier attempts that GitHub did not show when they were asked for, once.
    not_shown: tuple[int, ...] = ()

    @property
    def finished(self) -> bool:
        """True when the last attempt has ended."""
        return self.status == COMPLETED

    @property
    def run_time(self) -> float | None:
        """Seconds that the last attempt took, never negative; None while unfinished, and when it was seen to wait."""
        return None if self.ended is None or self.waited else seconds_between(self.started, self.ended)

    @property
    def attempts(self) -> tuple[EndedAttempt, ...]:
        """The attempts that are known to have ended, the oldest first."""
        if self.ended is None:
            return self.earlier
        return (*self.earlier, EndedAttempt(self.attempt, self.conclusion, self.started, self.ended))

    @property
    def missing_attempts(self) -> list[int]:
        """The numbers of the earlier attempts of which the end is not known, the newest first."""
        known = {one.number for one in self.earlier}
        return [number for number in range(self.attempt - 1, 0, -1) if number not in known]

    @property
    def is_flaky(self) -> bool:
        """True when the last finished attempt succeeded after an earlier one had failed."""
        attempts = self.attempts
        return (
            bool(attempts)
            and attempts[-1].conclusion == 'success'
            and any(one.conclusion in FAILED for one in attempts[:-1])
        )

    def with_attempt(self, found: EndedAttempt) -> Run:
        """Return the run with an earlier attempt that was missing; it ended before the next one began."""
        next_start = min((one.started for one in self.attempts if one.number > found.number), default=self.started)
        found = found._replace(ended=min(found.ended, next_start))
        earlier = sorted((*self.earlier, found), key=lambda one: one.number)
        return self._replace(earlier=tuple(earlier))

    def without_attempt(self, number: int) -> Run:
        """Return the run after GitHub did not show an earlier attempt; it has no conclusion from the second time on."""
        if number not in self.not_shown:
            return self._replace(not_shown=(*self.not_shown, number))
        return self.with_attempt(EndedAttempt(number, '', self.created, self.created))

    def seen(self, known: Run | None, now: datetime) -> Run:
        """Return the row as seen now, with what was seen of the run before."""
        if known is None:
            return self._replace(waited=self._waits(now))
        if (self.attempt, self.updated) < (known.attempt, known.updated):
            # An older copy from GitHub's index.
            return known
        if (self.attempt, self.status, self.conclusion) == (known.attempt, known.status, known.conclusion):
            ended, earlier = known.ended, known.earlier
        else:
            # A run that is run again can be unfinished for a while under the number of the attempt that has ended.
            ended, earlier = self.ended, known.attempts
        waited = self._waits(now) or (known.waited and self.attempt == known.attempt)
        return self._replace(
            ended=ended, earlier=earlier, waited=waited, counted=known.counted, not_shown=known.not_shown
        )

    def _waits(self, now: datetime) -> bool:
        return self.status in QUEUED and now - self.started > START_DELAY

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> Run:
        """Read a run of REST. Raises BadPayload without id or created_at."""
        created = GITHUB.required(moment, value, 'created_at', 'workflow run').replace(microsecond=0)
        status = text(value.get('status')) or ''
        name = workflow_label(value.get('name'), value.get('path'))
        updated = (moment(value.get('updated_at')) or created).replace(microsecond=0)
        number = GITHUB.optional(integer, value, 'workflow_id')
        return cls(
            id=GITHUB.required(integer, value, 'id', 'workflow run'),
            workflow_key=name if number is None else number,
            workflow=name,
            named=text(value.get('name')) not in (None, '', _path(value.get('path'))),
            status=status,
            conclusion=(text(value.get('conclusion')) or '') if status == COMPLETED else '',
            event=text(value.get('event')) or '',
            created=created,
            started=(moment(value.get('run_started_at')) or created).replace(microsecond=0),
            updated=updated,
            attempt=GITHUB.optional(integer, value, 'run_attempt') or 1,
            own=_is_own(value),
            branch=text(value.get('head_branch')) or '',
            sha=text(value.get('head_sha')) or '',
            ended=updated if status == COMPLETED else None,
        )


def _is_own(run: Mapping[str, Any]) -> bool:
    if (text(run.get('event')) or '').startswith('pull_request'):
        return False
    head = GITHUB.part(run, 'head_repository').get('id')
    return head is not None and head == GITHUB.part(run, 'repository').get('id')


def _path(path: Any) -> str:
    return (text(path) or '').split('@')[0]


def workflow_label(name: Any, path: Any) -> str:
    """Return the name of a workflow, else the name of its file, else `unknown`.

    The runs of GitHub's own workflows, such as those of Dependabot, have all sorts of names: their path counts.
    """
    file = _path(path).rsplit('/', 1)[-1]
    return file if _path(path).startswith(DYNAMIC) else text(name) or file or 'unknown'


def workflow_names(runs: Iterable[Run]) -> dict[WorkflowKey, str]:
    """Return the present name of each workflow: that of its newest run under a name, else of its newest run."""
    newest: dict[WorkflowKey, Run] = {}
    for run in runs:
        other = newest.get(run.workflow_key)
        if other is None or (run.named, run.created, run.id) > (other.named, other.created, other.id):
            newest[run.workflow_key] = run
    return {key: run.workflow for key, run in newest.items()}


@dataclass(frozen=True, slots=True)
class RunPage:
    """A page of workflow runs, which GitHub lists by page number.

    Attributes:
        runs: the runs
        total: GitHub's count of the runs on all pages, which may stop at 1,000
    """

    runs: tuple[Run, ...]
    total: int

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> RunPage:
        """Read a page of REST. Raises BadPayload without the runs or their count."""
        rows = GITHUB.required(objects, body, 'workflow_runs', 'page of workflow runs')
        count = GITHUB.required(integer, body, 'total_count', 'page of workflow runs')
        return cls(tuple(map(Run.parse, rows)), count)

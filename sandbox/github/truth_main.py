"""The true state of the default branch: what the ends of attempts said about it, also before the last week."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatch

from .model import Repository, Run
from .spread import Row, spread

WEEK = timedelta(days=7)
PASSED = ('success', 'neutral')
DECISIVE = (*PASSED, 'failure', 'timed_out', 'startup_failure')
# Events whose runs decide about the default branch; the merge queue runs on a branch of its own.
EVENTS = ('push', 'schedule', 'workflow_dispatch')
QUEUE_EVENT = 'merge_group'
# Runs before the last week among which every workflow has one.
PAST_RUNS = 500


def on_default_branch(run: Run, repository: Repository) -> bool:
    """Return whether a run is about the code of the default branch of the repository itself."""
    own = run.head_branch == repository.default_branch or run.head_branch in repository.former_branches
    return own and not run.event.startswith('pull_request') and run.head == 'own'


@dataclass(frozen=True, slots=True)
class Verdict:
    """The end of an attempt that passed or failed."""

    workflow: int
    # The run: a later one outweighs an earlier one, however late their attempts end.
    order: tuple[datetime, int]
    moment: datetime
    passed: bool


class DefaultBranch:
    """The verdicts about the default branch until `now`. `labels`: names of the workflows of the week by number."""

    def __init__(self, repository: Repository, labels: dict[int, str], now: datetime) -> None:
        self.repository = repository
        self.now = now
        past = range(len(repository.runs.recent), min(len(repository.runs), len(repository.runs.recent) + PAST_RUNS))
        runs = [*repository.runs.recent, *(repository.runs[index] for index in past)]
        # A workflow that did not run in the week has the name of its last run.
        self.labels = {run.workflow_id: run.name for run in reversed(runs) if run.name} | labels
        self.verdicts = sorted(
            (verdict for run in runs if run.created_at <= now for verdict in self._verdicts(run)),
            key=lambda verdict: verdict.moment,
        )

    def _verdicts(self, run: Run) -> Iterator[Verdict]:
        if run.path in self.repository.deleted_files:
            return
        queued = run.event == QUEUE_EVENT and (run.head_branch or '').startswith(
            f'gh-readonly-queue/{self.repository.default_branch}/'
        )
        if not queued and not (run.event in EVENTS and on_default_branch(run, self.repository)):
            return
        landed = {commit.oid for commit in self.repository.commits.recent} if queued else set()
        for attempt in run.attempts():
            if attempt.conclusion not in DECISIVE or attempt.updated_at > self.now:
                continue
            passed = attempt.conclusion in PASSED
            # A failure in the queue keeps its commits out of the default branch.
            if passed or not queued or run.head_sha in landed:
                yield Verdict(run.workflow_id, (run.created_at, run.id), attempt.updated_at, passed)

    def _of(self, patterns: tuple[str, ...]) -> list[Verdict]:
        """Return the verdicts of the workflows that match a pattern; none if a pattern matches no workflow."""
        workflows = {verdict.workflow: self.labels.get(verdict.workflow, '').lower() for verdict in self.verdicts}
        chosen: set[int] = set()
        for pattern in patterns:
            fits = {number for number, label in workflows.items() if fnmatch(label, pattern.lower())}
            if not fits:
                return []
            chosen |= fits
        return [verdict for verdict in self.verdicts if verdict.workflow in chosen]

    def state(self, patterns: tuple[str, ...]) -> float | None:
        """Return 1 if the newest run with a verdict passed for every matching workflow, else 0; None without one."""
        greens = list(_greens(self._of(patterns)))
        return float(greens[-1][1]) if greens else None

    def red_and_green(self, patterns: tuple[str, ...]) -> Iterator[Row]:
        """Compute the outages, judged whenever an attempt ended."""
        start = self.now - WEEK
        spells: list[tuple[datetime, datetime]] = []
        red_since: datetime | None = None
        last_green: datetime | None = None
        greens = list(_greens(self._of(patterns)))
        for index, (moment, green) in enumerate(greens):
            if green and red_since is not None:
                spells.append((red_since, moment))
                red_since = None
            elif not green and red_since is None:
                red_since = moment
                last_green = moment if index else None
        if not greens:
            return
        spells = [(begin, end) for begin, end in spells if end >= start]
        open_spell = [] if red_since is None else [(red_since, self.now)]
        red = sum((end - max(begin, start)).total_seconds() for begin, end in spells + open_spell)
        yield 'main.red_hours_7d', red / 3600, {}
        if red_since is None:
            yield 'main.last_green_age_hours', 0.0, {}
        elif last_green is not None and last_green >= start:
            yield 'main.last_green_age_hours', (self.now - last_green).total_seconds() / 3600, {}
        lengths = [(end - begin).total_seconds() / 3600 for begin, end in spells]
        yield from spread('main.time_to_green_hours', lengths, ('p50', 'max'))


def _greens(verdicts: list[Verdict]) -> Iterator[tuple[datetime, bool]]:
    """Yield, for every verdict, its time and whether then the newest run of every workflow had passed."""
    deciding: dict[int, Verdict] = {}
    for verdict in verdicts:
        other = deciding.get(verdict.workflow)
        if other is None or verdict.order >= other.order:
            deciding[verdict.workflow] = verdict
        yield verdict.moment, all(one.passed for one in deciding.values())

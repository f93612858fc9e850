"""Figures of the state of the default branch, from the workflow runs and checks of its commits."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import itemgetter

from ...core.refresh import Sample
from ...core.stats import summary
from ...core.times import hours_between
from ..branch_history import BranchHistory, DefaultBranch, Selection
from ..run_records import Run, WorkflowKey
from ..verdicts import MainRuns, effective
from .ci import CiSettings, matches

WEEK = timedelta(days=7)
FINAL_ROLLUPS = frozenset({'success', 'failure', 'error'})


@dataclass(frozen=True, slots=True)
class Outage:
    """A time during which a required workflow failed on the default branch."""

    start: datetime
    end: datetime

    @property
    def hours(self) -> float:
        """The duration in hours."""
        return hours_between(self.start, self.end)


@dataclass(frozen=True, slots=True)
class Outages:
    """The outages of the default branch in the window.

    Attributes:
        ended: the outages that have ended, the oldest first
        began: the start of the one that goes on; None without one
        has_passed: whether all required workflows were seen to pass at some time
    """

    ended: tuple[Outage, ...]
    began: datetime | None
    has_passed: bool

    def hours_within(self, start: datetime, now: datetime) -> float:
        """Return the hours of all outages that lie between two times."""
        current = () if self.began is None else (Outage(self.began, now),)
        return sum(hours_between(max(one.start, start), min(one.end, now)) for one in (*self.ended, *current))


def is_decided(rollups: Iterable[str]) -> bool:
    """Return True if the checks of one of these commits have finished, or none of them has any."""
    states = set(rollups)
    return not states.isdisjoint(FINAL_ROLLUPS) or states <= {''}


def measure(
    branch: DefaultBranch, rollups: Sequence[str] | None, settings: CiSettings, now: datetime
) -> Iterator[Sample]:
    """Yield the gauges of the default branch.

    `rollups` are the states of the checks of its newest commits, the newest first; None when they are unknown.
    """
    if settings.required:
        yield Sample('ci.tests_passing_on_main', _passing(branch.history, branch.required))
        yield from _outages(branch, now)
    elif rollups is not None:
        final = next((state for state in rollups if state in FINAL_ROLLUPS), None)
        yield Sample('ci.tests_passing_on_main', None if final is None else int(final == 'success'))
    yield Sample('ci.benchmarks_passing', _passing(branch.history, branch.benchmarks))


def deciding(runs: Collection[Run], main: MainRuns, settings: CiSettings) -> frozenset[int]:
    """Return the ids of the runs of the default branch of required workflows and of benchmarks."""
    patterns = (*settings.required, *settings.benchmarks)
    keys = {run.workflow_key for run in runs if matches(run.workflow, patterns)}
    return frozenset(run.id for run in runs if run.workflow_key in keys and main.includes(run))


def _passing(history: BranchHistory, selection: Selection) -> int | None:
    """Return 0 when a workflow fails; None when none does and some are unknown."""
    if history.failing(selection.workflows):
        return 0
    return 1 if selection.workflows and selection.is_complete else None


def outages(branch: DefaultBranch) -> Outages:
    """Return the times during which a required workflow failed.

    An outage begins when the attempt ends whose failure ends "all required workflows passed", and ends when the attempt
    ends that restores it. An attempt counts only when no newer run of its workflow has finished before it. A deleted
    workflow counts until then.
    """
    wanted = {*branch.required.workflows, *branch.required.deleted}
    changes: list[tuple[datetime, WorkflowKey, bool | None]] = [
        (one.ended, one.workflow, one.passed) for one in effective(branch.history.verdicts)
    ]
    changes += [(one.at, one.workflow, None) for one in branch.history.removals]
    state: dict[WorkflowKey, bool] = {}
    ended: list[Outage] = []
    began: datetime | None = None
    has_passed = False
    for at, workflow, passed in sorted((one for one in changes if one[1] in wanted), key=itemgetter(0)):
        if passed is None:
            state.pop(workflow, None)
        else:
            state[workflow] = passed
        if not all(state.values()):
            began = began or at
            continue
        has_passed = True
        if began is not None:
            ended.append(Outage(began, at))
            began = None
    return Outages(tuple(ended), began, has_passed)


def _outages(branch: DefaultBranch, now: datetime) -> Iterator[Sample]:
    start = now - WEEK
    if not branch.required.workflows or not branch.history.newest(branch.required.workflows):
        return
    found = outages(branch)
    if branch.history.knows_state_at(start, branch.required.workflows):
        yield Sample('main.red_hours_7d', found.hours_within(start, now))
    if found.has_passed:
        yield Sample('main.last_green_age_hours', 0 if found.began is None else hours_between(found.began, now))
    durations = [outage.hours for outage in found.ended if outage.end >= start]
    for name, value in summary(durations, ('p50', 'max')).items():
        yield Sample(f'main.time_to_green_hours.{name}', value)

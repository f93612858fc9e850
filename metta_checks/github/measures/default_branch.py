"""Figures of the state of the default branch, from the workflow runs and checks of its commits."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ...core.refresh import Sample
from ...core.stats import summary
from ...core.times import hours_between
from ..run_records import Run, WorkflowKey
from ..verdicts import MainRuns, Verdict, newest
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
    """Return True if the checks of one of these commits have finished."""
    return any(state in FINAL_ROLLUPS for state in rollups)


def measure(
    verdicts: Collection[Verdict], rollups: Sequence[str] | None, settings: CiSettings, now: datetime
) -> Iterator[Sample]:
    """Yield the gauges of the default branch.

    `rollups` are the states of the checks of its newest commits, the newest first; None when they are unknown.
    """
    if settings.required:
        required = matching(verdicts, settings.required)
        yield Sample('ci.tests_passing_on_main', _passing(required))
        yield from _outages(required, now)
    elif rollups is not None:
        final = next((state for state in rollups if state in FINAL_ROLLUPS), None)
        yield Sample('ci.tests_passing_on_main', None if final is None else int(final == 'success'))
    yield Sample('ci.benchmarks_passing', _passing(matching(verdicts, settings.benchmarks)))


def deciding(runs: Collection[Run], main: MainRuns, settings: CiSettings) -> frozenset[int]:
    """Return the ids of the runs of the default branch of required workflows and of benchmarks."""
    patterns = (*settings.required, *settings.benchmarks)
    keys = {run.workflow_key for run in runs if matches(run.workflow, patterns)}
    return frozenset(run.id for run in runs if run.workflow_key in keys and main.includes(run))


def matching(verdicts: Collection[Verdict], patterns: Collection[str]) -> list[Verdict]:
    """Return the verdicts on the workflows of which a name fits one of the patterns."""
    keys = {one.workflow for one in verdicts if matches(one.name, patterns)}
    return [one for one in verdicts if one.workflow in keys]


def _passing(verdicts: Iterable[Verdict]) -> int | None:
    latest = newest(verdicts)
    return int(all(one.passed for one in latest.values())) if latest else None


def outages(verdicts: Iterable[Verdict]) -> Outages:
    """Return the times during which a required workflow failed.

    An outage begins when the attempt ends whose failure ends "all required workflows passed", and ends when the attempt
    ends that restores it. An attempt counts only when no newer run of its workflow has finished before it.
    """
    latest: dict[WorkflowKey, Verdict] = {}
    ended: list[Outage] = []
    began: datetime | None = None
    has_passed = False
    for one in sorted(verdicts, key=lambda one: (one.ended, one.order)):
        known = latest.get(one.workflow)
        if known is not None and one.order < known.order:
            continue
        latest[one.workflow] = one
        if not all(each.passed for each in latest.values()):
            began = began or one.ended
            continue
        has_passed = True
        if began is not None:
            ended.append(Outage(began, one.ended))
            began = None
    return Outages(tuple(ended), began, has_passed)


def _outages(verdicts: Collection[Verdict], now: datetime) -> Iterator[Sample]:
    if not verdicts:
        return
    found = outages(verdicts)
    start = now - WEEK
    yield Sample('main.red_hours_7d', found.hours_within(start, now))
    if found.has_passed:
        yield Sample('main.last_green_age_hours', 0 if found.began is None else hours_between(found.began, now))
    durations = [outage.hours for outage in found.ended if outage.end >= start]
    for name, value in summary(durations, ('p50', 'max')).items():
        yield Sample(f'main.time_to_green_hours.{name}', value)

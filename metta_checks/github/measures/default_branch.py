"""Figures of the state of the default branch, from the workflow runs and checks of its commits."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ...core.refresh import Sample
from ...core.stats import summary
from ...core.times import hours_between
from ..records import FAILED, PASSED, Run
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


def measure(
    runs: Iterable[Run], branch: str, rollups: Sequence[str] | None, settings: CiSettings, now: datetime
) -> Iterator[Sample]:
    """Yield the gauges of the default branch.

    `rollups` are the states of the checks of its newest commits, the newest first; None when they are unknown.
    """
    concluded = passed_or_failed(runs, branch)
    if settings.required:
        yield Sample('ci.tests_passing_on_main', _passing(newest(concluded, settings.required)))
        yield from _outages(concluded, settings.required, now)
    elif rollups is not None:
        final = next((state for state in rollups if state in FINAL_ROLLUPS), None)
        yield Sample('ci.tests_passing_on_main', None if final is None else int(final == 'success'))
    yield Sample('ci.benchmarks_passing', _passing(newest(concluded, settings.benchmarks)))


def passed_or_failed(runs: Iterable[Run], branch: str) -> list[Run]:
    """Return the branch's own runs that passed or failed, without canceled, skipped and unfinished ones."""
    return [run for run in runs if run.own and run.branch == branch and run.conclusion in PASSED | FAILED]


def newest(runs: Iterable[Run], patterns: Collection[str]) -> dict[str, Run]:
    """Return the newest of these runs by workflow, of the workflows that fit the patterns."""
    result: dict[str, Run] = {}
    for run in runs:
        if matches(run.workflow, patterns) and not _is_older(run, result.get(run.workflow)):
            result[run.workflow] = run
    return result


def _is_older(run: Run, other: Run | None) -> bool:
    return other is not None and (run.created, run.id) <= (other.created, other.id)


def _passing(latest: Mapping[str, Run]) -> int | None:
    return int(all(run.conclusion in PASSED for run in latest.values())) if latest else None


def outages(runs: Iterable[Run], patterns: Collection[str]) -> Outages:
    """Return the times during which a required workflow failed.

    An outage begins when the run finishes whose failure ends "all required workflows passed", and ends when the run
    finishes that restores it. A run counts only when no newer run of its workflow has finished before it.
    """
    latest: dict[str, Run] = {}
    ended: list[Outage] = []
    began: datetime | None = None
    has_passed = False
    required = [run for run in runs if matches(run.workflow, patterns)]
    for run in sorted(required, key=lambda run: (run.updated, run.id)):
        if _is_older(run, latest.get(run.workflow)):
            continue
        latest[run.workflow] = run
        if any(one.conclusion in FAILED for one in latest.values()):
            began = began or run.updated
            continue
        has_passed = True
        if began is not None:
            ended.append(Outage(began, run.updated))
            began = None
    return Outages(tuple(ended), began, has_passed)


def _outages(runs: Collection[Run], patterns: Collection[str], now: datetime) -> Iterator[Sample]:
    if not newest(runs, patterns):
        return
    found = outages(runs, patterns)
    start = now - WEEK
    yield Sample('main.red_hours_7d', found.hours_within(start, now))
    if found.has_passed:
        yield Sample('main.last_green_age_hours', 0 if found.began is None else hours_between(found.began, now))
    durations = [outage.hours for outage in found.ended if outage.end >= start]
    for name, value in summary(durations, ('p50', 'max')).items():
        yield Sample(f'main.time_to_green_hours.{name}', value)

"""Figures of workflow runs and of the state of the default branch."""

from __future__ import annotations

import fnmatch
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ...core.refresh import Sample
from ...core.stats import percentage, summary, top
from ..records import EXECUTED, FAILED, IN_PROGRESS, PASSED, QUEUED, Run

HOUR = 3600
DAY = 24 * HOUR
WEEK = 7 * DAY
DEFAULT_TIMEOUT_MINUTES = 360
FINAL_ROLLUPS = frozenset({'success', 'failure', 'error'})
OTHER = 'other'


@dataclass(frozen=True, slots=True)
class CiSettings:
    """Options that shape the figures."""

    required: tuple[str, ...] = ()
    benchmarks: tuple[str, ...] = ('*benchmark*',)
    # Minutes by workflow pattern.
    timeouts: Mapping[str, float] = field(default_factory=dict)
    max_workflows: int = 30

    def limit_minutes(self, workflow: str) -> float:
        """The time limit of a workflow."""
        for pattern, minutes in self.timeouts.items():
            if matches(workflow, (pattern,)):
                return minutes
        return DEFAULT_TIMEOUT_MINUTES


def matches(workflow: str, patterns: Iterable[str]) -> bool:
    """Whether a workflow's name fits one of the patterns, in any case."""
    name = workflow.lower()
    return any(fnmatch.fnmatchcase(name, pattern.lower()) for pattern in patterns)


def measure(
    runs: Collection[Run],
    branch: str | None,
    rollups: Sequence[str] | None,
    settings: CiSettings,
    now: float,
    *,
    is_branch_known: bool = True,
) -> Iterator[Sample]:
    """All gauges of block ci.

    `branch` is the default branch, None without one and when it is not known; `rollups` the checks of its newest
    commits, newest first, None when unknown.
    """
    executed = [run for run in runs if run.conclusion in EXECUTED]
    failed = [run for run in runs if run.conclusion in FAILED]
    minutes = [run.run_time / 60 for run in executed]
    yield Sample('ci.workflow_runs_7d', len(runs))
    yield Sample('ci.failed_workflows_7d', len(failed))
    yield Sample('ci.failed_workflows_24h', sum(run.created >= now - DAY for run in failed))
    yield Sample('ci.timeout_cancellations_7d', sum(timed_out(run, settings) for run in runs))
    yield Sample('ci.flaky_checks_7d', sum(is_flaky(run) for run in runs))
    statistics = summary(minutes, ('avg', 'p50', 'p90', 'p99'))
    yield Sample('ci.avg_workflow_duration_minutes', statistics['avg'])
    for name in ('p50', 'p90', 'p99'):
        yield Sample(f'ci.duration_{name}_minutes', statistics[name])
    yield Sample('ci.runs_in_progress', sum(run.status == IN_PROGRESS for run in runs))
    yield Sample('ci.runs_queued', sum(run.status in QUEUED for run in runs))
    queued = [now - run.created for run in runs if run.status in ('queued', 'pending')]
    yield Sample('ci.oldest_queued_minutes', max(0.0, *queued) / 60 if queued else None)
    yield from _by_workflow(runs, settings)
    if is_branch_known:
        yield from _by_branch(runs, branch, settings)
    yield from _main(runs, branch, rollups, settings, now)


def timed_out(run: Run, settings: CiSettings) -> bool:
    """Whether a run ended at its time limit: GitHub reports a job stopped by `timeout-minutes` as cancelled."""
    if run.conclusion == 'timed_out':
        return True
    return run.conclusion == 'cancelled' and run.run_time >= 60 * settings.limit_minutes(run.workflow)


def is_flaky(run: Run) -> bool:
    """Whether a run succeeded only when run again."""
    return run.attempt > 1 and run.conclusion == 'success'


def labels(runs: Iterable[Run], limit: int) -> dict[str, str]:
    """The label of each workflow: its name for the most frequent ones, `other` for the rest."""
    # In lower case, as Datadog stores tags: `CI` and `ci` are one series.
    names = [run.workflow for run in runs]
    kept = top(Counter(map(str.lower, names)), limit)
    return {name: name.lower() if name.lower() in kept else OTHER for name in names}


def run_tags(run: Run, label: Mapping[str, str], branch: str | None) -> dict[str, str]:
    """Tags of the breakdowns of runs."""
    return {
        'workflow': label.get(run.workflow, OTHER),
        'conclusion': run.conclusion or 'none',
        'branch_type': branch_type(run, branch),
    }


def branch_type(run: Run, branch: str | None) -> str:
    """`default` for the default branch's own runs, else `other`."""
    return 'default' if run.own and run.branch == branch else OTHER


def _by_branch(runs: Collection[Run], branch: str | None, settings: CiSettings) -> Iterator[Sample]:
    label = labels(runs, settings.max_workflows)
    counts = Counter(tuple(run_tags(run, label, branch).items()) for run in runs)
    for key, number in counts.items():
        yield Sample('ci.runs_7d', number, dict(key))
    groups: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for run in runs:
        groups[label[run.workflow], branch_type(run, branch)].append(run)
    for (workflow, kind), group in groups.items():
        passed = sum(run.conclusion == 'success' for run in group)
        decided = passed + sum(run.conclusion in FAILED for run in group)
        tags = {'workflow': workflow, 'branch_type': kind}
        yield Sample('ci.success_rate_pct', percentage(passed, decided), tags)


def _by_workflow(runs: Collection[Run], settings: CiSettings) -> Iterator[Sample]:
    label = labels(runs, settings.max_workflows)
    groups: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        groups[label[run.workflow]].append(run)
    for workflow, group in groups.items():
        tags = {'workflow': workflow}
        executed = [run for run in group if run.conclusion in EXECUTED]
        times = [run.run_time / 60 for run in executed]
        for name, value in summary(times, ('p50', 'p90')).items():
            yield Sample(f'ci.run_duration_minutes.{name}', value, tags)
        yield Sample('ci.rerun_rate_pct', percentage(sum(run.attempt > 1 for run in executed), len(executed)), tags)
        yield Sample('ci.flaky_rate_pct', percentage(sum(map(is_flaky, executed)), len(executed)), tags)
        finished = [run for run in group if run.finished]
        yield Sample('ci.run_minutes_7d', sum(run.run_time for run in finished) / 60, tags)
        cancelled = sum(run.conclusion == 'cancelled' for run in finished)
        yield Sample('ci.cancelled_rate_pct', percentage(cancelled, len(finished)), tags)


def finished(runs: Iterable[Run], table: Iterable[Run], branch: str | None, settings: CiSettings) -> Iterator[Sample]:
    """The count of finished attempts; `table` are all runs, which decide the labels."""
    label = labels(table, settings.max_workflows)
    counts = Counter(tuple(run_tags(run, label, branch).items()) for run in runs)
    for key, number in counts.items():
        yield Sample('ci.runs', number, dict(key))


# The state of the default branch.


@dataclass(frozen=True, slots=True)
class Spell:
    """A time during which the default branch was red; `end` is None while it is."""

    start: float
    end: float | None


def _main(
    runs: Iterable[Run], branch: str | None, rollups: Sequence[str] | None, settings: CiSettings, now: float
) -> Iterator[Sample]:
    if branch is None:
        return
    main = decisive(runs, branch)
    if settings.required:
        yield Sample('ci.tests_passing_on_main', _passing(newest(main, settings.required)))
        yield from _red(main, settings, now)
    elif rollups is not None:
        final = next((state for state in rollups if state in FINAL_ROLLUPS), None)
        yield Sample('ci.tests_passing_on_main', None if final is None else int(final == 'success'))
    yield Sample('ci.benchmarks_passing', _passing(newest(main, settings.benchmarks)))


def decisive(runs: Iterable[Run], branch: str) -> list[Run]:
    """The default branch's own runs that passed or failed; cancelled, skipped and unfinished ones decide nothing."""
    return [run for run in runs if run.own and run.branch == branch and run.conclusion in PASSED | FAILED]


def newest(runs: Iterable[Run], patterns: Collection[str]) -> dict[str, Run]:
    """The newest of these runs of every workflow that fits the patterns."""
    result: dict[str, Run] = {}
    for run in runs:
        if matches(run.workflow, patterns):
            known = result.get(run.workflow)
            if known is None or (run.created, run.id) > (known.created, known.id):
                result[run.workflow] = run
    return result


def _passing(latest: Mapping[str, Run]) -> int | None:
    return int(all(run.conclusion in PASSED for run in latest.values())) if latest else None


def red_spells(runs: Iterable[Run], patterns: Collection[str]) -> tuple[list[Spell], bool]:
    """When the default branch was red, and whether it was ever seen otherwise.

    It is red from the finish of the failed run that breaks "all required workflows passed" until the finish of the run
    that restores it. A run counts only when no newer run of its workflow has finished before it.
    """
    latest: dict[str, Run] = {}
    spells: list[Spell] = []
    red_since: float | None = None
    seen_green = False
    required = [run for run in runs if matches(run.workflow, patterns)]
    for run in sorted(required, key=lambda run: (run.updated, run.id)):
        known = latest.get(run.workflow)
        if known is not None and (known.created, known.id) > (run.created, run.id):
            continue
        latest[run.workflow] = run
        red = any(one.conclusion in FAILED for one in latest.values())
        if red and red_since is None:
            red_since = run.updated
        elif not red:
            seen_green = True
            if red_since is not None:
                spells.append(Spell(red_since, run.updated))
                red_since = None
    if red_since is not None:
        spells.append(Spell(red_since, None))
    return spells, seen_green


def _red(main: Iterable[Run], settings: CiSettings, now: float) -> Iterator[Sample]:
    runs = list(main)
    if not newest(runs, settings.required):
        return
    spells, seen_green = red_spells(runs, settings.required)
    start = now - WEEK
    red = sum(max(0.0, min(spell.end or now, now) - max(spell.start, start)) for spell in spells)
    yield Sample('main.red_hours_7d', red / HOUR)
    is_red = bool(spells) and spells[-1].end is None
    if seen_green:
        yield Sample('main.last_green_age_hours', max(0.0, now - spells[-1].start) / HOUR if is_red else 0)
    ended = [(spell.end - spell.start) / HOUR for spell in spells if spell.end is not None and spell.end >= start]
    for name, value in summary(ended, ('p50', 'max')).items():
        yield Sample(f'main.time_to_green_hours.{name}', value)

"""The true figures of workflow runs and of the state of the default branch."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from fnmatch import fnmatch
from statistics import mean

from .model import Repository, Run
from .spread import Row, spread

WEEK = timedelta(days=7)
FAILED = ('failure', 'timed_out', 'startup_failure')
EXECUTED = ('success', 'failure', 'timed_out')
PASSED = ('success', 'neutral')
EVENTS = ('push', 'schedule', 'workflow_dispatch')
TIME_LIMIT_MINUTES = 360
LONGEST_MINUTES = 420
LABELS = 30
NEWEST_COMMITS = 20


def minutes(run: Run) -> float:
    """Return the length of the last attempt in minutes."""
    return max(0.0, (run.updated_at - run.run_started_at).total_seconds() / 60)


def is_run_time(run: Run) -> bool:
    """Return whether an attempt ran for all of that time, as far as its length tells: it did not wait."""
    return not run.waited and minutes(run) <= LONGEST_MINUTES


def label(run: Run) -> str:
    """Return the name that a run shows for its workflow; GitHub's own workflows give their runs all sorts of names."""
    file = run.path.split('/')[-1]
    return file if run.path.startswith('dynamic/') else run.name or file or 'unknown'


def tells_about_main(run: Run, repository: Repository) -> bool:
    """Return whether a run tells about the state of the default branch.

    A pull request leaves the merge queue when a run of the queue fails, so that the branch stays as it is.
    """
    if run.event == 'merge_group':
        in_queue = (run.head_branch or '').startswith(f'gh-readonly-queue/{repository.default_branch}/')
        landed = any(commit.oid == run.head_sha for commit in repository.commits.recent)
        return in_queue and (run.conclusion in PASSED or landed)
    return of_main(run, repository) and run.event in EVENTS


def names(runs: list[Run]) -> dict[int, str]:
    """Return the name of each workflow: that of its newest run with a name, else that of its file."""
    found: dict[int, str] = {}
    for run in sorted(runs, key=lambda run: (bool(run.name), run.created_at, run.id)):
        found[run.workflow_id] = label(run)
    return found


def required_ids(runs: list[Run], patterns: tuple[str, ...]) -> set[int]:
    """Return the workflows of which a name is one of the patterns or fits one."""
    return {
        run.workflow_id
        for run in runs
        if any(label(run).lower() == one.lower() or fnmatch(label(run).lower(), one.lower()) for one in patterns)
    }


def of_main(run: Run, repository: Repository) -> bool:
    """Return whether a run is about the default branch of the repository itself."""
    return (
        run.head_branch == repository.default_branch and not run.event.startswith('pull_request') and run.head == 'own'
    )


def state(runs: list[Run], patterns: tuple[str, ...], moment: datetime) -> float | None:
    """Return 1 if every matching workflow passes at a moment, else 0; None without a result.

    The newest run with an attempt that passed or failed decides, by its newest such attempt.
    """
    newest: dict[int, Run] = {}
    wanted = required_ids(runs, patterns)
    ended = (
        one
        for run in runs
        for one in run.attempts()
        if one.conclusion in PASSED + FAILED and one.updated_at <= moment and one.workflow_id in wanted
    )
    for one in sorted(ended, key=lambda one: (one.created_at, one.id, one.run_attempt)):
        newest[one.workflow_id] = one
    if not newest:
        return None
    return float(all(run.conclusion in PASSED for run in newest.values()))


def rollup_state(repository: Repository) -> float | None:
    """Return 1 if the newest commit with completed checks passed them, else 0; None without one."""
    for index in range(min(NEWEST_COMMITS, len(repository.commits))):
        rollup = repository.commits[index].rollup
        if rollup in ('SUCCESS', 'FAILURE', 'ERROR'):
            return float(rollup == 'SUCCESS')
    return None


def rows(repository: Repository, now: datetime, required: tuple[str, ...]) -> Iterator[Row]:
    """Compute all figures of the runs of the last week."""
    runs = [run for run in repository.runs.recent if now - WEEK <= run.created_at <= now]
    main = [run for run in runs if tells_about_main(run, repository)]
    executed = [run for run in runs if run.conclusion in EXECUTED]
    times = [minutes(run) for run in executed if is_run_time(run)]
    failed = [run for run in runs if run.conclusion in FAILED]

    yield 'ci.workflow_runs_7d', len(runs), {}
    yield 'ci.failed_workflows_7d', len(failed), {}
    yield 'ci.failed_workflows_24h', sum(run.created_at >= now - timedelta(hours=24) for run in failed), {}
    stopped = [
        run
        for run in runs
        if run.conclusion == 'timed_out'
        or (run.conclusion == 'cancelled' and is_run_time(run) and minutes(run) >= TIME_LIMIT_MINUTES)
    ]
    yield 'ci.timeout_cancellations_7d', len(stopped), {}
    yield 'ci.flaky_checks_7d', sum(map(recovered, runs)), {}
    yield 'ci.tests_passing_on_main', state(main, required, now) if required else rollup_state(repository), {}
    yield 'ci.benchmarks_passing', state(main, ('*benchmark*',), now), {}
    yield 'ci.avg_workflow_duration_minutes', mean(times) if times else None, {}
    for name, value, tags in spread('ci.duration', times, ('p50', 'p90', 'p99')):
        yield f'ci.duration_{name[-3:]}_minutes', value, tags
    yield 'ci.runs_in_progress', sum(run.status == 'in_progress' for run in runs), {}
    queued = ('queued', 'requested', 'pending', 'waiting')
    yield 'ci.runs_queued', sum(run.status in queued for run in runs), {}
    waits = [(now - run.created_at).total_seconds() / 60 for run in runs if run.status in ('queued', 'pending')]
    yield 'ci.oldest_queued_minutes', max(waits, default=None), {}
    yield from by_workflow(runs, repository)
    if required:
        yield from red_and_green(main, now, required)


def by_workflow(runs: list[Run], repository: Repository) -> Iterator[Row]:
    """Compute the figures per workflow."""
    name_of = names(runs)
    ranked = sorted(Counter(name_of[run.workflow_id] for run in runs).items(), key=lambda item: (-item[1], item[0]))
    kept = {name for name, _ in ranked[:LABELS]}
    groups: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        name = name_of[run.workflow_id]
        groups[name if name in kept else 'other'].append(run)
    for name, group in groups.items():
        tags = {'workflow': name}
        parts = Counter((run.conclusion or 'none', branch_type(run, repository)) for run in group)
        for (conclusion, branch), number in parts.items():
            yield 'ci.runs_7d', number, {**tags, 'conclusion': conclusion, 'branch_type': branch}
        executed = [run for run in group if run.conclusion in EXECUTED]
        times = [minutes(run) for run in executed if is_run_time(run)]
        yield from spread('ci.run_duration_minutes', times, ('p50', 'p90'), tags)
        # The sum is over every run that ended, canceled and skipped ones included.
        yield (
            'ci.run_minutes_7d',
            sum(minutes(run) for run in group if run.status == 'completed' and is_run_time(run)),
            tags,
        )
        for branch in ('default', 'other'):
            part = [run.conclusion for run in group if branch_type(run, repository) == branch]
            good, bad = part.count('success'), sum(conclusion in FAILED for conclusion in part)
            if good + bad:
                yield 'ci.success_rate_pct', 100 * good / (good + bad), {**tags, 'branch_type': branch}
        if executed:
            again = [run for run in executed if run.run_attempt > 1]
            yield 'ci.rerun_rate_pct', 100 * len(again) / len(executed), tags
            yield 'ci.flaky_rate_pct', 100 * sum(map(recovered, executed)) / len(executed), tags
        finished = [run for run in group if run.status == 'completed']
        if finished:
            cancelled = sum(run.conclusion == 'cancelled' for run in finished)
            yield 'ci.cancelled_rate_pct', 100 * cancelled / len(finished), tags


def recovered(run: Run) -> bool:
    """Return whether a run succeeded after an earlier attempt of it had failed."""
    return run.conclusion == 'success' and any(one.conclusion in FAILED for one in run.attempts()[:-1])


def branch_type(run: Run, repository: Repository) -> str:
    """Return the tag value for the branch of a run."""
    return 'default' if of_main(run, repository) else 'other'


def red_and_green(main: list[Run], now: datetime, required: tuple[str, ...]) -> Iterator[Row]:
    """Compute the outages of the default branch, judged at the end of every run by the newest run per workflow."""
    wanted = required_ids(main, required)
    moments = sorted(
        {
            one.updated_at
            for run in main
            if run.workflow_id in wanted
            for one in run.attempts()
            if one.conclusion in PASSED + FAILED
        }
    )
    if not moments:
        return
    spells: list[tuple[datetime, datetime | None]] = []
    red_since: datetime | None = None
    last_green: datetime | None = None
    for moment in moments:
        green = state(main, required, moment) == 1.0
        if green and red_since is not None:
            spells.append((red_since, moment))
            red_since = None
        elif not green and red_since is None:
            red_since = moment
            if moment != moments[0]:
                last_green = moment
    if red_since is not None:
        spells.append((red_since, None))
    red = sum(((end or now) - max(begin, now - WEEK)).total_seconds() for begin, end in spells)
    yield 'main.red_hours_7d', red / 3600, {}
    if red_since is None:
        yield 'main.last_green_age_hours', 0.0, {}
    elif last_green is not None:
        yield 'main.last_green_age_hours', (now - last_green).total_seconds() / 3600, {}
    lengths = [(end - begin).total_seconds() / 3600 for begin, end in spells if end is not None]
    yield from spread('main.time_to_green_hours', lengths, ('p50', 'max'))

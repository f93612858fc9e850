"""Jobs of workflow runs: how long they queue and take, and how many of them are known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.wrappers import Request, Response

from metta_checks.testing import Driver
from sandbox import Running
from tests.github.scripted import ago

from ..case import case
from .actions import ActionsGitHub

JOBS = 'metta.github.jobs.'
QUEUE = JOBS + 'queue_seconds.'
DURATION = JOBS + 'duration_minutes.p50'
FAILED = JOBS + 'failed_24h'
MINUTES = JOBS + 'minutes_24h'
COVERAGE = JOBS + 'coverage_pct_24h'
LINUX = 'runner_label:linux'


class JobsGitHub(ActionsGitHub):
    """Serves metta/one with the jobs of attempts, and the runs with a review of a deployment."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: dict[tuple[int, int], list[dict[str, Any]]] = {}
        self.reviewed: set[int] = set()

    def instance(self) -> dict[str, Any]:
        return {**super().instance(), 'jobs': True}

    def job(self, run: int, name: str = 'build', *, attempt: int = 1, **fields: Any) -> dict[str, Any]:
        """Add a job of 8 minutes that waited 30 seconds, in the hour before the present time."""
        rows = self.jobs.setdefault((run, attempt), [])
        number = 1000 * run + 100 * attempt + len(rows)
        rows.append(
            {
                'id': number,
                'run_id': run,
                'run_attempt': attempt,
                'name': name,
                'status': 'completed',
                'conclusion': 'success',
                'created_at': ago(minutes=60),
                'started_at': ago(minutes=59.5),
                'completed_at': ago(minutes=51.5),
                'labels': ['linux'],
                'runner_id': number,
                'steps': [],
                **fields,
            }
        )
        return rows[-1]

    def rest(self, request: Request, what: str) -> Response:
        match request.path.rpartition('/actions/runs/')[2].split('/'):
            case [run, 'attempts', attempt, 'jobs']:
                rows = self.jobs.get((int(run), int(attempt)), [])
                start = int(request.args['per_page']) * (int(request.args['page']) - 1)
                page = rows[start : start + int(request.args['per_page'])]
                return self.json({'total_count': len(rows), 'jobs': page})
            case [run, 'approvals']:
                return self.json([{'state': 'approved'}] if int(run) in self.reviewed else [])
        return super().rest(request, what)

    def read_jobs(self) -> list[str]:
        """Return the attempts whose jobs were asked for, as run/attempt."""
        paths = (entry.path.rpartition('/actions/runs/')[2] for entry in self.log if entry.path.endswith('/jobs'))
        return [path.removesuffix('/jobs').replace('attempts/', '') for path in paths]


@pytest.fixture
def github() -> Iterator[JobsGitHub]:
    """Return a repository without runs."""
    service = JobsGitHub()
    with Running(service):
        yield service


@case('B', 'https://github.com/apache/devlake/issues/8823')
def test_queue_time_of_jobs(github):
    """Jobs that waited for a runner, and jobs that never got one.

    Two jobs waited 30 and 90 seconds for a runner. One was skipped, and one was canceled while it was queued. GitHub
    states a start and an end for these, too.

    Right: `jobs.queue_seconds.p50` is 60 and `.max` is 90, over the two jobs that ran.

    Unchanged: `jobs.minutes_24h` is 16, and `jobs.failed_24h` is 0.
    """
    github.add(1, 'success', hours=1)
    github.job(1)
    github.job(1, 'test', created_at=ago(minutes=61))
    github.job(1, 'docs', conclusion='skipped', runner_id=None, created_at=ago(hours=3))
    github.job(1, 'deploy', conclusion='cancelled', runner_id=0, created_at=ago(hours=5))
    run = Driver.of(github).run()
    assert (run.value(QUEUE + 'p50', LINUX), run.value(QUEUE + 'max', LINUX)) == (60, 90)
    assert (run.value(MINUTES, LINUX), run.value(FAILED, LINUX), run.value(COVERAGE)) == (16, 0, 100)


@case('B', 'https://github.com/strands-labs/robots/issues/2509')
def test_a_start_that_github_did_not_correct(github):
    """A job whose `started_at` is the time at which it was queued.

    GitHub wrote `started_at` when the job was queued, and did not change it when a runner took the job 20 minutes
    later. Its first step tells the truth.

    Right: `jobs.queue_seconds.max` is 1200, and `jobs.duration_minutes.p50` is 8.

    Unchanged: A job whose first step begins a second after its start counts with its first step as well.
    """
    github.add(1, 'success', hours=1)
    github.job(
        1,
        created_at=ago(minutes=30),
        started_at=ago(minutes=30),
        completed_at=ago(minutes=2),
        steps=[{'name': 'Set up job', 'started_at': ago(minutes=10)}, {'name': 'test', 'started_at': ago(minutes=9)}],
    )
    run = Driver.of(github).run()
    assert run.value(QUEUE + 'max', LINUX) == 1200
    assert run.value(DURATION, 'job:build') == 8


@case('F', 'https://github.com/runs-on/runs-on/issues/429')
def test_waiting_for_a_review_is_not_queueing(github):
    """A job waits for the review of a deployment.

    The job `deploy` was created 5 hours before somebody approved the deployment. It then ran at once. Another run's job
    waited 15 minutes for a runner.

    Right: `jobs.queue_seconds.max` is 900, because nobody lacked a runner in the 5 hours.

    Unchanged: `jobs.minutes_24h` has the minutes of both jobs. A further refresh sends no request for reviews.
    """
    github.add(1, 'success', hours=6)
    github.job(1, 'deploy', created_at=ago(hours=6))
    github.add(2, 'success', hours=2)
    github.job(2, created_at=ago(minutes=74.5))
    github.reviewed = {1}
    driver = Driver.of(github)
    run = driver.run()
    assert (run.value(QUEUE + 'max', LINUX), run.value(MINUTES, LINUX)) == (900, 16)
    github.pass_time(900)
    driver.run()
    assert github.asked().count('approvals') == 2


@case('B', 'https://github.com/r-universe-org/help/issues/607')
def test_jobs_of_a_run_that_is_run_again(github):
    """The failed jobs of a run are run again.

    In attempt 1, `build` succeeds and `test` fails. Only `test` is run again, and succeeds. GitHub lists `build` in
    attempt 2 again, under a new id, with the start and the end of attempt 1.

    Right: `jobs.failed_24h` is 1, and `jobs.minutes_24h` is 24: `build` ran once and `test` twice, 8 minutes each.

    Unchanged: `ci.flaky_checks_7d` is 1.
    """
    row = github.add(1, 'failure', hours=3)
    first = {'created_at': ago(hours=3), 'started_at': ago(hours=3), 'completed_at': ago(hours=3, minutes=-8)}
    github.job(1, 'build', **first)
    github.job(1, 'test', **first, conclusion='failure')
    driver = Driver.of(github)
    run = driver.run()
    assert (run.value(FAILED, LINUX), run.value(MINUTES, LINUX)) == (1, 16)
    github.run_again(row, 'success', hours=1)
    github.job(1, 'build', **first, attempt=2)
    github.job(1, 'test', attempt=2)
    github.pass_time(900)
    run = driver.run()
    assert (run.value(FAILED, LINUX), run.value(MINUTES, LINUX), run.value(COVERAGE)) == (1, 24, 100)
    assert run.value('metta.github.ci.flaky_checks_7d') == 1
    assert github.read_jobs() == ['1/1', '1/2']


@case('J', 'https://github.com/apache/devlake/issues/8262')
def test_more_runs_than_are_asked_for(github):
    """A busy day.

    120 runs ended in the last 24 hours, each with one job of 8 minutes. The check asks for the jobs of 50 attempts per
    refresh.

    Right: `jobs.coverage_pct_24h` is 41.7, then 83.3, then 100. `jobs.minutes_24h` and `jobs.failed_24h` are absent
    until it is 100, and then 960 and 0: a part of the sum would look like a quiet day.

    Unchanged: `jobs.queue_seconds.p50` is 30 from the first refresh on. No attempt is asked for twice.
    """
    for number in range(1, 121):
        github.add(number, 'success', hours=2 + number / 100)
        github.job(number)
    driver = Driver.of(github)
    for known in (50, 100, 120):
        run = driver.run()
        assert run.value(COVERAGE) == pytest.approx(100 * known / 120)
        assert run.value(QUEUE + 'p50', LINUX) == 30
        assert run.value(MINUTES, LINUX) == (960 if known == 120 else None)
        assert run.value(FAILED, LINUX) == (0 if known == 120 else None)
        github.pass_time(900)
    assert len(github.read_jobs()) == len(set(github.read_jobs())) == 120


@case('F', 'https://github.com/actions/runner/issues/821')
def test_a_job_that_asks_for_several_labels(github):
    """A job asks for a runner with several labels.

    `runs-on` is a list of three labels, in another order and spelling in each of two workflows.

    Right: `jobs.minutes_24h` is 16 under the one value `gpu_linux_self-hosted`: each job counts once.

    Unchanged: A job without labels counts under `none`.
    """
    github.add(1, 'success', hours=1)
    github.job(1, labels=['self-hosted', 'linux', 'GPU'])
    github.job(1, 'test', labels=['gpu', 'self-hosted', 'Linux'])
    github.job(1, 'docs', labels=[])
    run = Driver.of(github).run()
    assert run.value(MINUTES, 'runner_label:gpu_linux_self-hosted') == 16
    assert run.value(MINUTES, 'runner_label:none') == 8


@case('J', 'https://docs.github.com/en/actions/reference/limits')
def test_a_matrix_of_two_hundred_and_fifty_jobs(github):
    """A matrix of 250 jobs.

    GitHub lists a hundred jobs per page.

    Right: `jobs.minutes_24h` is 2000, over 250 jobs of 8 minutes. `jobs.duration_minutes.p50` has 51 series.

    Unchanged: `jobs.coverage_pct_24h` is 100.
    """
    github.add(1, 'success', hours=1)
    for index in range(250):
        github.job(1, f'test ({index})')
    run = Driver.of(github).run()
    assert (run.value(MINUTES, LINUX), run.value(COVERAGE), len(run.series(DURATION))) == (2000, 100, 51)


@case('E', 'https://www.githubstatus.com/')
def test_an_attempt_that_github_cannot_list(github):
    """An attempt whose jobs GitHub cannot list.

    GitHub answers 502 for the jobs of one run, and keeps doing so. Another run is older.

    Right: The jobs of the other run are known in the run after, so `jobs.coverage_pct_24h` is 50.

    Unchanged: The sums are absent, and `ci.workflow_runs_7d` is 2.
    """
    github.add(1, 'success', hours=2)
    github.job(1)
    github.add(2, 'success', hours=1)
    github.job(2)
    github.faults.add('status', status=502, path='*/actions/runs/2/attempts/1/jobs')
    driver = Driver.of(github)
    driver.run()
    github.pass_time(60)
    run = driver.run()
    assert (run.value(COVERAGE), run.value(QUEUE + 'p50', LINUX)) == (50, 30)
    assert (run.value(MINUTES, LINUX), run.value('metta.github.ci.workflow_runs_7d')) == (None, 2)


@case('E', 'https://www.githubstatus.com/')
def test_an_attempt_that_github_fails_to_list_once(github):
    """An attempt whose jobs GitHub fails to list once.

    GitHub answers 502 to one request for the jobs of a run and to its repetition, and lists them a minute later.

    Right: In the run after, `jobs.coverage_pct_24h` is 100, and the minutes of both runs are counted.

    Unchanged: The jobs of the other run are read once.
    """
    for number in (1, 2):
        github.add(number, 'success', hours=3 - number)
        github.job(number)
    github.faults.add('status', status=502, path='*/actions/runs/2/attempts/1/jobs', times=2)
    driver = Driver.of(github)
    driver.run()
    github.pass_time(60)
    run = driver.run()
    assert run.value(COVERAGE) == 100
    assert run.value(MINUTES, LINUX) is not None
    assert github.read_jobs().count('1/1') == 1


@case('C', 'https://docs.github.com/en/rest/actions/workflow-jobs')
def test_runs_without_jobs(github):
    """Runs in which no job ran.

    One run was skipped as a whole, one waits for the approval of a contributor, and one has a broken file.

    Right: `jobs.coverage_pct_24h` is 100 without any request: there is nothing to read.

    Unchanged: No series of jobs is 0.
    """
    for number, conclusion in enumerate(('skipped', 'action_required', 'startup_failure'), 1):
        github.add(number, conclusion, hours=number)
    run = Driver.of(github).run()
    assert run.value(COVERAGE) == 100
    assert github.read_jobs() == []
    assert {name for name in run.names if name.startswith(JOBS)} == {COVERAGE}

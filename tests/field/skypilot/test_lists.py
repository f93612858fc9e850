"""Lists that repeat rows, lack rows, or end at a limit."""

from __future__ import annotations

from metta_checks.testing import Driver

from ..case import case
from .machines import add_cluster, add_job

M = 'metta.skypilot.'
TRUNCATED = 'metta.collector.truncated'


def alter_queue(sky, change):
    """Let the server answer for the queue what `change` makes of its answer."""
    queue = sky._queue_v2
    sky._queue_v2 = lambda body: change(queue(body))
    return queue


def after_a_refresh_with_job_1_only(sky, driver):
    """Return the refresh after the next one, in which the queue lacks all jobs but the first."""
    queue = alter_queue(
        sky, lambda answer: {**answer, 'jobs': [row for row in answer['jobs'] if row['job_id'] == 1], 'total': 1}
    )
    sky.pass_time(300)
    driver.run()
    sky._queue_v2 = queue
    sky.pass_time(300)
    return driver.run()


@case('D')
def test_a_row_that_is_sent_twice(sky):
    """A row that is sent twice.

    The server joins its tables of tasks and of jobs, and sends the row of a running job with four L4 twice. Another job
    is sent once.

    Right: `gpus.in_use` is 8, and `jobs.running` is 2.

    Unchanged: `job.gpus` is 4 for each job.
    """
    for number in (1, 2):
        add_job(sky, number)
    alter_queue(sky, lambda answer: {**answer, 'jobs': [*answer['jobs'], answer['jobs'][0]]})
    run = Driver.of(sky, per_job=True).run()
    assert sum(run.series(f'{M}gpus.in_use').values()) == 8
    assert run.value(f'{M}jobs.running') == 2
    assert list(run.series(f'{M}job.gpus').values()) == [4, 4]


@case('D', 'https://github.com/skypilot-org/skypilot/pull/10288')
def test_a_queue_that_is_cut_off(sky):
    """A queue that is cut off.

    The server counts three jobs in `total`, but sends only the newest one, as some clients do that show the latest jobs
    only. An older job still has a cluster.

    Right: `metta.collector.truncated` of block `jobs` is 1, and the warning tells the two numbers. The cluster of the
    old job is one of a job in `cost.breakdown_hourly_usd`, not one of a service.

    Unchanged: `jobs.running` is 1, of the jobs that are known.
    """
    for number in (1, 2, 3):
        add_job(sky, number)
    add_cluster(sky, 'train-1-1', managed=True)
    alter_queue(sky, lambda answer: {**answer, 'jobs': answer['jobs'][:1]})
    run = Driver.of(sky).run()
    assert run.value(TRUNCATED, 'block:jobs') == 1
    assert any('the server has 3 jobs, but has sent only 1' in line for line in run.warnings)
    kinds = {tag for tags in run.series(f'{M}cost.breakdown_hourly_usd') for tag in tags if tag.startswith('kind:')}
    assert kinds == {'kind:job'}
    assert run.value(f'{M}jobs.running') == 1


@case('D', 'https://github.com/skypilot-org/skypilot/pull/1301', guard=True)
def test_a_job_that_is_missing_once(sky):
    """A job that is missing once.

    A query of the server ends early, since another one uses the same cursor of its database. The queue lacks a running
    job that has recovered three times, in one refresh.

    Right: `jobs.finished` and `jobs.recoveries` are absent in this refresh and in the next one: the job has not ended,
    and its recoveries are old.

    Unchanged: `jobs.running` is 2 in the end.
    """
    add_job(sky, 1).tasks[0].recoveries = 3
    add_job(sky, 2)
    driver = Driver.of(sky, refresh_interval=300)
    driver.run()
    queue = alter_queue(sky, lambda answer: {**answer, 'jobs': answer['jobs'][:1], 'total': 1})
    sky.pass_time(300)
    lacking = driver.run()
    sky._queue_v2 = queue
    sky.pass_time(300)
    run = driver.run()
    for one in (lacking, run):
        assert sum(one.series(f'{M}jobs.finished').values()) == 0
        assert sum(one.series(f'{M}jobs.recoveries').values()) == 0
    assert run.value(f'{M}jobs.running') == 2


@case('D', 'https://github.com/skypilot-org/skypilot/pull/1301')
def test_the_newest_job_that_is_missing_once(sky):
    """The newest job that is missing once.

    A query of the server ends early. In one refresh, the queue lacks the newest job, which has been running since
    before the first refresh and has recovered three times.

    Right: `jobs.recoveries` is absent in the next refresh: the job is back, but not new, and its recoveries are old.

    Unchanged: `jobs.running` is 2 in the end.
    """
    add_job(sky, 1)
    add_job(sky, 2).tasks[0].recoveries = 3
    driver = Driver.of(sky, refresh_interval=300)
    driver.run()
    run = after_a_refresh_with_job_1_only(sky, driver)
    assert sum(run.series(f'{M}jobs.recoveries').values()) == 0
    assert run.value(f'{M}jobs.running') == 2


@case('D', 'https://github.com/skypilot-org/skypilot/pull/1301')
def test_a_job_that_ended_and_is_missing_once(sky):
    """A job that ended and is missing once.

    A job ends, and a refresh sees it. The queue of the next refresh lacks it, since a query of the server ended early.

    Right: `jobs.finished` counts the end once: it is absent when the job is back.

    Unchanged: `jobs.succeeded` is 1 in the end.
    """
    add_job(sky, 1)
    job = add_job(sky, 2)
    driver = Driver.of(sky, refresh_interval=300)
    driver.run()
    sky.life.end(job, 'SUCCEEDED')
    sky.pass_time(300)
    assert sum(driver.run().series(f'{M}jobs.finished').values()) == 1
    run = after_a_refresh_with_job_1_only(sky, driver)
    assert sum(run.series(f'{M}jobs.finished').values()) == 0
    assert run.value(f'{M}jobs.succeeded') == 1


@case('D', 'https://github.com/skypilot-org/skypilot/pull/1301')
def test_a_queued_job_that_is_missing_once(sky):
    """A queued job that is missing once.

    A job has been queued for five minutes. The next refresh gets a queue without it, since a query of the server ended
    early. The job stays queued for ten more minutes and then starts.

    Right: `jobs.pending_seconds.max` is absent while the job is missing, then 900 again, since the job was first seen
    900 seconds ago. After the start, `jobs.queue_wait_seconds.max` is 1200.

    Unchanged: `jobs.running` is 1 in the end.
    """
    driver = Driver.of(sky, refresh_interval=300)
    driver.run()
    sky.pass_time(300)
    job = sky.life.queue('train', sky.organization.people[0])
    pending = []
    for lacks in (False, False, True, False):
        queue = alter_queue(sky, lambda answer: {**answer, 'jobs': [], 'total': 0}) if lacks else sky._queue_v2
        pending.append(driver.run().value(f'{M}jobs.pending_seconds.max'))
        sky._queue_v2 = queue
        sky.pass_time(300)
    assert pending == [0, 300, None, 900]
    sky.life.start(job)
    sky.life.run(job)
    run = driver.run()
    assert run.value(f'{M}jobs.queue_wait_seconds.max') == 1200
    assert run.value(f'{M}jobs.running') == 1


@case('J', 'https://github.com/skypilot-org/skypilot/pull/10288', guard=True)
def test_an_old_job_beyond_the_limit(sky):
    """An old job beyond the limit.

    A job has run for days. More jobs than `max_rows` were submitted since, so it is not among the newest ones.

    Right: `metta.collector.truncated` of block `jobs` is 1 in each refresh, and the warning names the option.

    Unchanged: `tasks.count` counts all three running tasks, as the server does.
    """
    for number in (1, 2, 3):
        add_job(sky, number)
    driver = Driver.of(sky, refresh_interval=300, max_rows=2)
    for _ in range(2):
        run = driver.run()
        assert run.value(TRUNCATED, 'block:jobs') == 1
        assert any('only the newest 2 are read (option `max_rows`)' in line for line in run.warnings)
        assert run.value(f'{M}tasks.count', 'status:running') == 3
        sky.pass_time(300)


@case('J', 'https://github.com/skypilot-org/skypilot/pull/10725', guard=True)
def test_jobs_that_were_launched_from_a_job(sky):
    """Jobs that were launched from a job.

    A job launches two more. The server sends the rows of all three and counts one in `total`, since it counts the jobs
    that were launched by people.

    Right: `jobs.running` is 3, and nothing is said to be left out.

    Unchanged: `gpus.in_use` is 12.
    """
    for number in (1, 2, 3):
        add_job(sky, number)
    alter_queue(sky, lambda answer: {**answer, 'total': 1})
    run = Driver.of(sky).run()
    assert (run.value(f'{M}jobs.running'), run.warnings) == (3, [])
    assert run.value(TRUNCATED, 'block:jobs') in (None, 0)
    assert sum(run.series(f'{M}gpus.in_use').values()) == 12

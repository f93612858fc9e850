"""Times that jobs wait, and how often they start."""

from __future__ import annotations

import pytest

from metta_checks.testing import Driver
from sandbox.skypilot.model import Job
from sandbox.skypilot.service import SkyPilotService

from ..case import case
from .machines import add_job

WAIT = 'metta.skypilot.jobs.queue_wait_seconds.max'


def seen_in_queue(sky: SkyPilotService) -> tuple[Driver, Job]:
    """Return a check whose second refresh was 5 minutes after the first one, and the job that it saw in the queue."""
    driver = Driver.of(sky, refresh_interval=300)
    driver.run()
    job = sky.life.queue('train', sky.organization.people[0])
    sky.pass_time(300)
    driver.run()
    return driver, job


@case('B')
def test_a_job_that_leaves_the_queue_between_two_refreshes(sky):
    """A job that leaves the queue between two refreshes.

    A job is queued right after a refresh and leaves the queue a minute later. The next refresh sees it in status
    STARTING. It starts four minutes after it left the queue.

    Right: `jobs.queue_wait_seconds.max` is 240, the time that is known.

    Unchanged: `jobs.start_wait_seconds.max` is 240.
    """
    driver = Driver.of(sky, refresh_interval=300)
    driver.run()
    job = sky.life.queue('train', sky.organization.people[0])
    sky.pass_time(60)
    sky.life.start(job)
    sky.pass_time(240)
    assert driver.run().value(WAIT) is None
    sky.life.run(job)
    sky.pass_time(300)
    run = driver.run()
    assert run.value(WAIT) == pytest.approx(240)
    assert run.value('metta.skypilot.jobs.start_wait_seconds.max') == pytest.approx(240)


@case('B')
def test_a_job_that_was_seen_in_the_queue(sky):
    """A job that was seen in the queue.

    A refresh sees a job in the queue. It stays there for 20 minutes, and then waits for 5 minutes for its machines.

    Right: `jobs.queue_wait_seconds.max` is 1500.

    Unchanged: `jobs.start_wait_seconds.max` is 300, the time after the queue.
    """
    driver, job = seen_in_queue(sky)
    sky.pass_time(1200)
    sky.life.start(job)
    sky.pass_time(300)
    sky.life.run(job)
    sky.pass_time(300)
    run = driver.run()
    assert run.value(WAIT) == pytest.approx(1500)
    assert run.value('metta.skypilot.jobs.start_wait_seconds.max') == pytest.approx(300)


@case('B', 'https://github.com/skypilot-org/skypilot/pull/10788')
@pytest.mark.parametrize('is_new', [False, True])
def test_a_job_that_is_queued_again_after_its_start(sky, is_new):
    """A job that is queued again after its start.

    A job runs. The controller restarts while the job waits for other machines: it sets the job back to PENDING for ten
    minutes, and then writes a new time of submission and a new start.

    Right: The ten minutes do not count in `jobs.queue_wait_seconds.max`, since the job was not new. It is 360, as after
    the first start, when the check has seen this start; it is absent when the job had started before the first refresh.

    Unchanged: `jobs.running` is 1 in the end.
    """
    if is_new:
        driver, job = seen_in_queue(sky)
        sky.pass_time(300)
        sky.life.start(job)
        sky.pass_time(60)
        sky.life.run(job)
    else:
        job = add_job(sky, 1)
        driver = Driver.of(sky, refresh_interval=300)
        driver.run()
    sky.pass_time(300)
    driver.run()
    task = job.tasks[0]
    task.status, task.submitted, task.holds = 'PENDING', None, False
    sky.pass_time(300)
    driver.run()
    sky.pass_time(300)
    task.status, task.holds = 'RUNNING', True
    task.submitted = task.started = sky.clock.now()
    sky.pass_time(300)
    run = driver.run()
    assert run.value(WAIT) == (pytest.approx(360) if is_new else None)
    assert run.value('metta.skypilot.jobs.running') == 1


@case('B', 'https://github.com/skypilot-org/skypilot/issues/10155', guard=True)
def test_a_job_that_recovers_several_times_between_two_refreshes(sky):
    """A job that recovers several times between two refreshes.

    The controller cannot reach a healthy job for a moment and starts it again three times in minutes. The check sees
    it in status RUNNING before and after.

    Right: `jobs.recoveries` is 3, from the number that the server counts, although no refresh saw the job recover.

    Unchanged: `jobs.recovering_seconds.max` is absent.
    """
    job = add_job(sky, 1)
    driver = Driver.of(sky, refresh_interval=300)
    driver.run()
    job.tasks[0].recoveries = 3
    sky.pass_time(300)
    run = driver.run()
    assert sum(run.series('metta.skypilot.jobs.recoveries').values()) == 3
    assert run.value('metta.skypilot.jobs.recovering_seconds.max') is None

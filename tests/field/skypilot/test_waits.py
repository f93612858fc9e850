"""Times that jobs wait."""

from __future__ import annotations

import pytest

from metta_checks.testing import Driver

from ..case import case

WAIT = 'metta.skypilot.jobs.queue_wait_seconds.max'


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
    driver = Driver.of(sky, refresh_interval=300)
    driver.run()
    job = sky.life.queue('train', sky.organization.people[0])
    sky.pass_time(300)
    driver.run()
    sky.pass_time(1200)
    sky.life.start(job)
    sky.pass_time(300)
    sky.life.run(job)
    sky.pass_time(300)
    run = driver.run()
    assert run.value(WAIT) == pytest.approx(1500)
    assert run.value('metta.skypilot.jobs.start_wait_seconds.max') == pytest.approx(300)

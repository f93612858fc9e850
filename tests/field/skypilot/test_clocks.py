"""A clock of this machine that is wrong: ages and days are told by the clock of the server."""

from __future__ import annotations

from datetime import timedelta

import pytest

from metta_checks.testing import Clock, Driver

from ..case import case
from .machines import add_cluster, add_job

M = 'metta.skypilot.'
SKEWS = [timedelta(hours=2), timedelta(hours=-6)]


@case('I')
@pytest.mark.parametrize('skew', SKEWS)
def test_ages_and_days_by_the_clock_of_the_server(sky, skew):
    """The clock of the machine is 2 hours ahead, or 6 hours behind.

    A cluster was launched 10 hours ago. A job has been starting for an hour, and another one failed 23 hours ago.

    Right: `clusters.age_hours.max` is 10, `jobs.starting_seconds.max` is 3600 and `jobs.failed` is 1. The header `Date`
    of the server tells its time.

    Unchanged: `jobs.failed_7d` is 1.
    """
    add_cluster(sky, 'dev', hours=10)
    add_job(sky, 1, 'STARTING', holds=False)
    add_job(sky, 2, 'FAILED', holds=False, ended=sky.clock.now() - timedelta(hours=23))
    run = Driver(sky.instance(), Clock(sky.clock.now() + skew)).run()
    assert run.value(f'{M}clusters.age_hours.max') == pytest.approx(10, abs=0.01)
    assert run.value(f'{M}jobs.starting_seconds.max') == pytest.approx(3600, abs=10)
    assert run.value(f'{M}jobs.failed') == 1
    assert run.value(f'{M}jobs.failed_7d') == 1


@case('I')
def test_a_clock_that_is_set_right_while_a_job_waits(sky):
    """A clock that is set right while a job waits.

    The clock of the machine is an hour behind when a refresh sees a job in the queue. It is set right. The job starts
    20 minutes after it was seen.

    Right: `jobs.queue_wait_seconds.max` is 1200, and before that `jobs.pending_seconds.max` grows by the minutes that
    pass.

    Unchanged: `jobs.queued` is 1 while it waits.
    """
    clock = Clock(sky.clock.now() - timedelta(hours=1))
    driver = Driver({**sky.instance(), 'refresh_interval': 300}, clock)
    driver.run()
    job = sky.life.queue('train', sky.organization.people[0])

    def pass_time(seconds):
        sky.pass_time(seconds)
        clock.advance(seconds)

    pass_time(300)
    assert driver.run().value(f'{M}jobs.queued') == 1
    clock.start += timedelta(hours=1)
    pass_time(600)
    waits = driver.run()
    assert waits.value(f'{M}jobs.queued') == 1
    assert waits.value(f'{M}jobs.pending_seconds.max') == pytest.approx(600, abs=2)
    pass_time(600)
    sky.life.start(job)
    sky.life.run(job)
    pass_time(300)
    assert driver.run().value(f'{M}jobs.queue_wait_seconds.max') == pytest.approx(1200, abs=2)


@case('I')
@pytest.mark.parametrize('skew', SKEWS)
def test_idle_clusters_by_the_clock_of_the_server(sky, skew):
    """Idle clusters by the clock of the server.

    One cluster was launched 30 minutes ago and another one 3 hours ago; nobody has run a job on them. The clock of the
    machine is 2 hours ahead, or 6 hours behind; `idle_minutes` is 60.

    Right: `clusters.idle` is 1.

    Unchanged: `clusters.active` is 2.
    """
    add_cluster(sky, 'new', hours=0.5)
    add_cluster(sky, 'old', hours=3)
    run = Driver({**sky.instance(), 'idle_minutes': 60}, Clock(sky.clock.now() + skew)).run()
    assert run.value(f'{M}clusters.idle') == 1
    assert run.value(f'{M}clusters.active') == 2

"""GPUs that jobs hold, and GPUs that they ask for."""

from __future__ import annotations

import pytest

from metta_checks.testing import Driver

from ..case import case
from .machines import GCP, add_cluster, add_job

IN_USE = 'metta.skypilot.gpus.in_use'
REQUESTED = 'metta.skypilot.gpus.requested'
TOTAL = 'metta.skypilot.resources.gpus.total_count'


def held_and_requested(run):
    """Return the GPUs that are in use and those that are asked for."""
    return sum(run.series(IN_USE).values()), sum(run.series(REQUESTED).values())


@case('F', 'https://github.com/skypilot-org/skypilot/issues/10155')
@pytest.mark.parametrize('holds', [False, True])
def test_a_job_that_waits_for_its_first_machines(sky, holds):
    """A job that waits for its first machines.

    A job is in status STARTING: the server tries to get a machine with four L4, and there is no capacity. It may
    already have a record of the machine that it tries to get. Another job runs on such a machine.

    Right: `gpus.in_use` is 4 and `gpus.requested` is 4.

    Unchanged: `jobs.running` is 1.
    """
    add_job(sky, 1)
    add_job(sky, 2, 'STARTING', holds=holds)
    run = Driver.of(sky).run()
    assert held_and_requested(run) == (4, 4)
    assert run.value('metta.skypilot.jobs.running') == 1


@case('F', 'https://github.com/skypilot-org/skypilot/issues/7117')
@pytest.mark.parametrize('holds', [False, True])
def test_a_job_that_lost_its_machines(sky, holds):
    """A job that lost its machines.

    A job on spot machines is in status RECOVERING: its machine with four L4 was taken away, and the server tries to get
    another one, of which it may already have a record.

    Right: `gpus.requested` is 4 and `gpus.in_use` is 0.

    Unchanged: `jobs.count` has one job in status recovering.
    """
    add_job(sky, 1, 'RECOVERING', market='spot', holds=holds)
    run = Driver.of(sky).run()
    assert held_and_requested(run) == (0, 4)
    assert run.value('metta.skypilot.jobs.count', 'status:recovering') == 1


@case('C')
def test_a_running_job_without_a_record_of_its_machines(sky):
    """A running job without a record of its machines.

    A job runs, but the server has no record of its cluster. It asked for four L4. Another job has a record.

    Right: `gpus.in_use` is 8: what the first job asked for is what it got.

    Unchanged: `gpus.requested` is absent, since nothing waits.
    """
    add_job(sky, 1, holds=False)
    add_job(sky, 2)
    assert held_and_requested(Driver.of(sky).run()) == (8, 0)


@case('F', 'https://github.com/skypilot-org/skypilot/issues/8192')
def test_jobs_on_one_worker_of_a_pool(sky):
    """Jobs on one worker of a pool.

    Two jobs run at the same time on one worker with eight L4 of a pool.

    Right: `gpus.in_use` and `resources.gpus.total_count` are 8. Each job has half of them.

    Unchanged: `jobs.running` is 2.
    """
    for number in (1, 2):
        add_job(sky, number, shape=('L4', 8), pool='batch', worker='batch-1')
    add_cluster(sky, 'batch-1', ('L4', 8), managed=True)
    run = Driver.of(sky, per_job=True).run()
    assert held_and_requested(run) == (8, 0)
    assert run.value(TOTAL) == 8
    assert list(run.series('metta.skypilot.job.gpus').values()) == [4, 4]
    assert run.value('metta.skypilot.jobs.running') == 2


@case('F')
@pytest.mark.parametrize(
    ('name', 'gpu_type', 'chips'), [('tpu-v5litepod-16', 'tpu-v5e', 16), ('tpu-v4-16', 'tpu-v4', 8)]
)
def test_slices_of_tpus(sky, name, gpu_type, chips):
    """Slices of TPUs.

    A job runs on one slice. The number in the name of a slice is its cores up to v4, of which a chip has two, and its
    chips for v5e.

    Right: `gpus.in_use` counts the chips: 16 of type tpu-v5e for tpu-v5litepod-16, 8 of tpu-v4 for tpu-v4-16.

    Unchanged: `jobs.running` is 1.
    """
    add_job(sky, 1, shape=(name, 1), place=GCP)
    run = Driver.of(sky).run()
    assert run.value(IN_USE, f'gpu_type:{gpu_type}', 'kind:job', 'market:ondemand') == chips
    assert run.value('metta.skypilot.jobs.running') == 1


@case('A')
def test_two_users_of_one_name(sky):
    """Two users of one name.

    Two people have the same name, and hashes of their own. Each has a job with four L4.

    Right: `users.jobs` has a series for each of them, with their hashes; each is 1.

    Unchanged: `users.active_count` is 2.
    """
    for number, user in ((1, 'aaaa1111'), (2, 'bbbb2222')):
        add_job(sky, number, owner_hash=user)
    run = Driver.of(sky, by_user=True).run()
    jobs = run.series('metta.skypilot.users.jobs')
    assert sorted(jobs.values()) == [1, 1]
    assert all(
        any(user in tag for tag in tags) for tags, user in zip(sorted(jobs), ('aaaa1111', 'bbbb2222'), strict=True)
    )
    assert run.value('metta.skypilot.users.active_count') == 2


@case('H')
def test_users_hold_the_gpus_of_their_clusters(sky):
    """Users hold the GPUs of their clusters.

    A person has a job with four L4 and a cluster with four L4.

    Right: `users.gpus` is 8.

    Unchanged: `users.jobs` is 1.
    """
    add_job(sky, 1)
    add_cluster(sky, 'dev')
    run = Driver.of(sky, by_user=True).run()
    assert list(run.series('metta.skypilot.users.gpus').values()) == [8]
    assert list(run.series('metta.skypilot.users.jobs').values()) == [1]


@case('C', 'https://github.com/skypilot-org/skypilot/blob/v0.11.1/sky/schemas/api/responses.py')
@pytest.mark.parametrize('api_version', [31, 62])
def test_a_server_that_sends_null_for_what_was_not_asked_for(serve, api_version):
    """A server that sends null for what was not asked for.

    The server cannot read the record of a cluster, so the check asks for the jobs without the fields that need such
    records. SkyPilot 0.11 sends these fields nevertheless, as null.

    Right: `resources.gpus.total_count`, `gpus.in_use` of jobs and `regions.*` are absent: nobody knows which machines
    the jobs have. They are not those of the requests, and not 0.

    Unchanged: `jobs.running` is 46.
    """
    sky = serve('skypilot', scale=0.3, activity=False, api_version=api_version)
    sky.bad_handle = True
    driver = Driver.of(sky, refresh_interval=300)
    driver.run()
    sky.pass_time(60)
    run = driver.run()
    assert run.value('metta.skypilot.resources.gpus.total_count') is None
    assert run.value('metta.skypilot.regions.us_east_1') is None
    assert not any('kind:job' in tags for tags in run.series('metta.skypilot.gpus.in_use'))
    assert run.value('metta.skypilot.jobs.running') == 46


@case('C')
def test_a_first_answer_without_the_version(sky):
    """A first answer without the version.

    Two jobs share a worker of a pool with four L4. In the first refresh, a proxy answers the question for the version
    with an empty document, so the check cannot ask for the fields of pools: an old server would refuse them.

    Right: `resources.gpus.l4_count`, `gpus.in_use` of workers and `job.gpus` are absent, since nobody knows that the
    jobs share the worker: 8 would be wrong. In the next refresh, `resources.gpus.l4_count` is 4.

    Unchanged: `jobs.running` is 2.
    """
    add_cluster(sky, 'batch-1', managed=True, pool='batch')
    for number in (1, 2):
        add_job(sky, number, pool='batch', worker='batch-1')
    health = sky._health
    sky._health = lambda known: {'status': 'healthy'}
    driver = Driver.of(sky, per_job=True, refresh_interval=300)
    run = driver.run()
    assert run.value('metta.skypilot.jobs.running') == 2
    assert run.value('metta.skypilot.resources.gpus.l4_count') is None
    assert held_and_requested(run) == (0, 0)
    assert run.series('metta.skypilot.job.gpus') == {}
    sky._health = health
    sky.pass_time(300)
    assert driver.run().value('metta.skypilot.resources.gpus.l4_count') == 4

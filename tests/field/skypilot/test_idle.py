"""Machines that are paid for and do nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest
from datadog_checks.base import AgentCheck

from metta_checks.testing import Driver
from sandbox.skypilot.model import ClusterJob

from ..case import case
from .machines import add_cluster, add_job

IDLE = 'metta.skypilot.clusters.idle'
UNKNOWN = 'metta.skypilot.clusters.idle_unknown'
GPUS = 'metta.skypilot.clusters.idle_gpus'
COST = 'metta.skypilot.cost.idle_clusters_hourly_usd'


def ran(sky, hours_ago, ended_hours_ago=None):
    """Return a job on a cluster."""
    now = sky.clock.now()
    ended = None if ended_hours_ago is None else now - timedelta(hours=ended_hours_ago)
    return ClusterJob(now - timedelta(hours=hours_ago), ended)


@case('C')
def test_clusters_that_nobody_uses(sky):
    """Clusters that nobody uses.

    Four clusters with four L4 each are up: one runs a job, one ran its last job five hours ago, one ran its last job
    half an hour ago, and one has never run a job since its launch ten hours ago. `idle_minutes` is 60.

    Right: `clusters.idle` is 2, `clusters.idle_gpus` is 8 and `cost.idle_clusters_hourly_usd` is 9.204.

    Unchanged: `clusters.active` is 4.
    """
    add_cluster(sky, 'busy').jobs.append(ran(sky, 3))
    add_cluster(sky, 'left').jobs.append(ran(sky, 8, 5))
    add_cluster(sky, 'between').jobs.append(ran(sky, 8, 0.5))
    add_cluster(sky, 'forgotten')
    run = Driver.of(sky, idle_minutes=60).run()
    assert (run.value(IDLE), run.value(GPUS), run.value(COST)) == (2, 8, pytest.approx(2 * 4.602))
    assert (run.value(UNKNOWN), run.value('metta.skypilot.clusters.active')) == (0, 4)


@case('E')
def test_a_cluster_that_does_not_answer(sky):
    """A cluster that does not answer.

    Two clusters are up. The server cannot reach one of them to ask for its jobs. The other one has run nothing for ten
    hours.

    Right: `clusters.idle` is 1 and `clusters.idle_unknown` is 1; the service check is WARNING and names the cluster.

    Unchanged: `clusters.active` is 2.
    """
    add_cluster(sky, 'forgotten')
    add_cluster(sky, 'lost')
    sky.unreachable_clusters = {'lost'}
    run = Driver.of(sky, idle_minutes=60).run()
    assert (run.value(IDLE), run.value(UNKNOWN)) == (1, 1)
    assert run.status == AgentCheck.WARNING
    assert 'the jobs of cluster lost are unknown' in run.message
    assert run.value('metta.skypilot.clusters.active') == 2


@case('C')
def test_no_cluster_answers(sky):
    """No cluster answers.

    A refresh has seen an idle cluster. In a later one, the server answers 503 to every request for jobs of clusters.

    Right: `clusters.idle` stays 1 for its time; it does not become 0. The service check is WARNING.

    Unchanged: `clusters.active` is 1.
    """
    add_cluster(sky, 'forgotten')
    driver = Driver.of(sky, idle_minutes=60)
    driver.run()
    sky.faults.add('status', status=503, path='/queue')
    sky.pass_time(900)
    run = driver.run()
    assert (run.value(IDLE), run.status) == (1, AgentCheck.WARNING)
    assert run.value('metta.skypilot.clusters.active') == 1


@case('C')
def test_a_fault_on_the_way_to_one_cluster(sky):
    """A fault on the way to one cluster.

    A refresh has seen two idle clusters. In the next one, a proxy in front of the server answers 503 to the request for
    the jobs of one of them.

    Right: `clusters.idle` stays 2, and `clusters.idle_unknown` stays 0: the fault says nothing about the cluster. A
    minute later, only this cluster is asked again.

    Unchanged: The service check is WARNING and names the cluster.
    """
    add_cluster(sky, 'forgotten')
    add_cluster(sky, 'left')
    driver = Driver.of(sky, idle_minutes=60, refresh_interval=900)
    driver.run()
    sky.pass_time(900)
    sky.faults.add('status', status=503, path='/queue', times=1)
    run = driver.run()
    assert (run.value(IDLE), run.value(UNKNOWN), run.status) == (2, 0, AgentCheck.WARNING)
    assert 'the jobs of cluster' in run.message
    sky.pass_time(60)
    sky.log.clear()
    run = driver.run()
    assert (run.value(IDLE), run.value(UNKNOWN), run.status) == (2, 0, AgentCheck.OK)
    assert [entry.path for entry in sky.log].count('/queue') == 1


@case('E')
def test_a_cluster_that_stays_silent(sky):
    """A cluster that stays silent.

    Two idle clusters are up. The request for the jobs of one of them ends with 503 again and again.

    Right: After 45 minutes, it is unknown: `clusters.idle` is 1 and `clusters.idle_unknown` is 1. Until then, both are
    absent: nobody has known the cluster.

    Unchanged: `clusters.active` is 2.
    """
    add_cluster(sky, 'forgotten')
    add_cluster(sky, 'silent')
    driver = Driver.of(sky, idle_minutes=60, refresh_interval=900)
    sky.faults.add('status', status=503, path='/queue', after=1)
    seen = []
    for _ in range(4):
        run = driver.run()
        assert run.value('metta.skypilot.clusters.active') == 2
        seen.append((run.value(IDLE), run.value(UNKNOWN)))
        sky.faults.clear()
        sky.faults.add('status', status=503, path='/queue', after=1)
        sky.pass_time(900)
    assert seen == [(None, None)] * 3 + [(1, 1)]


@case('F', 'https://github.com/skypilot-org/skypilot/issues/8192')
def test_workers_that_wait_for_jobs(sky):
    """Workers that wait for jobs.

    A pool has three workers with four L4 each: one runs a job, one is ready and runs none, one is being set up.

    Right: `pools.idle_gpus` is 4; `pools.workers` is 2 in status ready and 1 in status starting.

    Unchanged: `gpus.in_use` is 4 of kind worker.
    """
    for number, status in ((1, 'READY'), (2, 'READY'), (3, 'STARTING')):
        add_cluster(sky, f'batch-{number}', managed=True, pool='batch', worker_status=status)
    add_job(sky, 1, pool='batch', worker='batch-1')
    run = Driver.of(sky, pools=True).run()
    assert run.value('metta.skypilot.pools.idle_gpus') == 4
    counts = run.series('metta.skypilot.pools.workers')
    assert counts == {('pool:batch', 'status:ready'): 2, ('pool:batch', 'status:starting'): 1}
    assert run.value('metta.skypilot.gpus.in_use', 'gpu_type:l4', 'kind:worker', 'market:ondemand') == 4


@case('F', 'https://docs.skypilot.co/en/latest/examples/pools.html')
@pytest.mark.parametrize('status', ['STARTING', 'RECOVERING'])
def test_a_worker_with_a_job_that_does_not_run_yet(sky, status):
    """A worker with a job that does not run yet.

    A pool has one worker, with four L4. A job has been given this worker and is being set up on it, for the first time
    or again.

    Right: `pools.idle_gpus` is 0, `gpus.in_use` is 4 and `gpus.requested` is absent.

    Unchanged: `jobs.running` is 0.
    """
    add_cluster(sky, 'batch-1', managed=True, pool='batch')
    add_job(sky, 1, status, pool='batch', worker='batch-1')
    run = Driver.of(sky, pools=True).run()
    assert run.value('metta.skypilot.pools.idle_gpus') == 0
    assert run.value('metta.skypilot.gpus.in_use', 'gpu_type:l4', 'kind:worker', 'market:ondemand') == 4
    assert run.series('metta.skypilot.gpus.requested') == {}
    assert run.value('metta.skypilot.jobs.running') == 0


@case('C', 'https://docs.skypilot.co/en/latest/examples/pools.html')
@pytest.mark.parametrize('gap', ['version', 'rows', 'limit'])
def test_workers_whose_jobs_cannot_be_known(sky, gap):
    """Workers whose jobs cannot be known.

    A pool has two workers with four L4 each, and both run a job. The queue does not tell both jobs and their workers:
    the server has not told its version, so the check cannot ask for workers; or a row of the queue has no status; or
    the server has more jobs than `max_rows`.

    Right: `pools.idle_gpus` is absent. A worker without a known job may run an unknown one: 4 and 8 would be wrong.

    Unchanged: `pools.workers` is 2.
    """
    for number in (1, 2):
        add_cluster(sky, f'batch-{number}', managed=True, pool='batch')
        add_job(sky, number, pool='batch', worker=f'batch-{number}')
    if gap == 'version':
        sky._health = lambda known: {'status': 'healthy'}
    if gap == 'rows':
        rows = sky._rows
        sky._rows = lambda jobs, fields: [
            {**row, 'status': None if row['job_id'] == 1 else row['status']} for row in rows(jobs, fields)
        ]
    run = Driver.of(sky, pools=True, **({'max_rows': 1} if gap == 'limit' else {})).run()
    assert run.series('metta.skypilot.pools.idle_gpus') == {}
    assert run.series('metta.skypilot.pools.workers') == {('pool:batch', 'status:ready'): 2}


@case('C')
def test_a_rate_limit_while_clusters_are_asked(sky):
    """A rate limit while clusters are asked.

    A refresh has seen two idle clusters. In the next one, a proxy in front of the server answers 429 to the request for
    the jobs of one of them.

    Right: `clusters.idle` stays 2. The failure is counted with reason `rate_limit`, and its message names the cluster.
    A minute later, the cluster is asked again.

    Unchanged: `clusters.active` is 2.
    """
    add_cluster(sky, 'forgotten')
    add_cluster(sky, 'left')
    driver = Driver.of(sky, idle_minutes=60, refresh_interval=900)
    driver.run()
    sky.pass_time(900)
    sky.faults.add('status', status=429, path='/queue', times=1)
    run = driver.run()
    assert (run.value(IDLE), run.value(UNKNOWN), run.value('metta.skypilot.clusters.active')) == (2, 0, 2)
    assert run.series('metta.collector.errors') == {('block:idle', 'reason:rate_limit', 'source:skypilot'): 1}
    assert 'the jobs of cluster' in run.message
    sky.pass_time(120)
    run = driver.run()
    assert (run.value(IDLE), run.value(UNKNOWN), run.status) == (2, 0, AgentCheck.OK)

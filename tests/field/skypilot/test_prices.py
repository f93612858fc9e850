"""Prices of machines, and the clusters that are billed."""

from __future__ import annotations

from math import fsum

import pytest

from metta_checks.testing import Driver

from ..case import case
from .machines import AZURE, GCP, KUBERNETES, add_cluster, add_job

HOURLY = 'metta.skypilot.cost.hourly_usd'
OF_JOB = 'metta.skypilot.job.hourly_usd'
KINDS = 'metta.skypilot.cost.breakdown_hourly_usd'
UNPRICED = 'metta.skypilot.cost.unpriced_clusters'
COVERAGE = 'metta.skypilot.cost.price_coverage_pct'
SPENT = 'metta.skypilot.cost.spend_usd_24h'
T4, V100, NO_GPU = ('T4', 2), ('V100', 1), ('', 0)


def cost_of_jobs(run):
    """Return USD per hour by job id."""
    costs = {}
    for tags, usd in run.series(OF_JOB).items():
        [number] = [tag.removeprefix('job_id:') for tag in tags if tag.startswith('job_id:')]
        costs[number] = usd
    return costs


@case('A', 'https://github.com/skypilot-org/skypilot/issues/2038')
@pytest.mark.parametrize('order', [1, -1])
@pytest.mark.parametrize('billed', [True, False])
def test_gpus_attached_to_one_host_type(serve, order, billed):
    """Different GPUs attached to one host type.

    Google Cloud attaches two T4 or one V100 to the same host type n1-highmem-8. A job runs on each. The server controls
    jobs on a machine of its own, so that their clusters are not in its cost report. The report has clusters of people
    with T4 and with V100 on such hosts, in either order; or it has none, and the price list has the prices.

    Right: `job.hourly_usd` is 1.17 for the job on T4 and 2.95 for the one on V100, whatever the order of the report.

    Unchanged: `cost.hourly_usd` is the sum of the clusters in the report.
    """
    sky = serve('skypilot', activity=False, consolidation=False)
    sky.clear()
    add_job(sky, 1, shape=T4, place=GCP)
    add_job(sky, 2, shape=V100, place=GCP)
    if billed:
        for name, shape in [('dev-t4', T4), ('dev-v100', V100)][::order]:
            add_cluster(sky, name, shape, GCP)
    run = Driver.of(sky, per_job=True).run()
    assert cost_of_jobs(run) == {'1': pytest.approx(1.17), '2': pytest.approx(2.95)}
    assert run.value(HOURLY) == pytest.approx(1.17 + 2.95 if billed else 0)


@case('A', 'https://github.com/skypilot-org/skypilot/issues/6056')
def test_a_host_without_gpus_prices_no_gpu_job(serve):
    """A host without GPUs prices no job with GPUs.

    A cluster of a person runs on n1-highmem-8 without GPUs, for 0.47 USD per hour. A job runs on the same host type
    with two T4. The price list has no row for it.

    Right: `job.hourly_usd` is absent for the job.

    Unchanged: `cost.hourly_usd` is 0.47, the rate of the cluster.
    """
    sky = serve('skypilot', activity=False, consolidation=False)
    sky.clear()
    add_job(sky, 1, shape=T4, place=GCP)
    add_cluster(sky, 'dev-cpu', ('', 0.5), GCP)
    sky.unlisted_clouds = {'gcp'}
    run = Driver.of(sky, per_job=True).run()
    assert run.value(HOURLY) == pytest.approx(0.47)
    assert cost_of_jobs(run) == {}


@case('A')
def test_an_instance_type_longer_than_fifteen_letters(serve):
    """An instance type longer than fifteen letters.

    A job runs on Standard_NC24ads_A100_v4 of Azure. The short form of its resources says `Standard_NC24ad...`.

    Right: `job.hourly_usd` is 3.67, the price of this type in the price list.

    Unchanged: `gpus.in_use` is 1 for the type a100-80gb.
    """
    sky = serve('skypilot', activity=False, consolidation=False)
    sky.clear()
    add_job(sky, 1, shape=('A100-80GB', 1), place=AZURE)
    run = Driver.of(sky, per_job=True).run()
    assert cost_of_jobs(run) == {'1': pytest.approx(3.67)}
    assert run.value('metta.skypilot.gpus.in_use', 'gpu_type:a100-80gb', 'kind:job', 'market:ondemand') == 1


@case('C', 'https://github.com/skypilot-org/skypilot/issues/8874')
def test_prices_of_kubernetes(sky):
    """Prices of Kubernetes.

    The server is configured with prices for Kubernetes: its cost report bills 2.40 USD per hour for a cluster with four
    L4. A job holds pods of the same size in the same cluster of Kubernetes.

    Right: `job.hourly_usd` is 2.40 for the job.

    Unchanged: `cost.hourly_usd` is 2.40 and `cost.unpriced_clusters` is 0.
    """
    add_cluster(sky, 'dev-pods', place=KUBERNETES, configured_price=2.4)
    add_job(sky, 1, place=KUBERNETES)
    run = Driver.of(sky, per_job=True).run()
    assert cost_of_jobs(run) == {'1': pytest.approx(2.4)}
    assert (run.value(HOURLY), run.value(UNPRICED)) == (pytest.approx(2.4), 0)


@case('C', 'https://github.com/skypilot-org/skypilot/issues/8874')
def test_the_option_prices_on_kubernetes(sky):
    """The option `prices` on Kubernetes.

    A cluster with four L4 runs on Kubernetes, for which the server has no prices. The option `prices` says 0.80 USD per
    hour for an L4. Without the option, nobody knows what the cluster costs.

    Right: `cost.hourly_usd` is 3.20. Without the option it is absent, `cost.unpriced_clusters` is 1 and
    `cost.price_coverage_pct` is 0.

    Unchanged: `clusters.active` is 1.
    """
    add_cluster(sky, 'dev-pods', place=KUBERNETES)
    run = Driver.of(sky).run()
    assert (run.value(HOURLY), run.value(UNPRICED), run.value(COVERAGE)) == (None, 1, 0)
    run = Driver.of(sky, prices={'L4': {'ondemand': 0.8}}, tags=['run:2']).run()
    assert run.value(HOURLY) == pytest.approx(3.2)
    assert run.value('metta.skypilot.clusters.active') == 1


@case('H', 'https://github.com/skypilot-org/skypilot/issues/8874')
def test_a_job_has_the_price_of_its_own_cluster(sky):
    """A job has the price of its own cluster.

    The server bills 2.40 USD per hour for a cluster of a person on Kubernetes. A job has a cluster of the same size
    there, which is in the cost report without a price. The option `prices` says 0.80 USD per hour for an L4.

    Right: `job.hourly_usd` is 3.20, as in `cost.hourly_usd`.

    Unchanged: `cost.hourly_usd` is 5.60.
    """
    add_cluster(sky, 'dev-pods', place=KUBERNETES, configured_price=2.4)
    job = add_job(sky, 1, place=KUBERNETES)
    add_cluster(sky, job.cluster_name, place=KUBERNETES, job=1)
    run = Driver.of(sky, per_job=True, prices={'L4': {'ondemand': 0.8}}).run()
    assert cost_of_jobs(run) == {'1': pytest.approx(3.2)}
    assert run.value(HOURLY) == pytest.approx(5.6)


@case('A', 'https://github.com/skypilot-org/skypilot/issues/5230')
def test_machines_that_nobody_launched(sky):
    """Machines that nobody launched.

    A server has a cluster of a person, a machine for the jobs controller, a replica of a service, a worker of a pool,
    and the cluster of a job. /status lists the first two; the cost report lists all five.

    Right: `cost.breakdown_hourly_usd` has one series of each kind: cluster, controller, replica, worker and job;
    `clusters.active` is 1.

    Unchanged: `cost.hourly_usd` is the sum of the five.
    """
    add_cluster(sky, 'dev')
    add_cluster(sky, 'sky-jobs-controller-1a2b3c4d', NO_GPU)
    add_cluster(sky, 'chat-1', managed=True)
    add_cluster(sky, 'batch-2', managed=True)
    add_job(sky, 7, pool='batch', worker='batch-2')
    job = add_job(sky, 8)
    add_cluster(sky, job.cluster_name, job=8)
    run = Driver.of(sky).run()
    kinds = sorted(tag for tags in run.series(KINDS) for tag in tags if tag.startswith('kind:'))
    assert kinds == ['kind:cluster', 'kind:controller', 'kind:job', 'kind:replica', 'kind:worker']
    assert run.value('metta.skypilot.clusters.active') == 1
    assert sum(run.series(KINDS).values()) == pytest.approx(run.value(HOURLY))


@case('A', 'https://github.com/skypilot-org/skypilot/issues/9341')
def test_a_replica_with_the_number_of_a_job(sky):
    """A replica with the number of a job.

    A service named chat has a replica chat-8. A job with the id 8 is named train-8 and has a cluster of its own.

    Right: in `cost.breakdown_hourly_usd`, one cluster is of kind job and one of kind replica.

    Unchanged: `cost.hourly_usd` is the sum of both.
    """
    add_cluster(sky, 'chat-8', managed=True)
    job = add_job(sky, 8)
    add_cluster(sky, job.cluster_name, job=8)
    run = Driver.of(sky).run()
    kinds = sorted(tag for tags in run.series(KINDS) for tag in tags if tag.startswith('kind:'))
    assert kinds == ['kind:job', 'kind:replica']
    assert sum(run.series(KINDS).values()) == pytest.approx(run.value(HOURLY))


@case('H', 'https://github.com/skypilot-org/skypilot/issues/1751')
@pytest.mark.parametrize(
    'event',
    [
        'Provision failed: no capacity in us-east-1',
        'Retrying provisioning after 300s',
        'Provisioning on AWS in us-east-1',
    ],
)
def test_a_cluster_that_never_got_a_machine(sky, event):
    """A cluster that never got a machine.

    A cluster has been in status INIT for 10 h because no zone has capacity. The cost report has an open interval for
    these hours, as for a cluster that is up. Another cluster has been up for 10 h, for 4.602 USD per hour.

    Right: `cost.spend_usd_24h` is 46.02 and `cost.hourly_usd` is 4.602.

    Unchanged: `clusters.count` shows both clusters.
    """
    add_cluster(sky, 'dev')
    add_cluster(sky, 'waiting', status='INIT', last_event=event)
    run = Driver.of(sky).run()
    assert run.value(SPENT) == pytest.approx(46.02, rel=1e-3)
    assert run.value(HOURLY) == pytest.approx(4.602)
    counts = [run.value('metta.skypilot.clusters.count', f'status:{status}') for status in ('up', 'init')]
    assert counts == [1, 1]


@case('H', 'https://github.com/skypilot-org/skypilot/issues/1751')
@pytest.mark.parametrize('status', ['AUTOSTOPPING', 'INIT'])
def test_a_cluster_that_is_billed_but_not_up(sky, status):
    """A cluster that is billed but not up.

    A cluster that has been up is stopping, or has lost contact and is in status INIT. The cloud still bills its
    machine, 4.602 USD per hour.

    Right: `cost.hourly_usd` is 4.602, and `cost.spend_usd_24h` grows by that much in an hour.

    Unchanged: `clusters.active` is 0.
    """
    add_cluster(sky, 'dev', status=status, ever_up=True)
    driver = Driver.of(sky)
    before = driver.run()
    assert before.value(HOURLY) == pytest.approx(4.602)
    sky.pass_time(3600)
    after = driver.run()
    assert fsum(after.series(SPENT).values()) - fsum(before.series(SPENT).values()) == pytest.approx(4.602, rel=1e-3)
    assert after.value('metta.skypilot.clusters.active') == 0

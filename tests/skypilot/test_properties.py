"""Relations that hold between figures, whatever the server answers."""

from __future__ import annotations

from math import fsum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metta_checks.skypilot.kinds import Kinds
from metta_checks.skypilot.measures import clusters as cluster_measures
from metta_checks.skypilot.measures import cost
from metta_checks.skypilot.measures import jobs as measures
from metta_checks.skypilot.measures.cost import RatedCluster
from metta_checks.skypilot.records import LIVE, QUEUED, RECOVERING, STARTING

from .build import GONE, HOUR, NOW, before, bill, cluster, queue, record

pytestmark = pytest.mark.unit

SHAPES = st.sampled_from([('L4', 1), ('L4', 4), ('H100', 8), ('A10G', 1)])
WAITING = (*QUEUED, STARTING, RECOVERING)


@st.composite
def rows(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw rows of the queue, one job each, of which some run on workers of a pool."""
    found = []
    for number in range(draw(st.integers(0, 8))):
        gpu, count = draw(SHAPES)
        nodes = draw(st.integers(1, 3))
        fields: dict[str, Any] = {
            'resources': f'{nodes}x[{gpu}:{count}]',
            'cluster_resources': GONE,
            'cluster_resources_full': f'{nodes}x(gpus={gpu}:{count}, cpus=4, mem=16, x.large, disk=256)',
            'accelerators': {gpu: count},
        }
        status = draw(st.sampled_from([*LIVE, *QUEUED, 'SUCCEEDED', 'FAILED']))
        if status in QUEUED or draw(st.booleans()):
            fields |= {'accelerators': GONE, 'cluster_resources_full': '-'}
        found.append(record(number, status, **fields))
    return found


def total(samples: Any, name: str) -> float:
    return fsum(sample.value for sample in samples if sample.name == name and sample.value is not None)


@given(rows())
def test_gpus_of_a_job_are_in_use_or_requested_but_not_both(drawn):
    for row in drawn:
        jobs = queue(row)
        requested = total(measures.jobs(jobs, NOW), 'gpus.requested')
        in_use = total(measures.gpus(jobs.jobs), 'gpus.in_use')
        assert not (requested and in_use)
        if row['status'] in WAITING:
            assert requested > 0
        elif row['status'] in ('RUNNING', 'WINDING_DOWN'):
            assert in_use > 0


@given(rows(), st.booleans())
def test_every_live_job_has_its_gpus_in_use_or_asks_for_them(drawn, on_worker):
    for row in drawn:
        if on_worker:
            row |= {'pool': 'p', 'current_cluster_name': f'p-{row["job_id"]}'}
        jobs = queue(row)
        [job] = jobs.jobs
        requested = total(measures.jobs(jobs, NOW), 'gpus.requested')
        in_use = total(measures.gpus(jobs.jobs), 'gpus.in_use')
        nodes, _, count = row['resources'].partition('x')
        wanted = int(nodes) * int(count.rpartition(':')[2].rstrip(']'))
        if job.status in ('RUNNING', 'WINDING_DOWN'):
            assert (in_use, requested) == (wanted, 0)
        elif job.status in WAITING and not (on_worker and job.is_live):
            assert (in_use, requested) == (0, wanted)
        else:
            # A job that waits on its worker has it; one that is being canceled has its machines as far as they exist.
            assert requested == 0
            assert in_use in (0, wanted)


@given(st.lists(st.tuples(st.booleans(), st.none() | st.booleans(), st.integers(0, 8), st.none() | st.floats(0.1, 9))))
def test_idle_clusters_are_part_of_those_in_use(drawn):
    names = range(len(drawn))
    some = [
        cluster(f'dev-{name}', 'UP' if up else 'STOPPED', accelerators={'l4': gpus} if gpus else {})
        for name, (up, _, gpus, _) in zip(names, drawn, strict=True)
    ]
    up = cluster_measures.of_people(some)
    states = {one.name: is_idle for one, (_, is_idle, _, _) in zip(some, drawn, strict=True)}
    rates = {one.hash: rate for one, (*_, rate) in zip(some, drawn, strict=True)}
    idle = list(cluster_measures.idle([(one, states[one.name]) for one in up], rates))
    assert total(idle, 'clusters.idle') + total(idle, 'clusters.idle_unknown') <= len(up)
    assert total(idle, 'clusters.idle_gpus') <= total(cluster_measures.gpus(some), 'gpus.in_use')
    assert total(idle, 'cost.idle_clusters_hourly_usd') <= fsum(rates[one.hash] or 0 for one in up) + 1e-9


@given(rows(), st.randoms())
def test_the_order_of_the_rows_does_not_matter(drawn, random):
    shuffled = list(drawn)
    random.shuffle(shuffled)
    for one, other in ((queue(*drawn), queue(*shuffled)),):
        assert total(measures.gpus(one.jobs), 'gpus.in_use') == total(measures.gpus(other.jobs), 'gpus.in_use')
        requested = [total(measures.jobs(queue_, NOW), 'gpus.requested') for queue_ in (one, other)]
        assert requested[0] == pytest.approx(requested[1])


@given(rows(), st.integers(1, 3))
def test_a_worker_counts_once_whatever_runs_on_it(drawn, times):
    running = [row for row in drawn if row['status'] == 'RUNNING']
    on_worker = [
        {**row, 'job_id': 100 * copy + row['job_id'], 'pool': 'p', 'current_cluster_name': f'p-{row["job_id"]}'}
        for row in running
        for copy in range(times)
    ]
    once = total(measures.gpus(queue(*running).jobs), 'gpus.in_use')
    assert total(measures.gpus(queue(*on_worker).jobs), 'gpus.in_use') == pytest.approx(once)


@st.composite
def clusters(draw: st.DrawFn) -> list[RatedCluster]:
    """Draw clusters of the cost report, some of them ended, stopped or without a price."""
    found = []
    for number in range(draw(st.integers(0, 8))):
        status = draw(st.sampled_from(['UP', 'INIT', 'STOPPED', 'AUTOSTOPPING', None]))
        end = None if status in ('UP', 'INIT', 'AUTOSTOPPING') else before(HOUR)
        name = draw(st.sampled_from(['dev', 'train-1', 'sky-jobs-controller-1a', 'pool-1', 'chat-1']))
        one = bill(
            f'{name}{number}' if name == 'dev' else name,
            status,
            hash=str(number),
            owner=draw(st.sampled_from(['a', 'b', None])),
            user_name=draw(st.sampled_from(['sam', 'Sam', None])),
            workspace=draw(st.sampled_from(['default', 'Default', 'research'])),
            intervals=[(before(draw(st.floats(2, 60)) * HOUR), end)],
        )
        found.append(RatedCluster(one, draw(st.none() | st.floats(0.1, 50))))
    return found


@given(clusters())
def test_parts_of_the_cost_add_up_to_the_total(rated):
    totals = list(cost.cost(rated, NOW))
    rate, spent = total(totals, 'cost.hourly_usd'), total(totals, 'cost.spend_usd_24h')
    people = {cluster.bill.hash for cluster in rated if cluster.bill.name.startswith('dev')}
    kinds = Kinds(queue(record(1, task_name='train')).jobs, people, complete=True)
    assert total(cost.breakdown(rated, kinds), 'cost.breakdown_hourly_usd') == pytest.approx(rate)
    for owner, parts in (('user', cost.of_users), ('workspace', cost.of_workspaces)):
        samples = list(parts(rated, NOW))
        assert total(samples, f'cost.hourly_usd_by_{owner}') == pytest.approx(rate)
        assert total(samples, f'cost.spend_usd_24h_by_{owner}') == pytest.approx(spent)


@given(clusters(), st.integers(0, 7))
def test_removing_a_cluster_never_raises_a_total(rated, index):
    fewer = [cluster for position, cluster in enumerate(rated) if position != index]
    for name in ('cost.hourly_usd', 'cost.spend_usd_24h', 'cost.unpriced_clusters'):
        assert total(cost.cost(fewer, NOW), name) <= total(cost.cost(rated, NOW), name) + 1e-9
    bills, of_fewer = ([cluster.bill for cluster in some] for some in (rated, fewer))
    assert total(cost.gpu_hours(of_fewer, NOW), 'gpus.hours_24h') <= total(cost.gpu_hours(bills, NOW), 'gpus.hours_24h')


@given(clusters())
def test_nobody_is_billed_for_more_than_a_day(rated):
    rates = fsum(cluster.rate or 0 for cluster in rated)
    assert total(cost.cost(rated, NOW), 'cost.spend_usd_24h') <= 24 * rates + 1e-6

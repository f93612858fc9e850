"""Parsing of answers to jobs, clusters and bills."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metta_checks.core.errors import BadPayload
from metta_checks.core.times import from_epoch
from metta_checks.skypilot.cluster_records import parse_bills, parse_clusters
from metta_checks.skypilot.records import OPEN, SUCCEEDED, TERMINAL, Queue, Task

from .build import GONE, HOUR, T, before, job, queue, record

pytestmark = pytest.mark.unit


def pipeline(*statuses, **fields):
    return job(*(record(1, status, task_id=index, **fields) for index, status in enumerate(statuses)))


class TestStatusOfAJob:
    @pytest.mark.parametrize(
        ('statuses', 'expected'),
        [
            (['PENDING'], 'PENDING'),
            (['PENDING', 'PENDING', 'PENDING'], 'PENDING'),
            (['SUCCEEDED', 'RUNNING', 'PENDING'], 'RUNNING'),
            (['SUCCEEDED', 'SUCCEEDED', 'RECOVERING'], 'RECOVERING'),
            (['SUCCEEDED', 'SUCCEEDED', 'SUCCEEDED'], 'SUCCEEDED'),
            (['FAILED', 'CANCELLED', 'CANCELLED'], 'FAILED'),
            (['SUCCEEDED', 'FAILED_SETUP', 'CANCELLED'], 'FAILED_SETUP'),
            (['SUCCEEDED', 'CANCELLED'], 'CANCELLED'),
        ],
    )
    def test_a_pipeline_is_decided_by_the_first_task_that_has_not_succeeded(self, statuses, expected):
        assert pipeline(*statuses).status == expected

    def test_rows_may_come_in_any_order(self):
        rows = [record(1, 'PENDING', task_id=2), record(1, 'SUCCEEDED', task_id=0), record(1, 'RUNNING', task_id=1)]
        assert job(*rows).status == 'RUNNING'

    @pytest.mark.parametrize(
        ('auxiliary', 'primary', 'expected'),
        [
            ('RUNNING', 'SUCCEEDED', 'SUCCEEDED'),
            ('FAILED', 'RUNNING', 'RUNNING'),
            ('CANCELLED', 'FAILED', 'FAILED'),
        ],
    )
    def test_of_a_job_group_only_primary_tasks_are_asked(self, auxiliary, primary, expected):
        group = job(
            record(1, auxiliary, task_id=0, is_primary_in_job_group=False),
            record(1, primary, task_id=1, is_primary_in_job_group=True),
        )
        assert group.status == expected

    def test_a_group_without_primary_tasks_is_decided_by_all(self):
        statuses = ('SUCCEEDED', 'FAILED')
        rows = [record(1, status, task_id=i, is_primary_in_job_group=False) for i, status in enumerate(statuses)]
        assert job(*rows).status == 'FAILED'

    @given(st.lists(st.sampled_from((*OPEN, *TERMINAL)), min_size=1, max_size=6))
    def test_it_is_succeeded_exactly_when_every_task_is(self, statuses):
        found = pipeline(*statuses)
        assert (found.status == SUCCEEDED) == (set(statuses) == {SUCCEEDED})
        assert found.status in statuses


class TestRuntimeAndEnd:
    def test_a_pipeline_adds_up_its_tasks(self):
        rows = [
            record(1, 'SUCCEEDED', task_id=0, job_duration=2 * HOUR),
            record(1, 'RUNNING', task_id=1, job_duration=30 * HOUR),
            record(1, 'PENDING', task_id=2, job_duration=0),
        ]
        assert job(*rows).runtime == 32 * HOUR

    def test_the_tasks_of_a_group_run_side_by_side(self):
        rows = [
            record(1, 'RUNNING', task_id=0, job_duration=3 * HOUR, is_primary_in_job_group=False),
            record(1, 'RUNNING', task_id=1, job_duration=2 * HOUR, is_primary_in_job_group=True),
        ]
        assert job(*rows).runtime == 3 * HOUR

    def test_a_negative_duration_is_none(self):
        assert job(record(job_duration=-5)).runtime == 0
        assert job(record(job_duration=None)).runtime == 0

    def test_the_end_is_the_last_end_of_any_row_and_only_of_ended_jobs(self):
        rows = [
            record(1, 'SUCCEEDED', task_id=0, end_at=T - 5 * HOUR),
            record(1, 'FAILED', task_id=1, end_at=T - HOUR),
            record(1, 'CANCELLED', task_id=2, end_at=None),
        ]
        assert job(*rows).ended_at == before(HOUR)
        assert job(*rows[:1], record(1, 'RUNNING', task_id=1)).ended_at is None
        assert job(record(1, 'FAILED', end_at=None)).ended_at is None

    def test_an_unknown_status_has_not_ended(self):
        found = job(record(1, 'NEW_STATUS', end_at=T))
        assert found.ended_at is None
        assert found.status == 'NEW_STATUS'


class TestGpus:
    @pytest.mark.parametrize(
        ('launched', 'accelerators', 'expected'),
        [
            ('2x[spot](gpus=L4:4, g6.12xlarge, ...)', {'L4': 4}, {'l4': 8}),
            ('16x(gpus=H100:8, p5.48xlarge, ...)', {'H100': 8}, {'h100': 128}),
            ('1x(gpus=L4:0.5, cpus=2, ...)', {'L4': 0.5}, {'l4': 0.5}),
            ('1x(cpus=4, mem=16, m6i.xlarge, ...)', None, {}),
        ],
    )
    def test_per_node_times_nodes(self, launched, accelerators, expected):
        assert job(record(cluster_resources=launched, accelerators=accelerators)).gpus == expected

    def test_nodes_come_from_the_request_while_nothing_is_launched(self):
        assert job(record(cluster_resources='-', resources='3x[L4:1]')).current.nodes == 3
        assert job(record(cluster_resources=None, resources='3x[L4:1]')).current.nodes == 3
        assert job(record(cluster_resources='-', resources=None)).current.nodes == 1

    def test_a_row_without_a_machine_holds_none(self):
        assert job(record(1, 'RECOVERING', accelerators=GONE, cluster_resources='1x[L4:4][Spot]')).gpus == {}

    def test_only_live_rows_hold_any(self):
        rows = [record(1, 'SUCCEEDED', task_id=0), record(1, 'RUNNING', task_id=1), record(1, 'PENDING', task_id=2)]
        assert job(*rows).gpus == {'l4': 4}


class TestMarketAndPlace:
    @pytest.mark.parametrize(
        ('launched', 'requested', 'expected'),
        [
            ('1x[spot](gpus=L4:4, g6.12xlarge, ...)', '1x[L4:4][On-demand|Spot]', 'spot'),
            ('1x[SPOT](gpus=L4:4, g6.12xlarge, ...)', '1x[L4:4]', 'spot'),
            ('1x(gpus=L4:4, g6.12xlarge, ...)', '1x[L4:4][On-demand|Spot]', 'ondemand'),
            ('1x(gpus=L4:4, spot-pool, ...)', '1x[L4:4]', 'ondemand'),
            # The server shows the request again between two machines.
            ('1x[L4:4][Spot]', '1x[L4:4][Spot]', 'spot'),
            ('1x[L4:4][On-demand|Spot]', '1x[L4:4][On-demand|Spot]', 'unknown'),
            ('-', '1x[L4:4][Spot]', 'spot'),
            (None, '1x[L4:4][On-demand|Spot]', 'unknown'),
            ('-', '1x[L4:4]', 'ondemand'),
        ],
    )
    def test_the_market_is_that_of_what_was_launched(self, launched, requested, expected):
        assert job(record(cluster_resources=launched, resources=requested)).market == expected

    @pytest.mark.parametrize('region', [None, '-', '', GONE])
    def test_no_region_yet(self, region):
        assert job(record(region=region)).region is None

    def test_the_current_task_says_where(self):
        rows = [
            record(1, 'SUCCEEDED', task_id=0, region='us-west-2', cluster_resources='1x(cpus=4, m6i.xlarge, ...)'),
            record(1, 'RUNNING', task_id=1),
        ]
        assert (job(*rows).region, job(*rows).market) == ('us-east-1', 'spot')


class TestParsing:
    def test_a_record_of_the_old_call_lacks_almost_everything(self):
        # The first system read such records and failed at the first null.
        bare = {'job_id': 7, 'status': 'RUNNING', 'region': None, 'cloud': None, 'job_duration': 60.0}
        found = job(bare)
        assert (found.id, found.runtime, found.region, found.owner, found.gpus) == (7, 60, None, None, {})

    def test_secrets_of_full_records_are_left_behind(self):
        task = Task.parse(record(user_yaml='secret', entrypoint='secret', env_file_path='secret'))
        assert 'secret' not in repr(task)

    def test_the_owner_is_the_hash_else_the_name(self):
        assert job(record(user_hash='abc', user_name='ada')).owner == 'abc'
        assert job(record(user_hash=None, user_name='ada')).owner == 'ada'

    @pytest.mark.parametrize('damaged', [None, 'text', {}, {'job_id': 'x', 'status': 'RUNNING'}, {'job_id': 1}])
    def test_rows_that_cannot_be_read_are_counted(self, damaged):
        found = queue(record(1), damaged)
        assert (len(found.jobs), found.unreadable) == (1, 1)

    def test_counts_come_from_the_server(self):
        found = queue(record(1), status_counts={'RUNNING': 3, 'FAILED': 90})
        assert found.status_counts == {'RUNNING': 3, 'FAILED': 90}

    def test_without_counts_the_rows_are_counted_if_they_are_all(self):
        rows = [record(1, 'RUNNING'), record(1, 'PENDING', task_id=1), record(2, 'RUNNING')]
        assert Queue.parse(rows, complete=True).status_counts == {'RUNNING': 2, 'PENDING': 1}
        assert Queue.parse({'jobs': rows, 'total': 9}, complete=False).status_counts is None
        assert Queue.parse([*rows, None], complete=True).status_counts is None

    def test_rows_with_machines_are_recognized(self):
        assert queue().has_handles
        assert queue(record()).has_handles
        assert not queue(record(cluster_resources=GONE, accelerators=GONE, cloud=GONE, region=GONE)).has_handles

    @pytest.mark.parametrize('answer', [None, 'x', {}, {'jobs': None}, {'jobs': {}}])
    def test_an_answer_of_another_form(self, answer):
        with pytest.raises(BadPayload, match='the job queue has no list of jobs'):
            Queue.parse(answer, complete=True)

    json = st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
        lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=3),
        max_leaves=5,
    )

    @given(st.dictionaries(st.sampled_from(sorted(record())), json), st.integers())
    def test_no_value_of_any_field_breaks_a_row(self, fields, job_id):
        task = Task.parse({'job_id': job_id, 'status': 'RUNNING', **fields})
        if task is not None:
            assert all(count > 0 for count in task.gpus.values())
            assert task.market in ('spot', 'ondemand', 'unknown')

    def test_a_cluster_in_its_summary_form(self):
        (found,) = parse_clusters([
            {
                'name': 'dev', 'cluster_hash': 'h', 'status': 'UP', 'user_hash': 'abc', 'nodes': 2, 'autostop': -1,
                'launched_at': int(T), 'accelerators': "{'L4': 4}", 'workspace': 'research', 'handle': None,
                'resources_str': '2x[spot](gpus=L4:4, g6.12xlarge, ...)',
            }
        ])  # fmt: skip
        assert (found.nodes, found.accelerators, found.market, found.autostop) == (2, {'l4': 4}, 'spot', -1)

    def test_a_cluster_of_an_old_server_is_read_from_its_text(self):
        described = '4x(gpus=H100:8, p5.48xlarge, ...)'
        (found,) = parse_clusters([{'name': 'dev', 'status': 'UP', 'resources_str': described}])
        assert (found.nodes, found.accelerators, found.hash) == (4, {'h100': 8}, 'dev')

    def test_a_cpu_cluster_lacks_the_key(self):
        described = '1x(cpus=4, mem=16, m6i.xlarge, ...)'
        (found,) = parse_clusters([{'name': 'dev', 'status': 'UP', 'nodes': 1, 'resources_str': described}])
        assert found.accelerators == {}

    def test_a_bill(self):
        (found,) = parse_bills([
            {
                'name': 'job-1', 'cluster_hash': 'h', 'status': None, 'num_nodes': 2, 'duration': 3600,
                'total_cost': 3.5, 'cloud': 'AWS', 'region': 'us-east-1', 'accelerators': 'None',
                'usage_intervals': [[100, 200], [300, None]],
                'resources_str': '2x(cpus=4, mem=16, m6i.xlarge, ...)',
                'resources_str_full': '2x(cpus=4, mem=16, m6i.xlarge, disk=256)', 'resources': 'a pickle, never opened',
            }
        ])  # fmt: skip
        assert (found.status, found.cloud, found.accelerators) == (None, 'aws', {})
        assert found.machine == ('aws', 'm6i.xlarge', 'us-east-1', 'ondemand', ())
        # The end of an ended cluster that is open is not known.
        assert found.intervals == [(from_epoch(100), from_epoch(200))]

    @pytest.mark.parametrize('intervals', [None, 'x', [[None, 1]], [[1]], [[1, 'x']]])
    def test_damaged_intervals_are_not_billed(self, intervals):
        (found,) = parse_bills([{'name': 'x', 'usage_intervals': intervals}])
        assert list(found.intervals) == []

    @pytest.mark.parametrize('parse', [parse_clusters, parse_bills])
    @pytest.mark.parametrize('answer', [None, {}, [None], [{}]])
    def test_other_answers(self, parse, answer):
        with pytest.raises(BadPayload):
            parse(answer)


def test_a_live_row_with_accelerators_that_nobody_understands_is_counted():
    rows = [
        {'job_id': 1, 'status': 'RUNNING', 'accelerators': 'four of them'},
        {'job_id': 2, 'status': 'SUCCEEDED', 'accelerators': 'four of them'},
        {'job_id': 3, 'status': 'RUNNING', 'accelerators': {'L4': 4}},
        {'job_id': 4, 'status': 'RUNNING', 'accelerators': None},
        'no row',
    ]
    assert Queue.parse({'jobs': rows}, complete=True).unclear == 1

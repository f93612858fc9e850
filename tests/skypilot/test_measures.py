"""Figures of jobs and clusters. Most tests keep a mistake of the first system from returning."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metta_checks.skypilot.measures import clusters as cluster_measures
from metta_checks.skypilot.measures import jobs as measures
from metta_checks.skypilot.measures import single_jobs
from metta_checks.skypilot.records import LIVE, OPEN, TERMINAL

from .build import DAY, GONE, HOUR, NOW, T, before, cluster, ended, queue, record, values

pytestmark = pytest.mark.unit

ZERO_PRESENT = ('jobs.queued', 'jobs.running', 'jobs.with_recoveries', 'resources.spot_jobs', 'regions.other')


def of(*records, **options):
    return values(measures.jobs(queue(*records), NOW, **options))


class TestCounts:
    def test_the_old_records_without_region_accelerators_and_user_are_enough(self):
        bare = {'job_id': 1, 'status': 'RUNNING', 'region': None, 'cloud': None, 'job_duration': 60.0}
        found = of(bare)
        assert found['jobs.running'] == 1
        assert found['jobs.runtime_seconds.max'] == 60
        # The rows do not contain machines: their figures are absent, not 0.
        assert not [name for name in found if name.startswith(('resources.', 'regions.', 'jobs.by_region'))]

    @pytest.mark.parametrize('status', [*OPEN, *TERMINAL, 'NEW_STATUS', 'FAILED_NEWLY'])
    def test_every_status_is_counted_in_its_figures(self, status):
        end_at = T - HOUR if status in TERMINAL or status.startswith('FAILED') else None
        found = of(record(1, status, end_at=end_at))
        assert found['jobs.queued'] == (status in ('PENDING', 'SUBMITTED'))
        assert found['jobs.running'] == (status in ('RUNNING', 'WINDING_DOWN'))
        assert found['jobs.failed'] == found['jobs.failed_7d'] == status.startswith('FAILED')
        assert found['jobs.succeeded'] == (status == 'SUCCEEDED')
        assert found['jobs.cancelled'] == (status == 'CANCELLED')
        assert found['resources.spot_jobs'] == (status in LIVE)
        assert found[f'tasks.count {status}'] == 1
        name = 'jobs.ended_24h' if end_at else 'jobs.count'
        assert found[f'{name} {status}'] == 1

    def test_known_statuses_are_zero_filled(self):
        found = of()
        assert {name for name in found if name.startswith('jobs.count ')} == {f'jobs.count {status}' for status in OPEN}
        assert {name for name in found if name.startswith('jobs.ended_24h ')} == {
            f'jobs.ended_24h {status}' for status in TERMINAL
        }
        assert {found[name] for name in found} == {0}

    def test_rows_are_not_jobs(self):
        pipeline = [record(1, status, task_id=i) for i, status in enumerate(['RUNNING', 'PENDING', 'PENDING'])]
        failed = [ended(2, 'FAILED', 1, task_id=0), ended(2, 'CANCELLED', 1, task_id=1)]
        waiting = [record(3, 'PENDING', task_id=i) for i in range(4)]
        found = of(*pipeline, *failed, *waiting)
        assert (found['jobs.queued'], found['jobs.running'], found['jobs.cancelled']) == (1, 1, 0)
        assert found['tasks.count PENDING'] == 6
        assert found['jobs.failed'] == found['jobs.ended_24h FAILED'] == 1

    @pytest.mark.parametrize(
        ('hours', 'day', 'week'), [(23, 1, 1), (24, 1, 1), (24.01, 0, 1), (168, 0, 1), (168.1, 0, 0)]
    )
    def test_windows_are_over_the_end(self, hours, day, week):
        # Submitted long before, or never.
        found = of(
            ended(1, 'FAILED', hours, submitted_at=T - 30 * DAY), ended(2, 'SUCCEEDED', hours, submitted_at=None)
        )
        assert found['jobs.failed'] == found['jobs.succeeded'] == day
        assert found['jobs.failed_7d'] == week

    def test_an_unknown_end_is_in_no_window(self):
        found = of(ended(1, 'FAILED', 1, end_at=None))
        assert found['jobs.failed_7d'] == 0
        assert found['tasks.count FAILED'] == 1

    def test_ended_jobs_add_up(self):
        found = of(*(ended(i, status, 1) for i, status in enumerate((*TERMINAL, 'FAILED_NEWLY'))))
        total = sum(value for name, value in found.items() if name.startswith('jobs.ended_24h '))
        assert total == found['jobs.failed'] + found['jobs.succeeded'] + found['jobs.cancelled'] == 8

    def test_by_workspace(self):
        found = of(record(1, workspace='a'), record(2, workspace='b'), record(3, workspace='b'), by_workspace=True)
        assert found['jobs.count RUNNING a'] == 1
        assert found['jobs.count RUNNING b'] == 2
        assert found['jobs.count PENDING b'] == 0


class TestRuntimes:
    @pytest.mark.parametrize(
        ('hours', 'p50', 'p99'),
        [([1], 1, 1), ([1, 2], 1.5, 1.99), (list(range(1, 11)), 5.5, 9.91)],
    )
    def test_percentiles_interpolate(self, hours, p50, p99):
        found = of(*(record(i, job_duration=h * HOUR) for i, h in enumerate(hours)))
        assert found['jobs.runtime_seconds.p50'] == pytest.approx(p50 * HOUR)
        assert found['jobs.runtime_seconds.p99'] == pytest.approx(p99 * HOUR)

    def test_the_two_longest_of_46_decide_on_p99(self):
        days = [1.0] * 44 + [13.9, 14.1]
        found = of(*(record(i, job_duration=d * DAY) for i, d in enumerate(days)))
        assert found['jobs.runtime_seconds.p99'] / DAY == pytest.approx(14.01)

    def test_without_running_jobs_there_are_no_statistics(self):
        assert not [name for name in of(record(1, 'PENDING')) if name.startswith('jobs.runtime_seconds')]

    @given(st.lists(st.floats(0, 40 * DAY), max_size=30))
    def test_the_buckets_add_up_and_the_statistics_are_ordered(self, seconds):
        found = of(*(record(i, job_duration=one) for i, one in enumerate(seconds)))
        assert sum(v for name, v in found.items() if name.startswith('jobs.runtime_buckets')) == len(seconds)
        if seconds:
            ordered = [found[f'jobs.runtime_seconds.{name}'] for name in ('min', 'p50', 'p90', 'p99', 'max')]
            assert ordered == sorted(ordered)

    @pytest.mark.parametrize(
        ('seconds', 'bucket'),
        [(0, '0_1h'), (3599.9, '0_1h'), (3600, '1_4h'), (4 * HOUR, '4_24h'), (DAY, 'over_24h'), (90 * DAY, 'over_24h')],
    )
    def test_edges(self, seconds, bucket):
        assert of(record(job_duration=seconds))[f'jobs.runtime_buckets.{bucket}'] == 1

    def test_stuck_jobs(self):
        rows = [record(1, job_duration=7 * DAY), record(2, job_duration=7 * DAY - 1)]
        found = of(*rows, record(3, 'RECOVERING', job_duration=9 * DAY))
        assert found['jobs.running_over_7d'] == 1


class TestResources:
    def test_similar_names_are_other_types(self):
        types = [('L4', 4), ('l4', 1), ('L40S', 4), ('L40', 2), ('H100', 8), ('H100-80GB', 8), ('GH200', 1), ('A10', 1)]
        rows = [
            record(i, accelerators={name: count}, cluster_resources=f'1x(gpus={name}:{count}, x.large, ...)')
            for i, (name, count) in enumerate(types)
        ]
        found = of(*rows)
        assert found['resources.gpus.l4_count'] == 5
        assert found['resources.gpus.h100_count'] == 16
        assert found['resources.gpus.a10g_count'] == 0
        assert found['resources.gpus.total_count'] == 29

    def test_nodes_and_fractions(self):
        found = of(
            record(1, cluster_resources='2x[spot](gpus=L4:4, g6.12xlarge, ...)'),
            record(2, cluster_resources='16x[spot](gpus=L4:4, g6.12xlarge, ...)'),
            record(3, accelerators={'L4': 0.5}, cluster_resources='1x(gpus=L4:0.5, cpus=2, ...)'),
        )
        assert found['resources.gpus.l4_count'] == found['resources.gpus.total_count'] == 8 + 64 + 0.5

    def test_markets_of_live_jobs(self):
        found = of(
            record(1),
            record(2, 'STARTING', cluster_resources='-', accelerators=GONE),
            record(3, 'STARTING', cluster_resources='-', accelerators=GONE, resources='1x[L4:4][On-demand|Spot]'),
            record(4, cluster_resources='1x(gpus=L4:4, g6.12xlarge, ...)'),
            record(5, 'PENDING', cluster_resources='-', accelerators=GONE),
            ended(6, 'SUCCEEDED', 1),
        )
        assert (found['resources.spot_jobs'], found['resources.ondemand_jobs']) == (2, 1)

    def test_regions_are_compared_as_a_whole(self):
        rows = [
            record(1), record(2, region='us-west-2'), record(3, region='us-east-10'),
            record(4, cloud='Kubernetes', region='eks_us-east-1_prod'), record(5, 'STARTING', region='-', cloud='-'),
        ]  # fmt: skip
        found = of(*rows)
        assert (found['regions.us_east_1'], found['regions.us_west_2'], found['regions.other']) == (1, 1, 2)
        assert found['jobs.by_region kubernetes eks_us-east-1_prod'] == 1
        assert found['jobs.by_region unknown unknown'] == 1

    def test_requests(self):
        pipeline = [record(4, status, task_id=i) for i, status in enumerate(['RUNNING', 'PENDING'])]
        found = of(
            record(1, 'PENDING', resources='2x[L4:4][Spot]'),
            record(2, 'PENDING', resources='1x[A100:8, H100:4]'),
            record(3, 'STARTING', resources='1x[L4:1]'),
            *pipeline,
            record(5, 'PENDING', resources='1x[CPU:4+]'),
            record(6, 'PENDING', resources=None),
        )
        assert {name: v for name, v in found.items() if name.startswith('gpus.requested')} == {
            'gpus.requested l4': 9,
            'gpus.requested any': 8,
        }

    def test_in_use_by_type_and_market(self):
        jobs = queue(record(1), record(2), record(3, cluster_resources='2x(gpus=L4:4, g6.12xlarge, ...)')).jobs
        assert values(measures.gpus(jobs)) == {'gpus.in_use job l4 spot': 8, 'gpus.in_use job l4 ondemand': 8}
        assert values(measures.gpus(jobs, by_workspace=True))['gpus.in_use job l4 spot default'] == 8


class TestRecoveries:
    def test_the_mean_is_over_all_live_jobs(self):
        rows = [record(i, recovery_count=count) for i, count in enumerate([0, 0, 0, 3])]
        found = of(*rows, record(9, 'RECOVERING', recovery_count=2), ended(10, 'FAILED', 1, recovery_count=50))
        assert found['jobs.with_recoveries'] == 2
        assert found['jobs.recovery_count.avg'] == 1
        assert found['jobs.recovery_count.max'] == 3

    def test_tasks_add_up(self):
        rows = [record(1, 'SUCCEEDED', task_id=0, recovery_count=2), record(1, 'RUNNING', task_id=1, recovery_count=1)]
        assert of(*rows)['jobs.recovery_count.max'] == 3

    def test_without_live_jobs_there_is_no_mean(self):
        found = of(ended(1, 'FAILED', 1))
        assert found['jobs.with_recoveries'] == 0
        assert 'jobs.recovery_count.avg' not in found


class TestWaits:
    def test_from_submission_to_start_of_the_first_task(self):
        rows = [
            record(1, submitted_at=T - 5000, start_at=T - 4900),
            record(2, submitted_at=T - 5000, start_at=T - 4600),
            # Started longer ago, not yet started, started before submission (clocks differ).
            record(3, submitted_at=T - 2 * DAY - 9999, start_at=T - 2 * DAY),
            record(4, 'STARTING', start_at=None),
            record(5, submitted_at=T - 10, start_at=T - 11),
        ]
        found = of(*rows)
        assert found['jobs.start_wait_seconds.max'] == 400
        assert found['jobs.start_wait_seconds.avg'] == pytest.approx(500 / 3)
        assert found['jobs.start_wait_seconds.p50'] == 100

    def test_the_longest_start(self):
        rows = [record(1, 'STARTING', submitted_at=T - 100), record(2, 'STARTING', submitted_at=T - 700)]
        assert of(*rows)['jobs.starting_seconds.max'] == 700
        assert 'jobs.starting_seconds.max' not in of(record(1))


class TestIdle:
    def test_the_present_is_empty_and_the_past_unknown(self):
        found = values(measures.idle())
        assert all(found[name] == 0 for name in ZERO_PRESENT)
        assert found['resources.gpus.total_count'] == found['jobs.runtime_buckets.over_24h'] == 0
        past = ('jobs.failed', 'jobs.succeeded', 'jobs.cancelled', 'jobs.ended', 'tasks.', 'jobs.runtime_seconds')
        assert not [name for name in found if name.startswith((*past, 'jobs.recovery_count'))]

    def test_it_has_the_present_of_an_empty_queue(self):
        empty = of()
        idle = values(measures.idle())
        assert idle == {name: empty[name] for name in idle}


class TestPeople:
    def test_owners_have_queued_or_live_jobs(self):
        rows = [
            record(1, user_hash='runs'), record(2, 'PENDING', user_hash='waits'), record(3, 'NEW', user_hash='odd'),
            ended(4, 'SUCCEEDED', 1, user_hash='done'), record(5, user_hash=None, user_name='named'),
            record(6, user_hash=None),
        ]  # fmt: skip
        assert measures.owners(queue(*rows).jobs) == {'runs', 'waits', 'named'}

    def test_owners_of_up_clusters(self):
        found = [cluster('a', owner='up'), cluster('b', 'STOPPED', owner='stopped'), cluster('c', owner=None)]
        assert cluster_measures.owners(found) == {'up'}

    def test_users_beyond_the_fiftieth_are_summed(self):
        rows = [record(i, user_hash=f'h{i}', user_name=f'u{i:02d}') for i in range(60)]
        rows += [record(100 + i, user_hash='h0', user_name='u00') for i in range(3)]
        jobs = queue(*rows)
        found = values(measures.users(jobs)) | values(measures.users_of_gpus(jobs.jobs, ()))
        assert found['users.jobs u00'] == 4
        assert found['users.jobs other'] == 10
        assert found['users.gpus other'] == 40
        assert len([name for name in found if name.startswith('users.jobs')]) == 51


class TestSingleJobs:
    def test_the_longest_have_series_and_the_rest_is_summed(self):
        rows = [record(i, job_duration=i * HOUR, job_name=f'job-{i}', recovery_count=1) for i in range(1, 6)]
        rows.append(ended(9, 'SUCCEEDED', 1, job_duration=99 * HOUR))
        found = values(single_jobs.single_jobs(queue(*rows), 2))
        assert found['job.runtime_seconds 5 job-5 RUNNING l4'] == 5 * HOUR
        assert found['job.runtime_seconds other'] == 6 * HOUR
        assert found['job.gpus other'] == 12
        assert found['job.recovery_count other'] == 3
        assert len([name for name in found if name.startswith('job.gpus')]) == 3

    def test_costs_of_jobs_without_a_price_are_absent(self):
        rows = [record(1, job_name='a'), record(2, job_name='b', region='us-west-2')]
        jobs = queue(*rows).jobs
        found = values(single_jobs.single_costs(jobs, 9, lambda job: 2.0 if job.region == 'us-east-1' else None))
        assert found == {'job.hourly_usd 1 a RUNNING l4': 2.0}


class TestClusters:
    def test_counts(self):
        found = values(
            cluster_measures.clusters(
                [
                    cluster('a'),
                    cluster('b', nodes=3, autostop=-1),
                    cluster('c', 'INIT', autostop=-1),
                    cluster('d', 'NEW'),
                ],
                NOW,
            )
        )
        assert found['clusters.active'] == found['clusters.count UP'] == 2
        assert found['clusters.nodes UP'] == 4
        assert found['clusters.count STOPPED'] == found['clusters.count AUTOSTOPPING'] == 0
        assert found['clusters.count NEW'] == 1
        assert found['clusters.no_autostop'] == 1

    def test_the_oldest_that_is_up(self):
        some = [cluster('a', launched_at=before(9 * DAY)), cluster('b', 'STOPPED', launched_at=before(90 * DAY))]
        assert values(cluster_measures.clusters(some, NOW))['clusters.age_hours.max'] == 9 * 24
        assert 'clusters.age_hours.max' not in values(cluster_measures.clusters([cluster('b', 'STOPPED')], NOW))

    def test_gpus_of_up_clusters(self):
        some = [cluster('a', nodes=2), cluster('b', accelerators={}), cluster('c', 'STOPPED')]
        assert values(cluster_measures.gpus(some)) == {'gpus.in_use cluster l4 ondemand': 2}

    def test_by_workspace(self):
        some = [cluster('a', workspace='x'), cluster('b', 'INIT', workspace='y')]
        found = values(cluster_measures.clusters(some, NOW, by_workspace=True))
        assert (found['clusters.count UP x'], found['clusters.count UP y']) == (1, 0)

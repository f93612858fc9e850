"""Every definition of the catalog, on a few rows each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metta_checks.core.tag_values import MAX_VALUES
from metta_checks.wandb.gpu_readings import alive, fleet_of
from metta_checks.wandb.gpu_usage import gpu_usage
from metta_checks.wandb.hardware import Hardware
from metta_checks.wandb.measures import counts as count_measures
from metta_checks.wandb.measures import gpus as gpu_measures
from metta_checks.wandb.measures import runs as run_measures
from metta_checks.wandb.measures.single_runs import single_gpus
from metta_checks.wandb.measures.sweeps import sweeps
from metta_checks.wandb.records import STATES, GpuReadings
from metta_checks.wandb.run_table import RunRow
from metta_checks.wandb.settings import Columns, Figures
from metta_checks.wandb.stretches import Stretch
from metta_checks.wandb.system_metrics import MEMORY, UTILIZATION, Gpu, SystemMetrics

pytestmark = pytest.mark.unit

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
MOMENT = NOW.timestamp()
HOUR = 3600.0
DAY = 24 * HOUR
WEEK = 7 * DAY
FIGURES = Figures(accuracy=0, loss=1, aliases={'sps': 2})


HARDWARE = ('gpu_type', 'gpus', 'declared', 'host', 'gpu_ids', 'holds')


def hardware(run_id, values):
    """Return the hardware in `values`, which are removed. By default, four L4 on a machine of the run's own."""
    found = {name: values.pop(name) for name in HARDWARE if name in values}
    return Hardware(**{'gpu_type': 'l4', 'gpus': 4.0, 'host': f'host-{run_id}', **found})


def row(run_id='a', state='finished', *, ended=DAY, created=DAY + HOUR, compute=None, **values):
    """Return a run that was created and ended the given numbers of seconds ago."""
    heartbeat = None if ended is None else MOMENT - ended
    begin = MOMENT - created
    end = begin if heartbeat is None else heartbeat
    running = max(0.0, end - begin) if compute is None else compute
    fields = {
        'hardware': hardware(run_id, values),
        'run_type': '',
        'numbers': (None, None, None),
        'stretches': (Stretch(begin, end, running),),
        **values,
    }
    return RunRow(run_id, state, begin, heartbeat, end, running, **fields)


def values(samples):
    """Return values by name or (name, tag values), without unknown ones, which a block does not emit either."""
    found = {}
    for sample in samples:
        key = (sample.name, *sample.tags.values()) if sample.tags else sample.name
        assert key not in found, key
        if sample.value is not None:
            found[key] = sample.value
    return found


def runs(*rows, **figures):
    changed = {name: getattr(FIGURES, name) for name in ('accuracy', 'loss', 'aliases')} | figures
    usage = run_measures.usage_of(rows, NOW)
    return values(run_measures.runs(rows, NOW, Figures(**changed, costs='prices' in figures), usage))


def usage_hours(*rows):
    """Return the GPU-hours of runs in 7 days."""
    return sum(run.hours for run in gpu_usage(rows, MOMENT - WEEK, MOMENT).runs)


# Durations.


# Mistake 10 of the first system: pauses counted, and runs of all history.
def test_durations_are_running_time_of_runs_that_ended_in_a_week():
    found = runs(
        row('resumed', created=DAY + 10 * HOUR, compute=2 * HOUR),
        row('crashed', 'crashed', created=DAY + 4 * HOUR),
        row('killed', 'killed', created=DAY + 12 * HOUR),
        row('long ago', ended=WEEK + 1, created=WEEK + 50 * HOUR),
        row('running', 'running', ended=0, created=90 * HOUR),
        row('odd', 'queued', created=DAY + 99 * HOUR),
    )
    assert found['training.avg_duration_hours'] == 6
    assert found['training.duration_hours'] == 4
    assert found['training.run_hours_7d.max'] == 12
    assert found['training.run_hours_7d.p90'] == pytest.approx(10.4)


# Mistakes 2 and 3: windows by creation, and states left out.
def test_a_run_that_began_before_the_window_and_ended_in_it_counts():
    found = runs(
        row(created=10 * DAY), row('k', 'killed'), row('p', 'preempted'), row('x', ended=WEEK + 1, created=WEEK + 2)
    )
    assert [found['runs.ended_7d', state] for state in ('finished', 'failed', 'crashed', 'killed', 'preempted')] == [
        1,
        0,
        0,
        1,
        1,
    ]
    assert found['training.run_hours_7d.max'] == 9 * 24


def test_a_run_without_heartbeat_ended_when_it_was_created():
    found = runs(row('a', 'failed', ended=None, created=HOUR))
    assert found['runs.ended_7d', 'failed'] == 1
    assert found['training.avg_duration_hours'] == 0


def test_waiting_and_elapsed():
    found = runs(
        row('a', 'pending', ended=None, created=2 * HOUR),
        row('b', 'pending', ended=None, created=5 * HOUR),
        row('c', 'running', ended=60, created=14 * DAY),
        row('d', 'running', ended=None, created=2 * DAY),
        row('e', 'preempting', ended=60, created=99 * DAY),
    )
    assert found['runs.pending_hours.max'] == 5
    assert found['training.elapsed_hours.max'] == 99 * 24
    assert found['training.elapsed_hours.avg'] == (14 + 2 + 99) * 24 / 3


def test_nothing_is_invented_for_an_empty_project():
    found = runs()
    ended = {('runs.ended_7d', state): 0 for state in ('finished', 'failed', 'crashed', 'killed', 'preempted')}
    none = ('runs.completed_7d', 'runs.failed_7d', 'training.total_gpu_hours_7d', 'training.wasted_gpu_hours_7d')
    assert found == ended | dict.fromkeys(none, 0)
    assert values(gpu_measures.gpus(fleet([]), [], FIGURES)) == {'gpus.idle': 0}


# GPU-hours and cost.


# Mistake 9: one GPU per run, whole lives, by creation.
def test_gpu_hours_take_all_gpus_the_window_and_the_running_time():
    assert usage_hours(row(ended=6 * DAY, created=10 * DAY, gpus=8.0)) == 8 * 24
    assert usage_hours(row(ended=6 * DAY, created=10 * DAY, gpus=8.0, compute=5 * HOUR)) == 8 * 5
    assert usage_hours(row(ended=WEEK, created=10 * DAY)) == 0
    assert usage_hours(row(ended=-HOUR, created=HOUR)) == 4
    assert gpu_usage([row(gpus=None)], MOMENT - WEEK, MOMENT).unknown == 1


@given(st.floats(-1e6, 2e6), st.floats(0, 2e6), st.none() | st.floats(0, 2e6), st.floats(0, 64))
def test_gpu_hours_stay_within_window_and_running_time(ended, life, compute, gpus):
    run = row(ended=ended, created=ended + life, compute=compute, gpus=gpus)
    hours = usage_hours(run)
    assert 0 <= hours <= gpus * WEEK / HOUR * 1.000001
    assert hours <= gpus * run.running_seconds / HOUR * 1.000001 + 1e-6


def test_gpu_hours_of_ended_and_running_runs_by_type():
    found = runs(
        row('a'),
        row('b', 'running', ended=0, created=2 * HOUR, gpu_type='h100', gpus=8.0),
        row('c', 'running', ended=None, created=2 * HOUR, gpus=8.0),
        row('d', 'pending', ended=None, created=2 * HOUR, gpus=8.0),
        row('e', 'preempting', ended=0, created=2 * HOUR, gpus=8.0),
        row('cpu', gpu_type='unknown', gpus=0.0),
        row('old', ended=WEEK + 1, created=WEEK + HOUR),
    )
    assert found['training.total_gpu_hours_7d'] == 36
    assert {key[1]: value for key, value in found.items() if key[0] == 'gpus.hours_7d'} == {'l4': 20, 'h100': 16}
    assert 'training.cost_estimate_usd' not in found
    assert 'training.unpriced_gpu_hours_7d' not in found


def test_cost_leaves_types_without_a_price_out_and_says_so():
    rows = (row('a'), row('b', gpu_type='t4', gpus=1.0), row('c', gpu_type='h100', gpus=8.0))
    found = runs(*rows, prices={'l4': 0.8, 'h100': 6.88})
    assert found['training.cost_estimate_usd'] == pytest.approx(4 * 0.8 + 8 * 6.88)
    assert found['training.unpriced_gpu_hours_7d'] == 1
    assert found['gpus.cost_usd_7d', 'h100'] == pytest.approx(55.04)
    assert ('gpus.cost_usd_7d', 't4') not in found


def test_hours_that_all_lack_a_price_do_not_cost_nothing():
    found = runs(row(gpu_type='t4'), prices={'l4': 0.8})
    assert 'training.cost_estimate_usd' not in found
    assert found['training.unpriced_gpu_hours_7d'] == 4
    assert runs(prices={'l4': 0.8})['training.cost_estimate_usd'] == 0


def test_hours_are_absent_when_the_gpus_of_one_run_are_unknown():
    found = runs(row('a'), row('b', gpus=None), prices={'l4': 0.8})
    assert not [key for key in found if 'gpu' in str(key) or 'cost' in str(key)]
    assert found['training.avg_duration_hours'] == 1


# Summaries.


# Mistake 5: accuracy over all time and states.
def test_accuracy_is_of_finished_runs_that_ended_in_a_week():
    found = runs(
        row('a', numbers=(0.8, None, None)),
        row('b', numbers=(0.9, None, None)),
        row('none', numbers=(None, None, None)),
        row('best ever', ended=21 * DAY, created=22 * DAY, numbers=(0.97, None, None)),
        row('crashed', 'crashed', numbers=(0.95, None, None)),
        row('running', 'running', numbers=(0.96, None, None)),
    )
    assert found['metrics.best_accuracy'] == 0.9
    assert found['metrics.avg_accuracy_7d'] == pytest.approx(0.85)
    assert 'metrics.latest_loss' not in found


# Mistake 6: the loss of the run created last, in whatever order.
def test_the_latest_loss_is_of_the_run_that_ended_last_and_has_one():
    found = runs(
        row('created first', ended=HOUR, created=9 * DAY, numbers=(None, 0.1, None)),
        row('created last', ended=3 * HOUR, created=4 * HOUR, numbers=(None, 0.2, None)),
        row('no number', ended=60, created=4 * HOUR),
        row('failed', 'failed', ended=60, numbers=(None, 0.4, None)),
    )
    assert found['metrics.latest_loss'] == 0.1


def test_ties_of_the_latest_loss_go_to_the_latest_creation_then_to_the_highest_id():
    early = row('z', ended=HOUR, created=9 * HOUR, numbers=(None, 0.1, None))
    late = row('a', ended=HOUR, created=2 * HOUR, numbers=(None, 0.2, None))
    later = row('b', ended=HOUR, created=2 * HOUR, numbers=(None, 0.3, None))
    assert runs(later, early, late)['metrics.latest_loss'] == 0.3
    assert runs(late, early)['metrics.latest_loss'] == 0.2


def test_aliases():
    found = runs(row('a', ended=60, numbers=(None, None, 5.0)), row('b', numbers=(None, None, 7.0)))
    assert (found['summary.sps.last'], found['summary.sps.avg'], found['summary.sps.max']) == (5, 6, 7)


def test_single_runs_are_the_longest_running_ones():
    rows = [
        row('new', 'running', created=HOUR, numbers=(None, None, 1.0), name='n', run_type='ptm'),
        row('old', 'running', created=DAY, numbers=(None, None, 2.0), name='o', run_type='ptm'),
        row('over', created=9 * DAY),
    ]
    found = runs(*rows, single_runs=1)
    assert found['run.elapsed_hours', 'old', 'o', 'ptm'] == 24
    assert found['run.summary.sps', 'old', 'o', 'ptm'] == 2
    assert not [key for key in found if 'new' in key or 'over' in key]
    readings = [reading('old', utilization=(50.0, 70.0)), reading('new', utilization=(1.0,))]
    assert values(single_gpus(fleet(readings), rows, 1)) == {('run.gpu_utilization_pct', 'old', 'o', 'ptm'): 60}


# Ends.


def test_ends_are_counted_by_state_and_type_and_each_duration_is_sent():
    found = list(
        run_measures.endings(
            [
                row('a', run_type='ptm', compute=HOUR, user='ada'),
                row('b', run_type='ptm', compute=2 * HOUR, user='ben'),
                row('c', 'crashed', run_type='other', compute=3 * HOUR, user='ada'),
            ],
            by_user=False,
        )
    )
    durations = [(sample.value, dict(sample.tags)) for sample in found if sample.name == 'training.run_duration_hours']
    assert durations == [
        (1, {'state': 'finished', 'run_type': 'ptm'}),
        (2, {'state': 'finished', 'run_type': 'ptm'}),
        (3, {'state': 'crashed', 'run_type': 'other'}),
    ]
    counted = values(sample for sample in found if sample.name == 'runs.finished')
    assert counted == {('runs.finished', 'finished', 'ptm'): 2, ('runs.finished', 'crashed', 'other'): 1}


def test_ends_by_user_keep_the_most_frequent_users():
    found = [row(f'{index}', user=f'user{index // 2:02d}') for index in range(2 * MAX_VALUES)]
    found += [row('x', user='rare'), row('y')]
    counted = values(sample for sample in run_measures.endings(found, by_user=True) if sample.name == 'runs.finished')
    assert counted['runs.finished', 'finished', 'user00'] == 2
    assert counted['runs.finished', 'finished', 'other'] == 2
    assert len(counted) == MAX_VALUES + 1


# GPUs.


def reading(run_id='a', heartbeat=60.0, *, utilization=(), memory=(), **values):
    """Return the readings of a run: one GPU for each value."""
    seen = None if heartbeat is None else NOW - timedelta(seconds=heartbeat)
    gpus = {Gpu('', index): {UTILIZATION: value} for index, value in enumerate(utilization)}
    for index, value in enumerate(memory):
        gpus[Gpu('', index)][MEMORY] = value
    return GpuReadings(run_id, seen, hardware(run_id, values), SystemMetrics(gpus, frozenset()))


def fleet(readings):
    return fleet_of(readings, Columns(()))


def test_runs_that_are_alive_sent_a_heartbeat_in_ten_minutes():
    readings = [reading('a', 600), reading('b', 601), reading('c', None), reading('d', -5)]
    assert [one.id for one in alive(readings, NOW)] == ['a', 'd']


# Mistake 8: GPU 0 only.
def test_utilization_weighs_gpus_or_runs():
    found = values(
        gpu_measures.gpus(
            fleet(
                [
                    reading('big', gpu_type='h100', gpus=8.0, utilization=[3.0] * 8, memory=[10.0] * 8),
                    reading('small', gpus=1.0, utilization=[93.0], memory=[50.0]),
                    reading('blind', gpus=2.0),
                ]
            ),
            ['l4', 't4'],
            FIGURES,
        )
    )
    assert found['training.gpu_utilization_avg'] == pytest.approx((8 * 3 + 93) / 9)
    assert found['training.gpu_utilization_pct'] == 48
    assert found['gpus.idle'] == 8
    assert (found['gpus.utilization_pct', 'h100'], found['gpus.utilization_pct', 'l4']) == (3, 93)
    assert (found['gpus.memory_pct', 'h100'], found['gpus.memory_pct', 'l4']) == (10, 50)
    assert {key[1]: value for key, value in found.items() if key[0] == 'gpus.in_use'} == {'h100': 8, 'l4': 3, 't4': 0}


def test_gpus_in_use_are_absent_when_the_server_does_not_know_them():
    unknown = fleet([reading(gpu_type='unknown', gpus=None, utilization=[50.0])])
    found = values(gpu_measures.gpus(unknown, [], FIGURES))
    assert not [key for key in found if key[0] in ('gpus.in_use', 'gpus.idle')]
    assert found['training.gpu_utilization_avg'] == 50


@pytest.mark.parametrize(('value', 'idle'), [(4.9, 1), (5.0, 0)])
def test_idle_is_below_five_percent(value, idle):
    assert values(gpu_measures.gpus(fleet([reading(utilization=[value])]), [], FIGURES))['gpus.idle'] == idle


# Counts.


def counted(**numbers):
    return {**dict.fromkeys((*STATES, 'total', 'created_24h'), 0), **numbers}


def test_counts():
    found = values(
        count_measures.counts(counted(total=12, running=4, preempting=1, finished=4, stale=1, created_24h=2))
    )
    assert (found['runs.active'], found['runs.total'], found['runs.stale'], found['runs.created_24h']) == (5, 12, 1, 2)
    # Mistake 3: the states add up, whatever states there are.
    assert sum(value for key, value in found.items() if key[0] == 'runs.count') == 12
    assert found['runs.count', 'other'] == 3


def test_counts_that_the_server_cannot_give_are_absent():
    assert 'runs.stale' not in values(count_measures.counts(counted()))


def test_stale_runs_of_the_table():
    rows = [
        row('a'),
        row('e', 'running', ended=16 * 60),
        row('f', 'running', ended=14 * 60),
        row('g', 'running', ended=None),
        row('h', 'pending', ended=DAY),
    ]
    assert count_measures.stale(rows, NOW, 15) == 1


def test_runs_that_ended_are_counted_by_state():
    found = runs(row('a'), row('b', 'failed'), row('c', 'crashed'), row('d', 'killed'), row('old', ended=WEEK + 1))
    assert (found['runs.completed_7d'], found['runs.failed_7d']) == (1, 2)
    assert found['training.success_rate_pct_7d'] == pytest.approx(100 / 3)
    assert 'training.success_rate_pct_7d' not in runs(row('d', 'killed'))


def test_sweeps():
    found = values(sweeps(['running', 'running', 'odd']))
    assert {key[1]: value for key, value in found.items()} == {
        'running': 2,
        'paused': 0,
        'canceled': 0,
        'finished': 0,
        'odd': 1,
    }

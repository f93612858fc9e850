"""Invariants of GPUs and GPU-hours, for any runs on any machines."""

from __future__ import annotations

from itertools import pairwise
from math import fsum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metta_checks.wandb.gpu_usage import gpu_usage
from metta_checks.wandb.hardware import Hardware
from metta_checks.wandb.measures import gpus as gpu_measures
from metta_checks.wandb.measures import runs as run_measures
from metta_checks.wandb.settings import Figures
from metta_checks.wandb.stretches import Stretch, extended

from .test_measures import FIGURES, HOUR, MOMENT, NOW, WEEK, fleet, reading, row, values

pytestmark = pytest.mark.unit

# Machines: host name, number of GPUs, and whether the runs name their ids.
MACHINES = {'a': (8, True), 'b': (4, False), 'c': (1, True)}
PHYSICAL = sum(gpus for gpus, _ in MACHINES.values())
HOURS = st.floats(0, 200).map(lambda hours: round(hours, 2))


def on(machine, *, holds=False, declared=None):
    gpus, tells = MACHINES[machine]
    ids = tuple(f'{machine}-{index}' for index in range(gpus)) if tells else ()
    return Hardware('l4' if gpus > 1 else 't4', float(gpus), declared, machine, ids, holds)


ANY_HOLD = st.booleans()
ANY_NUMBER = st.none() | st.integers(0, 8).map(float)


@st.composite
def a_row(draw, hold=ANY_HOLD, declare=ANY_NUMBER):
    machine = draw(st.sampled_from(sorted(MACHINES)))
    declared = draw(declare)
    if declared is not None:
        declared = min(declared, float(MACHINES[machine][0]))
    ended = draw(HOURS)
    state = draw(st.sampled_from(['finished', 'failed', 'crashed', 'killed', 'running', 'preempting']))
    life = draw(HOURS)
    compute = draw(st.floats(0, 1)) * life * HOUR
    return row(
        'any',
        state,
        ended=ended * HOUR,
        created=(ended + life) * HOUR,
        compute=compute,
        hardware=on(machine, holds=draw(hold), declared=declared),
        user=draw(st.sampled_from(['ada', 'Ada', 'ben', ''])),
        group=draw(st.sampled_from(['g', ''])),
    )


def some(**choices):
    return st.lists(a_row(**choices), max_size=8).map(
        lambda rows: [one._replace(id=f'r{index}') for index, one in enumerate(rows)]
    )


def total(rows):
    return fsum(run.hours for run in gpu_usage(rows, MOMENT - WEEK, MOMENT).runs)


@given(some())
def test_gpu_hours_never_exceed_the_physical_gpus(rows):
    usage = gpu_usage(rows, MOMENT - WEEK, MOMENT)
    assert usage.unknown == 0
    assert 0 <= total(rows) <= PHYSICAL * WEEK / HOUR * 1.000001
    for run in usage.runs:
        asked = run.row.hardware.demand or 0
        assert run.hours <= asked * run.row.running_seconds / HOUR * 1.000001 + 1e-9


@given(some(), st.randoms(use_true_random=False))
def test_the_order_of_the_runs_does_not_matter(rows, dice):
    shuffled = list(rows)
    dice.shuffle(shuffled)
    assert total(shuffled) == pytest.approx(total(rows))


# Runs that hold GPUs and runs that do not are two kinds: the first tell that the second have none.
@given(st.booleans().flatmap(lambda holds: some(hold=st.just(holds))), st.integers(0, 7))
def test_a_run_that_is_removed_never_raises_the_total_of_its_kind(rows, index):
    fewer = [one for position, one in enumerate(rows) if position != index]
    assert total(fewer) <= total(rows) * 1.000001 + 1e-9
    for removed in rows[index : index + 1]:
        for kind in ('state', 'user', 'group'):
            before, after = (
                fsum(
                    run.hours
                    for run in gpu_usage(some_rows, MOMENT - WEEK, MOMENT).runs
                    if getattr(run.row, kind) == getattr(removed, kind)
                )
                for some_rows in (rows, fewer)
            )
            assert after <= before * 1.000001 + 1e-9, kind


@given(some(), st.integers(0, 7))
def test_a_run_that_is_removed_never_raises_a_number_of_runs(rows, index):
    fewer = [one for position, one in enumerate(rows) if position != index]
    before, after = (
        values(run_measures.runs(some_rows, NOW, FIGURES, run_measures.usage_of(some_rows, NOW)))
        for some_rows in (rows, fewer)
    )
    for name in ('runs.completed_7d', 'runs.failed_7d', *(key for key in before if key[0] == 'runs.ended_7d')):
        assert after[name] <= before[name]


@given(st.data(), st.integers(1, 8))
def test_a_run_that_is_removed_never_raises_the_gpus_in_use(data, number):
    readings = [data.draw(a_reading(index, holds=st.just(False))) for index in range(number)]
    index = data.draw(st.integers(0, number - 1))
    before, after = (
        fleet(some_readings).in_use for some_readings in (readings, readings[:index] + readings[index + 1 :])
    )
    assert sum(after.values()) <= sum(before.values())


@given(some())
def test_parts_add_up_to_the_total(rows):
    figures = Figures(
        0,
        1,
        {},
        prices={'l4': 0.8, 't4': 0.4},
        costs=True,
        by_state=True,
        by_user=True,
        by_group=True,
        by_run_type=True,
    )
    usage = run_measures.usage_of(rows, NOW)
    found = values(run_measures.runs(rows, NOW, figures, usage))
    if not usage.known:
        assert 'training.total_gpu_hours_7d' not in found
        return

    def parts(name):
        return fsum(value for key, value in found.items() if isinstance(key, tuple) and key[0] == name)

    for name in ('gpus.hours_7d', *(f'gpus.hours_by_{tag}_7d' for tag in ('state', 'user', 'group', 'run_type'))):
        assert parts(name) == pytest.approx(found['training.total_gpu_hours_7d']), name
    for name in ('gpus.cost_usd_7d', *(f'gpus.cost_by_{tag}_usd_7d' for tag in ('user', 'group', 'run_type'))):
        assert parts(name) == pytest.approx(found['training.cost_estimate_usd']), name
    assert found['training.wasted_gpu_hours_7d'] <= found['training.total_gpu_hours_7d'] * 1.000001
    assert ('gpus.hours_by_user_7d', 'Ada') not in found


@st.composite
def a_reading(draw, index, holds=ANY_HOLD):
    machine = draw(st.sampled_from(sorted(MACHINES)))
    gpus = MACHINES[machine][0]
    utilization = draw(st.lists(st.floats(0, 100), max_size=gpus))
    declared = draw(st.none() | st.integers(0, gpus).map(float))
    hardware = on(machine, holds=draw(holds), declared=declared)
    return reading(f'r{index}', utilization=utilization, **hardware._asdict())


@given(st.data(), st.integers(0, 8))
def test_idle_gpus_are_a_part_of_those_in_use(data, number):
    readings = [data.draw(a_reading(index)) for index in range(number)]
    found = values(gpu_measures.gpus(fleet(readings), [], FIGURES))
    in_use = sum(value for key, value in found.items() if key[0] == 'gpus.in_use')
    assert 0 <= found['gpus.idle'] <= in_use <= PHYSICAL


@given(st.lists(st.tuples(st.floats(0, 1e5), st.floats(0, 1)), max_size=60))
def test_stretches_have_the_running_time_and_never_overlap(steps):
    end, running = 0.0, 0.0
    known: tuple[Stretch, ...] = (Stretch(0.0, 0.0, 0.0),)
    for advance, share in steps:
        end, running = end + advance, running + advance * share
        known = extended(known, end, advance * share)
        assert sum(stretch.active_seconds for stretch in known) == pytest.approx(running)
        assert all(before.end <= after.begin + 1e-6 for before, after in pairwise(known))
        assert len(known) <= 50

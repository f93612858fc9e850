"""The truth of the sandbox on examples that can be computed by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sandbox.organization import Person
from sandbox.wandb.data import LOSS, Project, Run
from sandbox.wandb.machines import Machine, Writer
from sandbox.wandb.truth import Truth
from sandbox.wandb.truth_machines import Facts

pytestmark = pytest.mark.unit

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
ALL = Facts(hosts=True, hardware=True, compute=True, environments=True)
H100 = 'NVIDIA H100 80GB HBM3'
ADA = Person('Ada Okafor', 'adao', 'ada@example.com')


def ago(hours):
    return NOW - timedelta(hours=hours)


def a_run(number, writer, begin, end=0.0, state='running', **fields):
    """A run on H100 whose GPUs are 80 percent busy, from and to these hours before the time of the figures."""
    run = Run(number, f'run-{number}', state, ago(begin), ago(end), (begin - end) * 3600, ADA, 'h100', 0, 'other')
    run.writers = writer if isinstance(writer, tuple) else (writer,)
    for one in run.writers:
        run.system.update(one.readings(dict.fromkeys(one.machine.uuids, 80.0)))
    for key, value in fields.items():
        setattr(run, key, value)
    return run


def figures(*runs, facts=ALL, **options):
    """Return the figures by name, with the value of the tag where there is one."""
    project = Project('p')
    for run in runs:
        project.add(run)
    found = {}
    for figure in Truth(project, NOW, {'prices': {'h100': 2.0}, **options}, facts).figures():
        own = [tag for tag in figure.tags if not tag.startswith(('entity', 'project'))]
        found[' '.join([figure.name.removeprefix('metta.wandb.'), *own])] = pytest.approx(figure.value)
    return found


def test_eight_agents_on_one_machine_use_eight_gpus():
    machine = Machine.of('box', H100, 8)
    found = figures(*(a_run(number, Writer(machine, (number,)), 10) for number in range(8)), by_state=True)
    assert found['gpus.in_use gpu_type:h100'] == 8
    assert found['training.total_gpu_hours_7d'] == 80
    assert found['training.cost_estimate_usd'] == 160
    assert found['gpus.hours_by_state_7d state:running'] == 80
    assert found['gpus.idle'] == 0


def test_runs_that_share_a_gpu_share_its_hours():
    machine = Machine.of('box', H100, 1)
    trains = a_run(1, Writer(machine), 4)
    fails = a_run(2, Writer(machine), 4, 2, 'failed')
    watches = a_run(3, Writer(machine, ()), 4)
    found = figures(trains, fails, watches)
    assert found['gpus.in_use gpu_type:h100'] == 1
    assert found['training.total_gpu_hours_7d'] == 4
    # Half of the GPU for two hours.
    assert found['training.wasted_gpu_hours_7d'] == 1
    assert found['training.wasted_cost_usd_7d'] == 2
    assert found['training.success_rate_pct_7d'] == 0


def test_a_run_on_two_machines_uses_the_gpus_of_both():
    both = tuple(Writer(Machine.of(f'node-{node}', H100, 8), label=f'node-{node}') for node in range(2))
    found = figures(a_run(1, both, 3))
    assert found['gpus.in_use gpu_type:h100'] == 16
    assert found['training.total_gpu_hours_7d'] == 48


def test_machines_of_one_name_are_told_apart_by_their_gpus():
    runs = [a_run(number, Writer(Machine.of('vm', H100, 1, f'serial-{number}')), 2) for number in range(2)]
    assert figures(*runs)['gpus.in_use gpu_type:h100'] == 2
    hidden = Facts(hosts=True, hardware=True, compute=True, environments=False)
    assert figures(*runs, facts=hidden)['gpus.in_use gpu_type:h100'] == 1
    nothing = Facts(hosts=False, hardware=True, compute=True, environments=False)
    assert 'gpus.in_use gpu_type:h100' not in figures(*runs, facts=nothing)
    assert 'training.total_gpu_hours_7d' not in figures(*runs, facts=nothing)


def test_declared_gpus_are_limited_by_the_machine():
    machine = Machine.of('box', H100, 8)
    runs = [a_run(number, Writer(machine, (number,)), 1, config={'num_gpus': 3}) for number in range(2)]
    assert figures(*runs, gpu_count_config_key='num_gpus')['gpus.in_use gpu_type:h100'] == 6
    runs.append(a_run(2, Writer(machine, (5,)), 1, config={'num_gpus': '3'}))
    assert figures(*runs, gpu_count_config_key='num_gpus')['gpus.in_use gpu_type:h100'] == 8
    assert figures(*runs)['gpus.in_use gpu_type:h100'] == 8


def test_missing_metadata_is_unknown_but_for_the_readings():
    writer = Writer(Machine.of('box', H100, 4), sends_environment=False)
    found = figures(a_run(1, writer, 2, no_count=True))
    assert found['gpus.in_use gpu_type:h100'] == 4
    assert found['training.total_gpu_hours_7d'] == 8
    found = figures(a_run(1, writer, 2, no_count=True, system={}))
    assert 'training.total_gpu_hours_7d' not in found
    assert 'gpus.idle' not in found


def test_a_run_without_metadata_is_on_the_machine_of_its_neighbors():
    writer = Writer(Machine.of('box', H100, 4), sends_environment=False)
    bare = a_run(1, writer, 3, 2, 'killed', no_count=True, system={})
    assert 'training.total_gpu_hours_7d' not in figures(bare)
    found = figures(bare, a_run(2, writer, 2, 1, 'finished', system={}))
    assert found['training.total_gpu_hours_7d'] == 8
    assert found['training.wasted_gpu_hours_7d'] == 4


def test_the_configuration_names_the_gpus_where_the_server_does_not():
    machine = Machine.of('box', H100, 1)
    assert figures(a_run(1, Writer(machine), 1, no_info=True))['gpus.in_use gpu_type:h100'] == 1
    silent = Writer(machine, sends_environment=False)
    assert figures(a_run(1, silent, 1, no_info=True))['gpus.in_use gpu_type:unknown'] == 1


def test_a_run_without_gpus_has_none():
    found = figures(a_run(1, Writer(Machine.of('box', None, 0)), 2, gpu_type=''))
    assert found['training.total_gpu_hours_7d'] == 0
    assert found['gpus.idle'] == 0
    assert not [name for name in found if name.startswith('gpus.in_use')]


def test_a_pause_in_the_week_is_no_running_time():
    resumed = a_run(1, Writer(Machine.of('box', H100, 2)), 90, compute=30 * 3600)
    assert figures(resumed)['training.total_gpu_hours_7d'] == 60


def test_hours_are_unknown_when_a_pause_may_lie_before_the_week():
    machine = Machine.of('box', H100, 1)
    assert 'training.total_gpu_hours_7d' not in figures(a_run(1, Writer(machine), 400, compute=100 * 3600))
    # At most 8 of 168 hours.
    assert figures(a_run(1, Writer(machine), 400, compute=392 * 3600))['training.total_gpu_hours_7d'] == 168
    # Others use the GPU all the time, so nothing depends on the pauses.
    busy = a_run(2, Writer(machine), 200)
    paused = a_run(3, Writer(machine), 400, compute=100 * 3600)
    assert figures(busy, paused)['training.total_gpu_hours_7d'] == 168


def test_a_run_that_was_sent_later_ended_when_it_ended():
    writer = Writer(Machine.of('box', H100, 1))
    old, new = (a_run(number, writer, hours, 5, 'finished', compute=20.0) for number, hours in ((1, 500), (2, 50)))
    old.recorded, new.recorded = (ago(500), ago(498)), (ago(50), ago(47))
    new.summary[LOSS] = 0.5
    old.summary[LOSS] = 0.1
    found = figures(old, new)
    assert found['runs.completed_7d'] == 1
    assert found['training.duration_hours'] == 3
    assert found['training.total_gpu_hours_7d'] == 3
    assert found['metrics.latest_loss'] == 0.5


def test_a_run_that_is_being_preempted_is_active():
    found = figures(a_run(1, Writer(Machine.of('box', H100, 2)), 6, 0.1, 'preempting'))
    assert found['runs.active'] == 1
    assert found['training.elapsed_hours.max'] == 6
    assert found['gpus.in_use gpu_type:h100'] == 2
    assert found['training.total_gpu_hours_7d'] == 11.8


def test_idle_gpus_have_a_price():
    machine = Machine.of('box', H100, 2)
    run = a_run(1, Writer(machine), 1)
    run.system.update(Writer(machine).readings({machine.uuids[0]: 90.0, machine.uuids[1]: 3.0}))
    found = figures(run, gpu_details=True)
    assert (found['gpus.idle'], found['gpus.idle_cost_hourly_usd']) == (1, 2)
    assert found['training.gpu_utilization_avg'] == 46.5
    assert found['gpus.sm_active_pct'] == pytest.approx((79.2 + 2.6) / 2)
    assert found['gpus.uncorrected_memory_errors'] == 0

"""Runs report the GPUs of their machine: each physical GPU counts once."""

from __future__ import annotations

import pytest

from sandbox.wandb.machines import Machine, Writer

from ..case import case
from .world import EIGHT, H100, M, hours, in_use


@case('F', 'https://github.com/wandb/wandb/pull/538')
@pytest.mark.parametrize('sends_environment', [True, False])
def test_eight_agents_of_a_sweep_on_one_machine(world, sends_environment):
    """Eight agents of a sweep on one machine.

    Each agent uses one GPU of a machine with 8 GPUs for 10 hours. Each run reports 8 GPUs, and readings of all of them.

    Right: 8 GPUs are in use and 80 GPU-hours were used, with the ids of the GPUs or by the host name alone.

    Unchanged: `runs.active` is 8. Each run has 10 of the GPU-hours.
    """
    for rank in range(8):
        world.run(Writer(EIGHT, (rank,), sends_environment=sends_environment), began=10)
    run = world.read(by_state=True, by_group=True)
    assert in_use(run) == {'h100': 8}
    assert hours(run) == pytest.approx(80)
    assert run.value(f'{M}runs.active') == 8
    assert run.value(f'{M}gpus.hours_by_state_7d', 'state:running') == pytest.approx(80)


@case('F', 'https://docs.wandb.ai/models/track/log/distributed-training')
def test_one_run_per_process_on_two_machines(world):
    """One run per process, in a group, on two machines.

    A job has 16 processes on two machines of 8 GPUs. Each process has a run of its own, in the group of the job.

    Right: 16 GPUs are in use. One machine per group would be 8, and the sum over the runs 128.

    Unchanged: `gpus.idle` is 0.
    """
    for node in range(2):
        machine = Machine.of(f'node-{node}', H100, 8)
        for rank in range(8):
            world.run(Writer(machine, (rank,)), group='job')
    run = world.read()
    assert in_use(run) == {'h100': 16}
    assert run.value(f'{M}gpus.idle') == 0


@case('F', 'https://docs.wandb.ai/models/track/log/distributed-training', guard=True)
def test_one_process_of_a_job_logs(world):
    """One process of a job logs.

    The process of rank 0 logs. It works on GPU 0, and the other processes, which do not log, on the other 7.

    Right: 8 GPUs are in use: the machine belongs to the job.

    Unchanged: `training.gpu_utilization_avg` is the mean over 8 GPUs.
    """
    world.run(Writer(EIGHT, (0,)))
    run = world.read()
    assert in_use(run) == {'h100': 8}
    assert run.value(f'{M}training.gpu_utilization_avg') == pytest.approx(90)


@case('F', 'https://github.com/wandb/wandb/pull/889')
def test_a_run_without_gpu_beside_one_that_holds_gpus(world):
    """A run without a GPU beside one that holds GPUs.

    An evaluation with an empty CUDA_VISIBLE_DEVICES reports the 8 GPUs of its machine, and that they are busy. The
    readings `gpu.process` are there for the training run on this machine only.

    Right: all GPU-hours belong to the training run, and `training.gpu_utilization_pct` is that of the training run.

    Unchanged: 8 GPUs are in use.
    """
    world.run(Writer(EIGHT), began=2, group='training')
    world.run(Writer(EIGHT, ()), began=2, group='evaluation', busy=10)
    run = world.read(by_group=True)
    assert in_use(run) == {'h100': 8}
    assert run.value(f'{M}gpus.hours_by_group_7d', 'group:training') == pytest.approx(16)
    assert run.value(f'{M}gpus.hours_by_group_7d', 'group:evaluation') is None
    assert run.value(f'{M}training.gpu_utilization_pct') == pytest.approx(90)


@case('F', 'https://github.com/wandb/wandb/issues/538')
def test_runs_that_follow_each_other_and_overlap_on_one_machine(world):
    """Runs that follow each other and overlap on one machine, all ended.

    Two runs worked on a machine with 8 GPUs: from 10 to 4 hours ago, and from 6 to 2 hours ago.

    Right: the machine was used for 8 hours: 64 GPU-hours.

    Unchanged: `training.avg_duration_hours` is 5, the mean of 6 and 4 hours.
    """
    world.run(Writer(EIGHT), state='finished', began=10, ended=4)
    world.run(Writer(EIGHT), state='finished', began=6, ended=2)
    run = world.read()
    assert hours(run) == pytest.approx(64)
    assert run.value(f'{M}training.avg_duration_hours') == pytest.approx(5)


@case('A', 'https://docs.wandb.ai/models/ref/python/experiments/settings', guard=True)
def test_machines_of_one_name(world):
    """Two machines have the same host name.

    A cloud image gives each machine the name `vm`. The SDK sends the ids of the GPUs.

    Right: 16 GPUs are in use: no GPU is on both machines.

    Unchanged: `gpus.idle` is 0.
    """
    for serial in ('a', 'b'):
        world.run(Writer(Machine.of('vm', H100, 8, serial)))
    run = world.read()
    assert in_use(run) == {'h100': 16}
    assert run.value(f'{M}gpus.idle') == 0


@case('C', 'https://docs.wandb.ai/models/ref/python/experiments/settings')
def test_runs_at_the_same_time_on_machines_that_nothing_tells_apart(world):
    """Runs at the same time on machines that nothing tells apart.

    Two runs work at the same time on hosts named `localhost`, and their SDK does not send ids of GPUs. It may be one
    machine or two.

    Right: `gpus.in_use`, `gpus.idle` and the GPU-hours are absent, and a warning names the option that helps.

    Unchanged: `training.gpu_utilization_avg` is there. With `gpu_count_config_key`, 6 GPUs are in use.
    """
    for serial in ('a', 'b'):
        machine = Machine.of('localhost', H100, 8, serial)
        world.run(Writer(machine, sends_environment=False), config={'num_gpus': 3})
    run = world.read()
    assert (in_use(run), hours(run), run.value(f'{M}gpus.idle')) == ({}, None, None)
    assert '`gpu_count_config_key`' in ' '.join(run.warnings)
    assert run.value(f'{M}training.gpu_utilization_avg') == pytest.approx(90)
    assert in_use(world.read(gpu_count_config_key='num_gpus')) == {'h100': 6}


@case('H', 'https://github.com/wandb/wandb/issues/7470')
def test_a_run_in_shared_mode_on_two_machines(world):
    """A run in shared mode on two machines.

    Processes on two machines of 8 GPUs write to one run, each with a label. The metadata is that of the first machine:
    8 GPUs. The readings are there for both machines, and the GPUs of the second one are idle.

    Right: 16 GPUs are in use, and 8 of them are idle. So `gpus.idle` is at most `gpus.in_use`.

    Unchanged: the run counts as one: `runs.active` is 1.
    """
    first, second = (Writer(Machine.of(f'node-{label}', H100, 8), label=label) for label in 'ab')
    readings = [*first.readings(dict.fromkeys(first.machine.uuids, 90.0)), *second.readings({})]
    world.run(first, second, system=dict(readings))
    run = world.read()
    assert (in_use(run), run.value(f'{M}gpus.idle')) == ({'h100': 16}, 8)
    assert run.value(f'{M}runs.active') == 1


@case('H', 'https://github.com/wandb/wandb/pull/9062')
def test_labels_that_share_a_machine(world):
    """Labels that share a machine.

    Each of 8 processes of one machine writes to one run, with a label of its own, and reads all 8 GPUs, which are idle:
    64 readings.

    Right: 8 GPUs are in use, and 8 are idle.

    Unchanged: `training.gpu_utilization_avg` is 1.
    """
    writers = [Writer(EIGHT, (rank,), label=f'rank-{rank}', sends_environment=False) for rank in range(8)]
    world.run(*writers, busy=1)
    run = world.read()
    assert (in_use(run), run.value(f'{M}gpus.idle')) == ({'h100': 8}, 8)
    assert run.value(f'{M}training.gpu_utilization_avg') == pytest.approx(1)


@case('F', 'https://docs.wandb.ai/models/sweeps/parallelize-agents')
def test_runs_that_declare_their_gpus(world):
    """Runs on a part of a machine that declare their GPUs.

    Three agents use one GPU each of a machine with 8 GPUs. The configuration has the number as text, in an object.

    Right: with `gpu_count_config_key: trainer.gpus`, 3 GPUs are in use, none of them idle.

    Unchanged: without the option, the whole machine is in use, and 5 of its GPUs are idle.
    """
    readings = dict(Writer(EIGHT).readings(dict.fromkeys(EIGHT.uuids[:3], 90.0)))
    for rank in range(3):
        world.run(Writer(EIGHT, (rank,)), config={'trainer': {'gpus': '1'}}, system=readings)
    run = world.read(gpu_count_config_key='trainer.gpus')
    assert (in_use(run), run.value(f'{M}gpus.idle')) == ({'h100': 3}, 0)
    whole = world.read()
    assert (in_use(whole), whole.value(f'{M}gpus.idle')) == ({'h100': 8}, 5)


@case('C')
def test_a_configuration_key_that_no_run_has(world):
    """The configuration key of the number of GPUs is misspelled.

    No run has a number under the key of `gpu_count_config_key`.

    Right: a warning says so.

    Unchanged: the GPUs are those of the machine.
    """
    world.run(Writer(EIGHT), config={'num_gpus': 4})
    run = world.read(gpu_count_config_key='n_gpus')
    assert 'option `gpu_count_config_key`: no run has a number under `n_gpus`' in ' '.join(run.warnings)
    assert in_use(run) == {'h100': 8}


@case('C', 'https://github.com/wandb/wandb/issues/369')
def test_metadata_that_is_missing(world):
    """The metadata of a run is missing, and so are its readings.

    `runInfo` is null, and there are no system metrics, as for a driver process whose workers hold the GPUs.

    Right: `gpus.in_use` and the GPU-hours are absent, and a warning tells the number of such runs. They are not 0.

    Unchanged: a run on a machine without GPUs, whose `runInfo` has a number of CPUs only, has 0 GPUs.
    """
    world.run(Writer(Machine.of('cpu-1', None, 0), sends_environment=False))
    driver = world.driver()
    assert hours(driver.run()) == 0
    world.service.pass_time(60)
    world.run(Writer(EIGHT, sends_environment=False), no_info=True, system={})
    world.service.pass_time(840)
    run = driver.run()
    assert (in_use(run), hours(run)) == ({}, None)
    assert 'the GPUs of 1 runs are unknown' in ' '.join(run.warnings)


@case('C', 'https://github.com/inclusionAI/AReaL/issues/1336')
def test_readings_without_metadata(world):
    """The readings show GPUs that the metadata does not.

    `runInfo` is null or has no GPUs, while the system metrics have readings of 8 GPUs.

    Right: 8 GPUs are in use, of type `unknown`, for the whole hour.

    Unchanged: `training.gpu_utilization_avg` is 90.
    """
    world.run(Writer(EIGHT, sends_environment=False), no_info=True)
    run = world.read()
    assert in_use(run) == {'unknown': 8}
    assert hours(run) == pytest.approx(8)
    assert run.value(f'{M}training.gpu_utilization_avg') == pytest.approx(90)


@case('A', 'https://github.com/wandb/wandb/issues/4958')
@pytest.mark.parametrize(
    ('name', 'gpu_type'),
    [
        ('[NVIDIA L4]', 'l4'),
        ('[NVIDIA A100-SXM4-80GB, NVIDIA A100-SXM4-80GB]', 'a100-80gb'),
        ('NVIDIA RTX 6000 Ada Generation', 'rtx-6000-ada'),
        ('Quadro RTX 6000', 'quadro-rtx-6000'),
        ('NVIDIA GeForce RTX 3090 Ti', 'rtx-3090-ti'),
        ('Tesla V100-SXM2-32GB', 'v100-32gb'),
        ('NVIDIA A100-SXM4-80GB MIG 1g.10gb', 'nvidia-mig-1g.10gb'),
    ],
)
def test_names_of_gpus(world, name, gpu_type):
    """Names of GPUs in several forms.

    W&B shows one name, or the names of all GPUs in brackets. Products with nearly the same name have different prices.

    Right: the type is that of the product, and a MIG slice is not a GPU.

    Unchanged: the number of GPUs in use.
    """
    world.run(Writer(EIGHT), gpu_name=name)
    assert in_use(world.read()) == {gpu_type: 8}

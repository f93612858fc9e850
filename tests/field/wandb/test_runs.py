"""States, times and clocks of runs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from metta_checks.testing import Driver
from sandbox.wandb.machines import Writer
from sandbox.wandb.options import MAIN

from ..case import case
from .world import EIGHT, M, World, hours, in_use


@case('F', 'https://github.com/wandb/wandb/pull/2142')
def test_a_run_that_is_being_preempted(world):
    """A run is being preempted.

    It called `mark_preempting` and works on, until its machine is taken away.

    Right: it is active, has an age, 8 GPUs in use and GPU-hours.

    Unchanged: `runs.count` has it in state preempting.
    """
    world.run(Writer(EIGHT), state='preempting', began=2)
    run = world.read()
    assert run.value(f'{M}runs.active') == 1
    assert run.value(f'{M}training.elapsed_hours.max') == pytest.approx(2)
    assert (in_use(run), hours(run)) == ({'h100': 8}, pytest.approx(16))
    assert run.value(f'{M}runs.count', 'state:preempting') == 1


@case('B', 'https://docs.wandb.ai/models/runs/resuming')
def test_a_run_that_is_resumed_after_days(world):
    """A run is resumed days after its end.

    It worked for 100 hours and ended 6 days ago. It is resumed, and an hour later the check looks again.

    Right: the GPU-hours grow by 8 in this hour. The five days of the pause do not count.

    Unchanged: `training.elapsed_hours.max` is the time since the creation.
    """
    run = world.run(Writer(EIGHT), state='finished', began=244, ended=144)
    driver = world.driver()
    before = driver.run().require(f'{M}training.total_gpu_hours_7d')
    world.service.resume_run(run)
    world.service.pass_time(3600)
    after = driver.run()
    # The window moves by the hour, too: the run worked at its beginning.
    assert hours(after) == pytest.approx(before + 8 - 8, abs=0.2)
    assert after.value(f'{M}training.elapsed_hours.max') == pytest.approx(245)


@case('B', 'https://docs.wandb.ai/models/runs/resuming')
def test_a_run_that_is_resumed_again_after_its_first_part_left_the_week(world):
    """A run is resumed twice; its first part is meanwhile more than 7 days ago.

    It worked for 50 hours. After its end, 166 hours ago, it is resumed for an hour and crashes. Two days later, it is
    resumed for another hour.

    Right: 16 GPU-hours, those of the two hours. The 50 hours were before the window, and are not counted again.

    Unchanged: `training.elapsed_hours.max` is the time since the creation.
    """
    run = world.run(Writer(EIGHT), state='finished', began=216, ended=166)
    driver = world.driver()
    driver.run()
    world.service.resume_run(run)
    world.service.pass_time(3600)
    world.service.end_run(run, 'crashed')
    for seconds in (0, 2 * 3600, 46 * 3600):
        world.service.pass_time(seconds)
        driver.run()
    world.service.resume_run(run)
    world.service.pass_time(3600)
    last = driver.run()
    assert hours(last) == pytest.approx(16, abs=0.1)
    assert last.value(f'{M}training.elapsed_hours.max') == pytest.approx(266)


@case('B', 'https://docs.wandb.ai/models/runs/resuming')
def test_a_first_refresh_that_finds_a_resumed_run(world):
    """The first refresh finds a run that was resumed.

    The run was created three weeks ago and has worked for 100 hours, nobody knows when: perhaps in the first days of
    its life, perhaps now.

    Right: the GPU-hours are absent, because between 0 and 800 of them are of the last 7 days, and a warning says so.

    Unchanged: `gpus.in_use` is 8.
    """
    world.run(Writer(EIGHT), began=504, compute=360_000.0)
    run = world.read()
    assert hours(run) is None
    assert 'how much of the running time of resumed runs was in the last 7 days' in ' '.join(run.warnings)
    assert in_use(run) == {'h100': 8}


@case('B', 'https://github.com/wandb/wandb/issues/3251')
def test_a_run_that_was_recorded_offline_and_sent_today(world):
    """A run was recorded offline three weeks ago and is sent today.

    The server has seen it for 20 seconds, during the upload. Its summary has its own running time of 5 hours.

    Right: it did not end this week: `runs.completed_7d` is 0, and it has no GPU-hours.

    Unchanged: `runs.total` is 1.
    """
    world.run(Writer(EIGHT), state='finished', began=504).record(5)
    run = world.read()
    assert (run.value(f'{M}runs.completed_7d'), hours(run)) == (0, 0)
    assert run.value(f'{M}runs.total') == 1


@case('B', 'https://github.com/wandb/wandb/issues/4707')
def test_a_run_that_was_recorded_offline_this_week(world):
    """A run was recorded offline two days ago and is sent today.

    The server has seen it for 20 seconds, and its summary has its own running time of 5 hours.

    Right: it lasted 5 hours: `training.avg_duration_hours` is 5, and it has 40 GPU-hours.

    Unchanged: `runs.completed_7d` is 1.
    """
    world.run(Writer(EIGHT), state='finished', began=48).record(5)
    run = world.read()
    assert run.value(f'{M}training.avg_duration_hours') == pytest.approx(5)
    assert hours(run) == pytest.approx(40)
    assert run.value(f'{M}runs.completed_7d') == 1


@case('I')
@pytest.mark.parametrize('ahead', [-960, 960])
def test_a_clock_that_is_wrong(serve, ahead):
    """The clocks of the Agent and of the server differ by 16 minutes.

    A run has just sent a heartbeat.

    Right: it is not stale, and its GPUs are in use.

    Unchanged: a run that is silent for 20 minutes by the clock of the server is stale.
    """
    world = World(serve('wandb', scale=0.01, activity=False, clock_skew=-ahead))
    world.run(Writer(EIGHT))
    world.run(Writer(EIGHT), ended=1 / 3)
    run = world.read()
    assert run.value(f'{M}runs.stale') == 1
    assert in_use(run) == {'h100': 8}
    assert run.value(f'{M}training.elapsed_hours.max') == pytest.approx(1, abs=0.01)


@case('I', 'https://github.com/wandb/wandb/issues/1940')
def test_a_machine_whose_clock_is_ahead(world):
    """The clock of a run's machine is ahead of the server's.

    The machine has a wrong time zone, and W&B takes the time of creation from it: a run that has worked for an hour was
    created seven hours from now. Heartbeats and the running time come from the server.

    Right: 8 GPU-hours. The time of creation does not tell when the run worked.

    Unchanged: `training.elapsed_hours.max` is 0, not negative.
    """
    run = world.run(Writer(EIGHT), began=1)
    run.created += timedelta(hours=8)
    result = world.read()
    assert hours(result) == pytest.approx(8)
    assert result.value(f'{M}training.elapsed_hours.max') == 0


@case('C', 'https://docs.wandb.ai/models/track/log/customize-logging-axes')
def test_a_key_with_dots_under_an_aggregate(world):
    """A summary key with dots has an aggregate.

    `define_metric("eval.top1", summary="max")` stores an object under the key `eval.top1`.

    Right: `accuracy_key: eval.top1.max` finds it.

    Unchanged: a key without an aggregate is found.
    """
    summary = {'eval.top1': {'max': 0.9}, 'eval.loss': 0.25}
    world.run(Writer(EIGHT), state='finished', began=4, ended=2, summary=summary)
    run = world.read(accuracy_key='eval.top1.max', loss_key='eval.loss')
    assert run.value(f'{M}metrics.best_accuracy') == 0.9
    assert run.value(f'{M}metrics.latest_loss') == 0.25


@case('H')
def test_wasted_and_successful_runs(world):
    """Runs that fail, crash and are killed.

    Each of four runs of a week had a machine with 8 GPUs for an hour: one finished, the others did not.

    Right: `training.wasted_gpu_hours_7d` is 24 of 32. `training.success_rate_pct_7d` is a third: a killed run tells
    nothing about success.

    Unchanged: the GPU-hours by state add up to the total.
    """
    for index, state in enumerate(('finished', 'failed', 'crashed', 'killed')):
        world.run(Writer(EIGHT), state=state, began=10 - 2 * index, ended=9 - 2 * index)
    run = world.read(by_state=True, prices={'h100': 2.0})
    assert run.value(f'{M}training.wasted_gpu_hours_7d') == pytest.approx(24)
    assert run.value(f'{M}training.wasted_cost_usd_7d') == pytest.approx(48)
    assert run.value(f'{M}training.success_rate_pct_7d') == pytest.approx(100 / 3)
    assert sum(run.series(f'{M}gpus.hours_by_state_7d').values()) == pytest.approx(32)


@case('B', 'https://docs.wandb.ai/models/ref/python/experiments/system-metrics')
def test_the_utilization_of_a_day(world):
    """GPUs that are busy at times.

    The GPUs are busy in three of four refreshes, and idle in the last one.

    Right: `gpus.utilization_24h_pct` is 60, the mean over the time, and its coverage 45 minutes of a day.

    Unchanged: `gpus.utilization_pct` is 0, the last reading.
    """
    run = world.run(Writer(EIGHT), pulse=5.0)
    driver = world.driver()
    for percent in (90.0, 90.0, 90.0, 0.0):
        run.system = dict(run.writers[0].readings(dict.fromkeys(EIGHT.uuids, percent)))
        result = driver.run()
        world.service.pass_time(900)
    assert result.value(f'{M}gpus.utilization_24h_pct', 'gpu_type:h100') == pytest.approx(60)
    assert result.value(f'{M}gpus.utilization_24h_coverage_pct') == pytest.approx(100 * 2700 / 86_400)
    assert result.value(f'{M}gpus.utilization_pct', 'gpu_type:h100') == 0


@case('G')
def test_a_key_with_a_newline(world):
    """The API key ends with a newline.

    It was read from a file of a secret.

    Right: the check works.

    Unchanged: a wrong key is refused.
    """
    key = world.service.instance()['api_key']
    assert world.read(api_key=f' {key}\n').value(f'{M}runs.total') == 0
    assert 'HTTP 401' in world.read(api_key='no').error


@case('G', 'https://github.com/wandb/wandb/issues/6489')
def test_permission_denied_in_an_answer(serve):
    """Permission denied in an answer with HTTP 200.

    The owner of the key is not a member of the team. W&B sends `permission denied` as a GraphQL error.

    Right: it is a permission error, and the message says what to do.

    Unchanged: the other project has its figures.
    """
    service = serve('wandb', scale=0.01, activity=False, denied_projects=[MAIN])
    run = Driver.of(service).run()
    assert {reason for (block, reason) in run.errors() if block == 'runs'} == {'permission'}
    assert 'permission denied; the user or service account of option `api_key` must be' in ' '.join(run.warnings)
    assert run.value(f'{M}runs.total', 'project:metta-evals') is not None


@case('G')
def test_one_field_that_the_server_lacks(serve):
    """The server lacks one field.

    It does not know `Run.host`, and says so in two answers.

    Right: only this field is left out, and a warning names it. Running times and types of GPUs are there.

    Unchanged: GPUs whose ids are known are counted once.
    """
    world = World(serve('wandb', scale=0.01, activity=False, missing_fields=['Run.host']))
    for rank in range(2):
        world.run(Writer(EIGHT, (rank,)), began=3, compute=3600.0)
    run = world.read()
    assert 'this W&B server does not know `host`' in ' '.join(run.warnings)
    assert in_use(run) == {'h100': 8}
    assert sum(entry.status == 400 for entry in world.service.log) == 2


@case('G')
def test_an_error_that_only_mentions_a_field(world):
    """An error mentions the name of a field.

    One answer is an error whose text contains `runInfo` and `keys`, but does not say that the server lacks them.

    Right: the next refresh asks for all fields, so there are GPU-hours.

    Unchanged: the error is shown in W&B's words.
    """
    world.run(Writer(EIGHT), pulse=5.0)
    answer = world.service.answer
    refusals = ['runInfo: the keys of its cache expired']

    def refused(request):
        if 'query Runs' in request.get_json()['query'] and refusals:
            return world.service.json({'errors': [{'message': refusals.pop()}]}, 400)
        return answer(request)

    driver = world.driver()
    world.service.answer = refused
    assert 'runInfo: the keys of its cache expired' in driver.run().warnings[0]
    world.service.pass_time(900)
    run = driver.run()
    assert run.warnings == []
    assert hours(run) == pytest.approx(10, abs=0.1)


@case('F', 'https://docs.wandb.ai/models/ref/python/experiments/run')
def test_a_silent_run_keeps_its_machine(world):
    """A run of a machine ends and another one begins there at once.

    The first run ended an hour ago. The second one began a minute before that.

    Right: the minute in which both were there counts once.

    Unchanged: both runs have a duration.
    """
    world.run(Writer(EIGHT), state='finished', began=3, ended=1)
    world.run(Writer(EIGHT), began=1 + 1 / 60)
    assert hours(world.read()) == pytest.approx(24)


@case('I', 'https://docs.wandb.ai/models/runs/run-states', guard=True)
def test_a_machine_whose_clock_is_set_right(serve):
    """The clock of the Agent is 16 minutes ahead, and is set right.

    A run ends while the clock is wrong, and another one right after it was set right.

    Right: both ends are counted once.

    Unchanged: `runs.completed_7d` is 2.
    """
    world = World(serve('wandb', scale=0.01, activity=False, clock_skew=-960))
    first, second = world.run(Writer(EIGHT), pulse=5.0), world.run(Writer(EIGHT), pulse=5.0)
    driver = world.driver()
    driver.run()
    finished = 0.0
    for run in (first, second):
        world.service.pass_time(900)
        world.service.end_run(run)
        result = driver.run()
        finished += sum(result.series(f'{M}runs.finished').values())
        world.service.clock_skew = timedelta()
    assert finished == 2
    assert result.value(f'{M}runs.completed_7d') == 2

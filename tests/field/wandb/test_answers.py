"""Answers that lack a part: fields, counts, runs of a page, or runs beyond a limit."""

from __future__ import annotations

import json

import pytest

from metta_checks.testing import Driver
from sandbox.wandb.data import Project
from sandbox.wandb.machines import Writer
from sandbox.wandb.options import MAIN

from ..case import case
from .world import EIGHT, M, World, hours, in_use

TRUNCATED = 'metta.collector.truncated'
BEST = f'{M}metrics.best_accuracy_all_time'


def alter(world, operation, change):
    """Change the answers to an operation: `change` gets the request and the answer, and returns answer and status."""
    answer = world.service.answer

    def altered(request):
        real = answer(request)
        body = request.get_json(silent=True) or {}
        if body.get('operationName') != operation:
            return real
        return world.service.json(*change(body, real.get_json()))

    world.service.answer = altered
    return lambda: setattr(world.service, 'answer', answer)


@case('E', 'https://github.com/wandb/wandb/issues/677')
@pytest.mark.parametrize('status', [200, 500])
def test_a_run_whose_summary_w_and_b_cannot_read(world, status):
    """A run whose summary W&B cannot read.

    One of three finished runs logged something that W&B cannot read again. The answer has null in place of its summary,
    and an error that names the place.

    Right: the accuracy is that of the other two runs, and a warning shows W&B's reason.

    Unchanged: `runs.completed_7d` is 3, and the GPU-hours are those of all runs.
    """
    for index, accuracy in enumerate((0.7, 0.99, 0.9)):
        began = 9 - 3 * index
        world.run(Writer(EIGHT), state='finished', began=began, ended=began - 1, summary={'accuracy': accuracy})
    broken = list(world.runs.values())[1]
    broken.unreadable = ('summaryMetrics',)
    alter(world, 'Runs', lambda _, answer: (answer, status if 'errors' in answer else 200))
    run = world.read()
    assert run.value(f'{M}metrics.best_accuracy') == 0.9
    assert 'Error 3143: Invalid JSON path expression' in ' '.join(run.warnings)
    assert run.value(f'{M}runs.completed_7d') == 3
    assert hours(run) == pytest.approx(24)


@case('E', 'https://github.com/wandb/wandb/issues/10818')
def test_readings_of_one_run_that_w_and_b_cannot_read(world):
    """An active run whose readings W&B cannot read.

    Two runs work on machines of 8 GPUs. W&B cannot read the system metrics of one of them.

    Right: the utilization is that of the other machine, and a warning shows W&B's reason.

    Unchanged: 16 GPUs are in use, as the metadata tells.
    """
    world.run(Writer(EIGHT), busy=90)
    lost = world.run(Writer(EIGHT.of('node-2', EIGHT.product, 8)), busy=10)
    lost.unreadable = ('systemMetrics',)
    run = world.read()
    assert run.value(f'{M}training.gpu_utilization_avg') == pytest.approx(90)
    assert 'Error 3143: Invalid JSON path expression' in ' '.join(run.warnings)
    assert in_use(run) == {'h100': 16}


@case('E', 'https://github.com/wandb/server/issues/122')
def test_a_count_that_takes_too_long(world):
    """A count that takes too long.

    The database of a self-managed server cannot count stale runs in time. The answer has HTTP status 500, null in place
    of this count, and the error `context deadline exceeded`.

    Right: only `runs.stale` is absent, and a warning shows the reason.

    Unchanged: `runs.active` and `runs.total` are 1.
    """
    world.run(Writer(EIGHT), pulse=5.0)

    def late(_, answer):
        if 'stale' in answer['data']['project']:
            answer['data']['project']['stale'] = None
            answer['errors'] = [{'message': 'context deadline exceeded', 'path': ['project', 'stale']}]
        return answer, 500 if 'errors' in answer else 200

    alter(world, 'Counts', late)
    run = world.read()
    assert run.value(f'{M}runs.stale') is None
    assert 'W&B could not count the runs of `stale`: context deadline exceeded' in ' '.join(run.warnings)
    assert (run.value(f'{M}runs.active'), run.value(f'{M}runs.total')) == (1, 1)


@case('G', 'https://github.com/wandb/wandb/issues/2408')
def test_a_query_that_fails_with_a_reason(world):
    """A query that fails with a reason.

    The answer has HTTP status 500, no data, and the error `context deadline exceeded`.

    Right: the message shows this reason, and the figures of before stay.

    Unchanged: the server is not taken for an old one: the next refresh asks for all fields.
    """
    world.run(Writer(EIGHT), pulse=5.0)
    driver = world.driver()
    driver.run()
    failure = {'errors': [{'message': 'context deadline exceeded', 'path': ['project']}], 'data': {'project': None}}
    repair = alter(world, 'Runs', lambda *_: (failure, 500))
    world.service.pass_time(900)
    run = driver.run()
    assert 'W&B failed to answer the query Runs: context deadline exceeded' in ' '.join(run.warnings)
    assert hours(run) == pytest.approx(8)
    repair()
    world.service.pass_time(900)
    run = driver.run()
    assert run.warnings == []
    assert hours(run) == pytest.approx(12, abs=0.1)


@case('D', 'https://github.com/wandb/wandb/issues/7666')
def test_pages_that_repeat_a_run_and_leave_out_another(world):
    """Pages that repeat a run and leave out another one.

    W&B's cursors are positions in a list that changes meanwhile. The number of rows is that of the runs, but one row
    comes twice, and a run that has worked for ten hours is not there. It is there again in the next refresh.

    Right: the run was not deleted: its GPU-hours are those of all its time.

    Unchanged: `runs.active` is 12.
    """
    for index in range(12):
        world.run(Writer(EIGHT.of(f'node-{index}', EIGHT.product, 1)), began=10, pulse=5.0)
    driver = world.driver(page_size=10)
    assert hours(driver.run()) == pytest.approx(120, abs=0.1)

    def repeat(body, answer):
        if body['variables']['after'] is not None:
            answer['data']['project']['runs']['edges'][-1] = answer['data']['project']['runs']['edges'][0]
        return answer, 200

    repair = alter(world, 'Runs', repeat)
    world.service.pass_time(900)
    assert hours(driver.run()) == pytest.approx(123, abs=0.3)
    repair()
    world.service.pass_time(900)
    run = driver.run()
    assert hours(run) == pytest.approx(126, abs=0.1)
    assert run.value(f'{M}runs.active') == 12


@case('J', 'https://github.com/wandb/wandb/issues/6614')
@pytest.mark.parametrize('heartbeat_filter', ['yes', 'error'])
def test_many_runs_that_pages_leave_out(serve, heartbeat_filter):
    """Pages that leave out many runs.

    The pages of the first refresh have as many rows as W&B counts runs, but eight rows are repetitions. The server
    filters by heartbeat, or is a self-managed one that does not.

    Right: the figures are marked as incomplete (`metta.collector.truncated`), also in the next refresh, which reads
    only changes.

    Unchanged: `runs.total`, which W&B counts, is 30.
    """
    world = World(serve('wandb', scale=0.01, activity=False, heartbeat_filter=heartbeat_filter))
    for index in range(30):
        world.run(Writer(EIGHT), state='finished', began=100 - index, ended=99.5 - index)

    def repeat(body, answer):
        edges = answer['data']['project']['runs']['edges']
        if body['variables']['after'] is not None and len(edges) == 10:
            edges[1:5] = [edges[0]] * 4
        return answer, 200

    repair = alter(world, 'Runs', repeat)
    driver = world.driver(page_size=10)
    run = driver.run()
    assert 'W&B repeated runs in its pages and left out 8 others' in ' '.join(run.warnings)
    assert run.value(TRUNCATED, 'block:runs') == 1
    assert run.value(f'{M}runs.total') == 30
    repair()
    world.service.pass_time(900)
    assert driver.run().value(TRUNCATED, 'block:runs') == 1


@case('J', 'https://docs.wandb.ai/support/models/articles/how-many-runs-can-i-create-per-project')
def test_more_runs_than_are_read(serve):
    """More runs in a week than the check reads.

    A self-managed server cannot filter by heartbeat, and 150 runs ended in the week. The check reads 100 of them
    (`max_rows_per_refresh`).

    Right: the figures of 7 days are marked as incomplete until the week is over, also in refreshes that read all
    changes.

    Unchanged: `runs.total` is 150.
    """
    world = World(serve('wandb', scale=0.01, activity=False, heartbeat_filter='error'))
    for index in range(150):
        world.run(Writer(EIGHT), state='finished', began=2 + index / 10, ended=1.95 + index / 10)
    driver = world.driver(max_rows_per_refresh=100)
    for days in (0, 1, 5):
        world.service.pass_time(days * 86_400)
        run = driver.run()
        assert run.value(TRUNCATED, 'block:runs') == 1
        assert 'more than 100 runs changed: the others are left out' in ' '.join(run.warnings)
    assert run.value(f'{M}runs.total') == 150
    world.service.pass_time(2 * 86_400)
    assert driver.run().value(TRUNCATED, 'block:runs') == 0


@case('J', 'https://github.com/wandb/wandb/issues/2467', guard=True)
def test_a_server_that_ends_its_lists_early(world):
    """A server that ends its lists early.

    A list of 30 runs ends after 20, without a next page. W&B counts 30 runs.

    Right: there are no figures of the runs, and the message has both numbers.

    Unchanged: `runs.total` is 30.
    """
    for index in range(30):
        world.run(Writer(EIGHT), state='finished', began=100 - index, ended=99.5 - index)

    def end(body, answer):
        if body['variables']['after'] is not None:
            answer['data']['project']['runs']['pageInfo'] = {'hasNextPage': False, 'endCursor': None}
        return answer, 200

    alter(world, 'Runs', end)
    run = world.read(page_size=10)
    assert run.value(f'{M}runs.completed_7d') is None
    assert 'W&B counts 30 runs and sent 20: the answer is not complete' in ' '.join(run.warnings)
    assert run.value(f'{M}runs.total') == 30


@case('J', 'https://github.com/wandb/wandb/issues/1038', guard=True)
def test_an_entity_with_many_projects(world):
    """An entity with more projects than the check reads.

    The option `projects` is empty, and the entity has 53 projects.

    Right: 50 projects have figures, and the list is marked as incomplete.

    Unchanged: the warning has the number of all projects.
    """
    for index in range(52):
        world.service.projects[f'p{index}'] = Project(f'p{index}')
    names = [MAIN, *(name for name in world.service.projects if name.startswith('p'))]
    world.service.projects = {name: world.service.projects[name] for name in names}
    run = Driver.of(world.service, projects=[]).run()
    assert len(run.series(f'{M}runs.total')) == 50
    assert run.value(TRUNCATED, 'block:project_list') == 1
    assert '53 projects, only the first 50 are read' in ' '.join(run.warnings)


@case('D', 'https://github.com/wandb/wandb/issues/2202')
def test_runs_that_diverged_come_first(world):
    """Runs that diverged come first.

    The SDK writes NaN as text. In W&B's descending order by the accuracy, the 12 runs that diverged come before all
    numbers and fill the first page.

    Right: `metrics.best_accuracy_all_time` is 0.9, the largest number on the next page.

    Unchanged: `runs.completed_7d` is 14.
    """
    for index in range(14):
        accuracy = {12: 0.8, 13: 0.9}.get(index, 'NaN')
        world.run(Writer(EIGHT), state='finished', began=2, ended=1, summary={'accuracy': accuracy})
    run = world.read(all_time=True, page_size=10)
    assert run.value(BEST) == 0.9
    assert run.value(f'{M}runs.completed_7d') == 14


@case('D', 'https://github.com/wandb/wandb/issues/8924')
def test_runs_in_another_order_than_asked_for(world):
    """Runs in another order than asked for.

    W&B does not know the key to sort by, and sends the finished runs in the order of their creation: 0.5, 0.9, 0.7.

    Right: `metrics.best_accuracy_all_time` is absent, and a warning says why. The first number is not the largest.

    Unchanged: `metrics.best_accuracy` of the week is 0.9.
    """
    for accuracy in (0.5, 0.9, 0.7):
        world.run(Writer(EIGHT), state='finished', began=2, ended=1, summary={'accuracy': accuracy})

    def unsorted(_, answer):
        edges = answer['data']['project']['runs']['edges']
        edges.sort(key=lambda edge: json.dumps(edge['node']['name']))
        return answer, 200

    alter(world, 'Runs', unsorted)
    run = world.read(all_time=True)
    assert run.value(BEST) is None
    assert 'W&B does not sort the runs by `accuracy`' in ' '.join(run.warnings)
    assert run.value(f'{M}metrics.best_accuracy') == 0.9


@case('D', 'https://github.com/wandb/wandb/issues/4266')
def test_a_sorted_list_without_numbers(world):
    """A sorted list whose first pages have no number.

    A key holds texts in 120 runs, and a number in the last one.

    Right: `metrics.best_accuracy_all_time` is absent, and a warning says how far the check has read.

    Unchanged: `runs.total` is 121.
    """
    for index in range(121):
        accuracy = 0.9 if index == 120 else f'{index}e-05'
        world.run(Writer(EIGHT), state='finished', began=2, ended=1, summary={'accuracy': accuracy})
    run = world.read(all_time=True, page_size=10)
    assert run.value(BEST) is None
    assert 'the first 10 pages of the runs sorted by `accuracy` have no number' in ' '.join(run.warnings)
    assert run.value(f'{M}runs.total') == 121

"""Configuration, and the findings of `diagnose`."""

from __future__ import annotations

import pytest
from datadog_checks.base import AgentCheck

from metta_checks.testing import Driver
from sandbox.wandb.data import EVALS, MAIN

pytestmark = pytest.mark.integration


@pytest.fixture
def wandb(serve):
    return serve('wandb', scale=0.2, activity=False)


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        ({'run_types': {'ptm': 'ptm-.*'}}, 'option `run_types`: ptm needs `field` and `pattern`, and nothing else'),
        (
            {'run_types': {'ptm': {'field': 'name', 'pattern': 'x'}}},
            'option `run_types`: the field of ptm must be one of',
        ),
        (
            {'run_types': {'ptm': {'field': 'group', 'pattern': '('}}},
            'option `run_types`: the pattern of ptm is not a regular expression',
        ),
        ({'summary_metrics': {'Steps/s': 'sps'}}, "option `summary_metrics`: 'Steps/s' becomes part of a metric name"),
        ({'summary_metrics': {'sps': ''}}, 'option `summary_metrics`: sps needs the summary key it stands for'),
        ({'summary_metrics': {f'a{i}': 'k' for i in range(21)}}, 'option `summary_metrics`: 21 aliases, at most 20'),
        ({'prices': {'l4': -1}}, 'option `prices`: the price of l4 must be a number of USD, not -1'),
        ({'prices': {'l4': 'cheap'}}, "option `prices`: the price of l4 must be a number of USD, not 'cheap'"),
        ({'summary_metrics': {7: 'sps'}}, 'option `summary_metrics`: 7 becomes part of a metric name'),
        ({'page_size': 1}, 'option `page_size`'),
        ({'api_key': None}, 'option `api_key` is missing'),
        ({'entity': None}, 'option `entity` is missing'),
    ],
)
def test_a_bad_configuration_is_one_line_and_sends_nothing(wandb, options, said):
    run = Driver.of(wandb, **options).run()
    assert said in run.error
    assert '\n' not in run.error
    assert run.status == AgentCheck.CRITICAL
    assert said in run.message
    assert wandb.log == []


def test_without_run_types_and_prices_there_is_no_tag_and_no_cost(wandb):
    driver = Driver.of(wandb, projects=[EVALS], run_types=None, prices=None, summary_metrics=None)
    run = driver.run()
    wandb.end_run(wandb.run(EVALS, state='running'))
    wandb.pass_time(900)
    run = driver.run()
    [tags] = run.series('metta.wandb.runs.finished')
    assert not [tag for tag in tags if tag.startswith('run_type')]
    assert not [name for name in run.names if 'cost' in name or 'unpriced' in name or 'summary' in name]


def test_the_users_own_tags_are_on_everything(wandb):
    run = Driver.of(wandb, projects=[EVALS], tags=['team:research']).run()
    assert all('team:research' in tags for _, tags in run.values)


def test_rotating_the_key_keeps_what_is_known(wandb):
    Driver.of(wandb, projects=[EVALS]).run()
    wandb.pass_time(60)
    assert Driver.of(wandb, projects=[EVALS], api_key='rotated').run().value('metta.wandb.runs.active') == 2


def findings(driver):
    return [(finding.name, finding.status, finding.message) for finding in driver.findings()]


def test_diagnose_names_key_projects_server_and_rate_limit(wandb):
    found = findings(Driver.of(wandb, projects=[EVALS, 'metta-private']))
    assert found[0] == ('key', 'ok', 'the API key belongs to datadog-agent')
    assert found[1] == (f'project {EVALS}', 'ok', '26 runs')
    assert found[2] == ('server', 'ok', 'filters by heartbeat: a refresh reads only changed runs')
    assert found[3][:2] == ('project metta-private', 'fail')
    assert found[4] == ('rate limit', 'ok', '1000 of 1000 left')


def test_diagnose_of_all_projects_on_an_old_server(serve):
    wandb = serve('wandb', scale=0.2, heartbeat_filter='ignore', rate_headers='on_429')
    found = findings(Driver.of(wandb, projects=[]))
    assert [name for name, *_ in found] == ['key', f'project {MAIN}', 'server', f'project {EVALS}']
    assert found[2][1] == 'warning'


def test_diagnose_with_a_wrong_key(wandb):
    [finding] = Driver.of(wandb, api_key='wrong').findings()
    assert (finding.name, finding.status) == ('auth', 'fail')
    assert 'check option `api_key`' in finding.remedy

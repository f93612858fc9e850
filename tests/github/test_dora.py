"""Relations between the DORA figures, over random histories of deployments, and odd answers."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from metta_checks.testing import AGENT, Driver
from sandbox import Running
from tests.field.github.delivery import DeliveringGitHub

pytestmark = pytest.mark.integration

DORA = 'metta.github.dora.'
COMMITS = [f'c{number:02d}' for number in range(40)]


@pytest.fixture
def github() -> Iterator[DeliveringGitHub]:
    """Return a repository without deployments."""
    service = DeliveringGitHub()
    with Running(service):
        yield service


def figures(run) -> dict:
    """Return the DORA figures of a run."""
    return {key: value for key, value in run.figures().items() if key[0].startswith(DORA)}


def deploy_at_random(github: DeliveringGitHub, chance: random.Random) -> None:
    """Deploy some commits to some environments, one of them still in progress."""
    for _ in range(chance.randint(1, 4)):
        states = chance.choice([['SUCCESS'], ['SUCCESS', 'INACTIVE'], ['FAILURE'], ['ERROR', 'SUCCESS'], ['QUEUED']])
        environment = chance.choice(['production', 'Production', 'prod-eu', 'staging'])
        commit = chance.choice(COMMITS)
        github.deploy(commit, *states, hours=chance.random() * 6, minutes=chance.random() * 5, environment=environment)


@pytest.mark.parametrize('seed', range(6))
def test_a_warm_refresh_equals_a_cold_one(github, seed):
    chance = random.Random(seed)
    for index, commit in enumerate(COMMITS):
        message = chance.choice(['Do something', 'hotfix it', 'Revert "Do something"'])
        github.commit(commit, *COMMITS[max(0, index - 1) : index], hours=900 - index, message=message)
    driver = Driver.of(github, refresh_interval=0)
    for _ in range(12):
        deploy_at_random(github, chance)
        driver.run()
        github.pass_time(6 * 3600)
        if chance.random() < 0.3 and (waiting := [row for row in github.deployments if row['state'] == 'QUEUED']):
            chance.choice(waiting)['statuses']['nodes'].insert(0, {'state': 'SUCCESS', 'createdAt': github.at(1)})
    warm = figures(driver.run())
    AGENT.reset()
    assert warm == figures(Driver.of(github, refresh_interval=0).run())


@pytest.mark.parametrize('seed', range(6))
def test_relations_of_the_figures(github, seed):
    chance = random.Random(100 + seed)
    github.chain(*COMMITS)
    for _ in range(10):
        deploy_at_random(github, chance)
        github.pass_time(6 * 3600)
    run = Driver.of(github).run()
    deployments = run.series(DORA + 'deployments_30d')
    assert deployments
    for tags, number in deployments.items():
        failed = run.series(DORA + 'failed_changes_30d')[tags]
        assert 0 <= failed <= number
        assert run.series(DORA + 'deployments_per_day_30d')[tags] == pytest.approx(number / 30)
        if number:
            assert run.series(DORA + 'change_failure_rate_pct_30d')[tags] == pytest.approx(100 * failed / number)
        assert (tags in run.series(DORA + 'recovery_hours.p50')) == (failed > 0)
        assert (tags in run.series(DORA + 'lead_time_hours.p50')) == (
            run.series(DORA + 'lead_time_commits_30d')[tags] > 0
        )


@pytest.mark.parametrize('size', [1, 3, 100])
def test_figures_do_not_depend_on_the_size_of_pages(github, monkeypatch, size):
    chance = random.Random(7)
    github.chain(*COMMITS)
    for _ in range(2):
        deploy_at_random(github, chance)
    expected = figures(Driver.of(github).run())
    AGENT.reset()
    monkeypatch.setattr('metta_checks.github.client.COMPARED_PAGE', size)
    monkeypatch.setattr('metta_checks.github.client.COMPARED_PAGES', 100)
    assert figures(Driver.of(github).run()) == expected


@pytest.mark.parametrize(
    ('option', 'words'),
    [
        ({'source': 'workflow'}, '`workflows` and `source: workflow` go together'),
        ({'source': 'release', 'environments': ['production']}, '`environments` does not go with'),
        ({'workflows': ['deploy']}, '`workflows` and `source: workflow` go together'),
    ],
)
def test_parts_of_the_option_that_do_not_belong_together(github, option, words):
    run = Driver.of(github, dora=option).run()
    assert words in run.error

"""Figures that must be the same however they are read."""

from __future__ import annotations

import pytest

from metta_checks.core import catalog
from metta_checks.testing import Driver
from sandbox.every_option import EVERY_OPTION
from sandbox.wandb.options import EVALS, FLEET, MAIN

pytestmark = pytest.mark.integration

CATALOG = catalog.load('wandb')
# Only memory has these: what happened since the last refresh, and a day of readings.
OF_MEMORY = (
    'runs.finished',
    'training.run_duration_hours',
    'gpus.utilization_24h_pct',
    'gpus.utilization_24h_coverage_pct',
)
OTHER = 'reader:other'


@pytest.fixture
def service(serve):
    return serve('wandb', scale=0.05, rare=True, projects=[MAIN, EVALS, FLEET])


def other_reader(service, **options):
    """Return a check that shares no memory with others."""
    return Driver.of(service, tags=[OTHER], **options)


def figures(run, *left_out):
    """Return the gauges of W&B. A GPU type that is not in use now may be shown as 0."""
    return {
        (name, tuple(tag for tag in tags if tag != OTHER)): value
        for (name, tags), value in run.values.items()
        if name.startswith('metta.wandb.')
        and not name.endswith(left_out)
        and (value or not name.endswith('gpus.in_use'))
    }


def test_no_figure_depends_on_the_size_of_pages(service):
    small, large = Driver.of(service, page_size=10).run(), other_reader(service, page_size=1000).run()
    assert figures(small) == pytest.approx(figures(large))
    assert sum(entry.path == '/graphql' for entry in service.log) > 30


def test_a_refresh_of_changes_has_the_figures_of_a_first_one(service):
    driver = Driver.of(service)
    driver.run()
    for seconds in (900, 3600, 6 * 3600):
        service.pass_time(seconds)
        warm = figures(driver.run(), *OF_MEMORY)
    assert warm == pytest.approx(figures(other_reader(service).run(), *OF_MEMORY))


@pytest.mark.parametrize('option', sorted(EVERY_OPTION['wandb'].keys() - {'gpu_count_config_key', 'max_runs'}))
def test_an_option_changes_only_its_own_figures(service, option):
    before = figures(Driver.of(service).run())
    after = figures(Driver.of(service, **{option: EVERY_OPTION['wandb'][option]}).run())
    own = {metric.name.partition('*')[0] for metric in CATALOG.metrics if metric.option == option}
    assert {key: after.get(key) for key in before} == pytest.approx(before)
    added = {key[0].removeprefix('metta.wandb.') for key in after.keys() - before.keys()}
    assert added
    assert all(name.startswith(tuple(own)) for name in added)

"""Every name of the first system exists, is emitted by a run on the sandbox, and has the value that the sandbox's own,
independent computation gives.
"""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from metta_checks.core import catalog
from metta_checks.testing import Driver

from .seed_names import BY_SOURCE

METADATA = Path(__file__).parent.parent / 'metadata.csv'
# Crawls that take several runs, and figures that need a second or third refresh.
MAX_REFRESHES = 4
MAX_RUNS = 20


def test_the_inventory_is_complete():
    counts = {source: len(names) for source, names in BY_SOURCE.items()}
    # 14 names of Asana and 10 of W&B existed; 16 and 3 more had been announced.
    assert counts == {'github': 28, 'skypilot': 30, 'asana': 14 + 16, 'ec2': 19, 'wandb': 10 + 3, 'kubernetes': 15}
    assert sum(counts.values()) - 16 - 3 == 116


def test_every_name_is_in_the_metadata():
    with METADATA.open(encoding='utf-8') as file:
        known = {row['metric_name'] for row in csv.DictReader(file)}
    assert not [name for names in BY_SOURCE.values() for name in names if name not in known]


@pytest.mark.parametrize('source', BY_SOURCE)
def test_the_catalog_marks_exactly_these(source):
    source_catalog = catalog.load(source)
    marked = {source_catalog.full_name(metric.name) for metric in source_catalog.metrics if metric.seed}
    assert marked == set(BY_SOURCE[source])


@pytest.mark.integration
@pytest.mark.parametrize('source', BY_SOURCE)
def test_every_name_is_emitted_with_the_true_value(serve, source):
    service = serve(source)
    driver = Driver.of(service)
    own = set(driver.check.instance_tags)
    seeds = set(BY_SOURCE[source])
    for _ in range(MAX_REFRESHES):
        run = driver.run()
        for _ in range(MAX_RUNS):
            if all(block.resume_at is None for block in driver.check.snapshot.blocks.values()):
                break
            service.clock.advance(60)
            run = driver.run()
        assert run.error == ''
        now = driver.check.last_refresh
        truth = {(one.name, tuple(sorted(one.tags))): one.value for one in service.truth(now) if one.name in seeds}
        ours = {
            (name, tuple(sorted(set(tags) - own))): value for (name, tags), value in run.values.items() if name in seeds
        }
        if truth.keys() <= ours.keys():
            break
        service.pass_time(900)
    assert ours == {key: pytest.approx(value, rel=1e-9, abs=1e-9) for key, value in truth.items()}
    assert {name for name, _ in truth} == seeds

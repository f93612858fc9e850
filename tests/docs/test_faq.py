"""The numbers of docs/faq.md are those of a run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from metta_checks.testing import SELF_METRICS, Driver, Run

from . import pages

PAGE = 'docs/faq.md'
SOURCES = ('github', 'skypilot', 'asana', 'ec2', 'wandb', 'kubernetes')
LATER_REFRESHES = 3
MAX_RUNS = 20
# By "per" of the page: the tags that distinguish the things, and a tag that their series do not have.
ENTITIES: Mapping[tuple[str, str], tuple[tuple[str, ...], str]] = {
    ('github', 'repository'): (('repo',), 'workflow'),
    ('github', 'workflow of a repository'): (('repo', 'workflow'), ''),
    ('skypilot', 'server'): ((), ''),
    ('asana', 'workspace'): ((), ''),
    ('ec2', 'account'): ((), ''),
    ('wandb', 'project'): (('project',), ''),
    ('kubernetes', 'cluster, with four types of GPUs'): (('cluster',), 'kube_namespace'),
    ('kubernetes', 'namespace'): (('kube_namespace',), 'deployment'),
    ('kubernetes', 'deployment, with `per_deployment`'): (('deployment',), ''),
}


@dataclass(frozen=True)
class Measured:
    """The last run of one source, and the requests of its first and later refreshes."""

    run: Run
    cold: float
    warm: float


def settle(driver: Driver, service) -> Run:
    """Return the run of one refresh, or the last run in which its crawls continue."""
    run = driver.run()
    for _ in range(MAX_RUNS):
        if all(block.resume_at is None for block in driver.check.snapshot.blocks.values()):
            return run
        service.clock.advance(60)
        run = driver.run()
    raise AssertionError('the crawl never ends')


# Options of the sandbox's instances that are off by default and add many series.
OFF: dict[str, dict[str, None]] = {'kubernetes': {'per_namespace': None, 'per_workload': None, 'prices': None}}


@pytest.fixture
def measured(serve, source) -> Measured:
    service = serve(source)
    driver = Driver.of(service, **OFF.get(source, {}))
    cold = driver.run().requests or 0
    settle(driver, service)
    for _ in range(LATER_REFRESHES):
        service.pass_time(900)
        run = driver.run()
    assert run.error == ''
    return Measured(run, cold, run.requests or 0)


def limits(cell: str) -> tuple[float, float]:
    """Return `40 to 50` or `3` as (least, most)."""
    low, _, high = cell.partition(' to ')
    return float(low), float(high or low)


def by_entity(run: Run, tags: tuple[str, ...], without: str) -> dict[tuple[str, ...], int]:
    """Return the number of series of each thing."""
    found: dict[tuple[str, ...], int] = {}
    for name, pairs in run.values:
        keys = dict(pair.split(':', 1) for pair in pairs)
        if not name.startswith(SELF_METRICS) and without not in keys and set(tags) <= keys.keys():
            thing = tuple(keys[tag] for tag in tags)
            found[thing] = found.get(thing, 0) + 1
    return found


@pytest.mark.integration
@pytest.mark.parametrize('source', SOURCES)
def test_series_and_requests_are_those_of_the_page(measured, source):
    rows = [row for row in pages.table(PAGE, 'How many series does it make?') if row['source'] == source]
    assert rows
    for row in rows:
        low, high = limits(row['series'])
        found = by_entity(measured.run, *ENTITIES[source, row['per']])
        mean = sum(found.values()) / len(found)
        assert low <= mean <= high, f'{row["per"]}: {mean} of {len(found)}'
    own = [key for key in measured.run.values if key[0].startswith(SELF_METRICS)]
    text = (pages.ROOT / PAGE).read_text(encoding='utf-8')
    low, high = limits(pages.only(r'Each instance adds (\d+ to \d+) self-metrics', text))
    assert low <= len(own) <= high
    [requests] = [row for row in pages.table(PAGE, 'How many requests does it send?') if row['source'] == source]
    # Ages and dates are relative to now, so a page more or less is accepted.
    assert measured.cold == pytest.approx(float(requests['first refresh']), rel=0.1, abs=1)
    assert measured.warm == pytest.approx(float(requests['later ones']), rel=0.1, abs=2)


def test_the_example_adds_up():
    text = (pages.ROOT / PAGE).read_text(encoding='utf-8')
    stated = float(pages.only(r'has about ([\d,]+) series', text).replace(',', ''))
    per = {
        (row['source'], row['per']): sum(limits(row['series'])) / 2
        for row in pages.table(PAGE, 'How many series does it make?')
    }
    total = (
        10 * per['github', 'repository']
        + 10 * 8 * per['github', 'workflow of a repository']
        + per['skypilot', 'server']
        + per['asana', 'workspace']
        + per['ec2', 'account']
        + 3 * per['wandb', 'project']
        + per['kubernetes', 'cluster, with four types of GPUs']
        + 40 * per['kubernetes', 'namespace']
    )
    assert stated == pytest.approx(total, rel=0.05)


@pytest.mark.integration
def test_dollars_follow_from_what_is_asked(serve):
    service = serve('ec2')
    run = Driver.of(service).run()
    asked = sum(
        len(re.findall(r'"MetricStat"|MetricDataQueries\.member\.\d+\.MetricStat\.Period', entry.body))
        for entry in service.log
        if 'GetMetricData' in entry.body or 'MetricDataQueries' in entry.body
    )
    running = run.value('metta.ec2.instances.running') or 0
    [row] = [row for row in pages.table(PAGE, 'Does a request cost money?') if 'GetMetricData' in row['request']]
    assert 'three per running instance' in row['price']
    # Young instances and GPU machines are not asked about: three are the most.
    assert 0 < asked <= 3 * running
    stated = float(pages.only(r'\$([\d.]+) a month per 100', row['at default settings']))
    assert stated == pytest.approx(100 * 3 * 4 * 30 * 0.01 / 1000)


def test_dollars_of_the_bill_follow_from_its_interval(serve):
    check: Any = Driver.of(serve('ec2')).check
    check.run_check_initializations()
    [row] = [row for row in pages.table(PAGE, 'Does a request cost money?') if 'cost_explorer' in row['request']]
    hours = check.billing_interval() / 3600
    assert f'one and four every {hours:g} hours' in row['price']
    stated = [float(amount) for amount in re.findall(r'\$([\d.]+)', row['at default settings'])]
    assert stated == pytest.approx([requests * 0.01 * 30.4 * 24 / hours for requests in (1, 4)], rel=0.02)
    of_source = (pages.ROOT / 'docs' / 'sources' / 'ec2.md').read_text(encoding='utf-8')
    assert '`cost_explorer` costs ${} a month, `commitments` ${} a month'.format(*stated) in of_source

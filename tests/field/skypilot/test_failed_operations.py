"""Operations that fail on the server because of one cluster."""

from __future__ import annotations

import pytest

from metta_checks.testing import Driver
from sandbox.skypilot.service import Failure

from ..case import case
from .machines import add_cluster, add_job

M = 'metta.skypilot.'


def fail(sky, name, message):
    """Let an operation of the server fail."""

    def failing(body):
        raise Failure('ValueError', message)

    setattr(sky, name, failing)


@case('E', 'https://github.com/skypilot-org/skypilot/issues/10449', guard=True)
def test_an_instance_type_that_has_left_the_catalog(sky):
    """An instance type that has left the catalog.

    A cluster runs on a type of machine that the server's price list no longer has. The server fails in the list of
    clusters as a whole.

    Right: The figures of jobs and of costs are there: `jobs.running` is 1, `gpus.in_use` is 4, of the job, and
    `cost.spend_usd_24h` is that of the 10 hours of the cluster. `clusters.count` is absent.

    Unchanged: The warning has the server's words.
    """
    add_job(sky, 1)
    add_cluster(sky, 'dev')
    fail(sky, '_status', 'No instance type old_H100 found.')
    run = Driver.of(sky).run()
    assert run.value(f'{M}jobs.running') == 1
    assert sum(run.series(f'{M}gpus.in_use').values()) == 4
    hourly, spend = (sum(run.series(f'{M}cost.{name}').values()) for name in ('hourly_usd', 'spend_usd_24h'))
    assert 0 < spend == pytest.approx(10 * hourly, rel=0.01)
    assert run.series(f'{M}clusters.count') == {}
    assert any('No instance type old_H100 found' in line for line in run.warnings)


@case('E', 'https://github.com/skypilot-org/skypilot/issues/7304', guard=True)
def test_a_cost_report_that_fails_because_of_a_price(sky):
    """A cost report that fails because of a price.

    A cluster of last week ran in a zone that the price list no longer has. The server fails in the cost report.

    Right: `cost.spend_usd_24h` and `cost.hourly_usd` are absent, not 0. `clusters.count` and `jobs.running` are there.

    Unchanged: `gpus.in_use` is 8.
    """
    add_job(sky, 1)
    add_cluster(sky, 'dev')
    fail(sky, '_cost_report', "Instance type 'm9.large' not found in zone 'us-east-1a'.")
    run = Driver.of(sky).run()
    assert (run.series(f'{M}cost.spend_usd_24h'), run.series(f'{M}cost.hourly_usd')) == ({}, {})
    assert run.value(f'{M}jobs.running') == 1
    assert sum(run.series(f'{M}clusters.count').values()) == 1
    assert sum(run.series(f'{M}gpus.in_use').values()) == 8

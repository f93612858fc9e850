from __future__ import annotations

import pytest

from metta_checks import verify
from metta_checks.core import catalog
from metta_checks.testing import Driver
from sandbox.ec2.service import EXTERNAL_ID, ROLE


def figures(run):
    return [
        verify.Figure(name, value, tags) for (name, tags), value in run.values.items() if name.startswith('metta.ec2.')
    ]


@pytest.mark.parametrize('options', [{}, {'role_arn': ROLE, 'external_id': EXTERNAL_ID}])
def test_verify_agrees(serve, options):
    service = serve('ec2', scale=0.3)
    instance = {**service.instance(), **options}
    ours = Driver.of(service, **options).run()
    before = len(service.log)
    theirs = verify.recompute('ec2', instance, service.clock.now())
    assert theirs.requests == len(service.log) - before > (ours.requests or 0)
    assert [comparison for comparison in verify.compare(figures(ours), theirs.figures) if not comparison.agrees] == []
    seeds = {f'metta.ec2.{metric.name}' for metric in catalog.load('ec2').metrics if metric.seed}
    assert seeds <= {figure.name for figure in theirs.figures}


def test_verify_finds_a_difference(serve):
    service = serve('ec2', scale=0.3)
    ours = figures(Driver.of(service).run())
    service.estate.machines.pop(0)
    theirs = verify.recompute('ec2', service.instance(), service.clock.now())
    wrong = {comparison.name for comparison in verify.compare(ours, theirs.figures) if not comparison.agrees}
    assert {'metta.ec2.instances.running', 'metta.ec2.instances.spot', 'metta.ec2.cost.monthly_estimate'} <= wrong

"""The plain walk over the interface gives the same figures."""

from __future__ import annotations

import pytest

from metta_checks import verify
from metta_checks.core import catalog
from metta_checks.testing import Driver, as_truth, compare
from metta_checks.verify.skypilot import LEFT_OUT, ServerError
from sandbox.every_option import EVERY_OPTION
from tests.seed_names import SKYPILOT

from .build import OF_MEMORY

pytestmark = pytest.mark.integration


def compared(service, **overrides):
    run = Driver.of(service, **overrides).run()
    own = [
        verify.Figure(name, value, tags)
        for (name, tags), value in run.values.items()
        if name.startswith('metta.skypilot')
    ]
    theirs = verify.recompute('skypilot', {**service.instance(), **overrides}, service.clock.now())
    return list(verify.compare(own, theirs.figures)), theirs


@pytest.mark.parametrize(
    'options',
    [
        {'scale': 1},
        {'scale': 2.5, 'consolidation': False},
        {'scale': 0.3, 'auth': 'basic'},
        {'scale': 0.3, 'api_version': 24, 'auth': 'none'},
    ],
)
def test_both_agree_on_everything(serve, options):
    service = serve('skypilot', **options)
    service.pass_time(7 * 3600)
    compared_figures, theirs = compared(service, prices={'l40s': {'spot': 1.5}})
    assert [one for one in compared_figures if not one.agrees] == []
    names = {one.name for one in compared_figures}
    assert set(SKYPILOT) <= names
    core = {f'metta.skypilot.{m.name}' for m in catalog.load('skypilot').metrics if not m.option and m.type == 'gauge'}
    assert core - names - OF_MEMORY <= {
        'metta.skypilot.jobs.starting_seconds.max',
        # A remote controller's clusters are not in the report.
        *([] if options.get('consolidation', True) else ['metta.skypilot.cost.failed_jobs_usd_24h']),
    }
    jobs = len(service.jobs)
    assert theirs.requests == 2 * (3 + -(-jobs // 100))


@pytest.mark.parametrize('consolidation', [True, False])
def test_both_agree_on_rare_situations_and_options(serve, consolidation):
    service = serve('skypilot', scale=0.3, rare=True, activity=False, consolidation=consolidation)
    service.unreachable_clusters = {'dev-v100'}
    options = {**EVERY_OPTION['skypilot'], 'max_jobs': 200}
    compared_figures, theirs = compared(service, **options)
    assert [one for one in compared_figures if not one.agrees] == []
    everything = {f'metta.skypilot.{m.name}' for m in catalog.load('skypilot').metrics if m.type == 'gauge'}
    left_out = {f'metta.skypilot.{name}' for name in LEFT_OUT}
    names = {one.name for one in compared_figures}
    assert everything - names == left_out | (
        {'metta.skypilot.cost.failed_jobs_usd_24h'} if not consolidation else set()
    )
    # The same from the sandbox's data, without its interface.
    now = service.clock.now()
    truth = as_truth(service.truth(now, {**service.instance(), **options}))
    assert compare(as_truth(theirs.figures), truth, relative=1e-6).lines == []


def test_a_difference_is_found(serve):
    service = serve('skypilot', scale=0.3, activity=False)
    service.life.end(next(job for job in service.jobs.values() if job.status == 'RUNNING'), 'FAILED')
    theirs = verify.recompute('skypilot', service.instance(), service.clock.now())
    ours = [verify.Figure('metta.skypilot.jobs.running', 46.0)]
    (one,) = [one for one in verify.compare(ours, theirs.figures) if one.name == 'metta.skypilot.jobs.running']
    assert (one.ours, one.theirs, one.agrees) == (46, 45, False)


def test_an_idle_controller(serve):
    # A server that controls jobs itself always answers with the queue.
    service = serve('skypilot', scale=0.3, activity=False, consolidation=False)
    service.controller = 'idle'
    compared_figures, _ = compared(service)
    # Clusters and cost, and that the controller is not up.
    assert [one for one in compared_figures if not one.agrees] == []
    assert ('metta.skypilot.controller.up', 0) in {(one.name, one.ours) for one in compared_figures}


def test_a_failure_of_the_server_is_told(serve):
    service = serve('skypilot', scale=0.3, activity=False)
    service.controller = 'unreachable'
    with pytest.raises(ServerError, match='Failed to connect to jobs controller'):
        verify.recompute('skypilot', service.instance(), service.clock.now())

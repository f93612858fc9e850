"""The plain walk over the interface gives the same figures."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from metta_checks import verify
from metta_checks.cli.configuration import Configured
from metta_checks.cli.verifying import Pause
from metta_checks.cli.verifying import compare as compare_twice
from metta_checks.core import catalog
from metta_checks.testing import Driver, as_truth, compare
from metta_checks.verify.skypilot import LEFT_OUT, ServerError
from metta_checks.verify.skypilot.reading import Server
from sandbox.every_option import EVERY_OPTION, every_option
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
    everything = {f'metta.skypilot.{m.name}' for m in catalog.load('skypilot').metrics}
    left_out = {f'metta.skypilot.{name}' for name in LEFT_OUT}
    names = {one.name for one in compared_figures}
    assert everything - names == left_out | (
        {'metta.skypilot.cost.failed_jobs_usd_24h'} if not consolidation else set()
    )
    # The same from the sandbox's data, without its interface.
    now = service.clock.now()
    truth = as_truth(service.truth(now, {**service.instance(), **options}))
    assert compare(as_truth(theirs.figures), truth, relative=1e-6).lines == []


OF_CHANGES = {'finished', 'recoveries', 'pending_seconds', 'recovering_seconds', 'queue_wait_seconds'}
HOUR, DAY = 3600, 86_400


def lose_machines(service, minutes):
    """Let some running jobs lose their machines after a minute, and get others after some minutes."""
    on_spot = [job for job in service.jobs.values() if job.status == 'RUNNING' and job.current.market == 'spot']
    for job in on_spot[:3]:
        now = service.clock.now()
        service.life.at(now + timedelta(minutes=1), partial(service.life.lose, job))
        service.life.at(now + timedelta(minutes=minutes), partial(service.life.recover, job))


@pytest.mark.parametrize('interval', [300, 2 * HOUR, DAY])
def test_both_agree_on_changes_between_two_readings(serve, interval):
    service = serve('skypilot', scale=0.5, rare=True)
    lose_machines(service, minutes=20)
    options = {**EVERY_OPTION['skypilot'], 'max_jobs': 200}
    configured = Configured(Path('skypilot.yaml'), {}, {**service.instance(), **options})
    comparison = compare_twice(configured, Pause(interval, service.pass_time, service.clock))
    assert comparison is not None
    assert comparison.different == []
    covered = comparison.coverage
    # The response time of the server, and preemptions unless a day lies between the readings.
    assert len(covered.left_out) == (1 if interval == DAY else 2)
    assert 'metta.skypilot.job.hourly_usd' in set(covered.compared) - set(covered.without_series)
    if interval > 300:
        assert not {name for name in covered.without_series if '.jobs.' in name}
        names = {pair.name.removeprefix('metta.skypilot.jobs.').partition('.')[0] for pair in comparison.pairs}
        assert names >= OF_CHANGES


def test_waits_agree_up_to_the_time_between_the_looks(serve):
    """By the real clock, each look is some milliseconds after the one of the check."""
    service = serve('skypilot', scale=0.3, rare=True)
    configured = Configured(Path('skypilot.yaml'), {}, {**service.instance(), **every_option(service)})
    comparison = compare_twice(configured, Pause(1, lambda _: None))
    assert comparison is not None
    assert comparison.different == []
    assert comparison.seconds > 0
    waits = [pair for pair in comparison.pairs if pair.name == 'metta.skypilot.jobs.pending_seconds.max']
    assert [pair.tolerance for pair in waits] == [comparison.seconds]
    assert comparison.coverage.percent > 97


def test_idle_gpus_are_left_out_while_the_queue_is_not_complete(serve, monkeypatch):
    service = serve('skypilot', scale=0.3, rare=True, activity=False)
    answered = Server.call

    def lose_a_job(server, path, body):
        answer = answered(server, path, body)
        if path == 'jobs/queue/v2' and body['page'] == 1:
            first = answer['jobs'][0]['job_id']
            answer['jobs'] = [row for row in answer['jobs'] if row['job_id'] != first]
        return answer

    name = 'metta.skypilot.pools.idle_gpus'
    options = {**service.instance(), 'pools': True}
    whole = verify.recompute('skypilot', options, service.clock.now())
    assert [one.value for one in whole.figures if one.name == name] != []
    monkeypatch.setattr(Server, 'call', lose_a_job)
    cut = verify.recompute('skypilot', options, service.clock.now())
    assert name not in {one.name for one in cut.figures} | cut.without_series


def test_a_source_without_changes_is_read_as_ever(serve):
    service = serve('asana', scale=0.06)
    configured = Configured(Path('asana.yaml'), {}, service.instance())
    comparison = compare_twice(configured, Pause(300, lambda seconds: pytest.fail(f'waited {seconds} s')))
    assert comparison is not None
    assert comparison.pairs


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

"""`verify` waits until the check has read the figures that it reads over several refreshes."""

from __future__ import annotations

from pathlib import Path

import pytest

from metta_checks.cli import verifying
from metta_checks.cli.collecting import Runner
from metta_checks.cli.configuration import Configured
from metta_checks.github import jobs

pytestmark = pytest.mark.integration


@pytest.fixture
def configured(serve, monkeypatch):
    """A repository whose jobs of a day take several refreshes."""
    monkeypatch.setattr(jobs, 'ATTEMPTS_PER_REFRESH', 3)
    instance = {**serve('github', scale=0.05).instance(), 'repositories': ['metta-ai/infra'], 'jobs': True}
    return Configured(Path('github.yaml'), {}, instance)


def of_jobs(names):
    return {name for name in names if name.startswith('metta.github.jobs.')}


def test_refreshes_until_all_is_read(configured):
    comparison = verifying.compare(configured)
    assert comparison is not None
    assert comparison.different == []
    assert 'metta.github.jobs.minutes_24h' in comparison.coverage.compared
    assert of_jobs(comparison.coverage.left_out) == set()


@pytest.mark.parametrize('limit', ['MAX_REFRESHES', 'MAX_SECONDS'])
def test_at_its_limit_it_leaves_out_what_is_not_read(configured, monkeypatch, limit):
    monkeypatch.setattr(verifying, limit, {'MAX_REFRESHES': 2, 'MAX_SECONDS': 0}[limit])
    comparison = verifying.compare(configured)
    assert comparison is not None
    assert comparison.different == []
    assert of_jobs(comparison.coverage.compared) == set()
    [reason] = {comparison.coverage.left_out[name] for name in of_jobs(comparison.coverage.left_out)}
    times = {'MAX_REFRESHES': '2 refreshes', 'MAX_SECONDS': 'the first refresh'}[limit]
    assert reason == f'the check has not read all of it after {times}'
    assert of_jobs(pair.name for pair in comparison.pairs) == set()


def test_it_does_not_refresh_for_a_block_that_keeps_failing(serve, monkeypatch):
    monkeypatch.setattr(jobs, 'ATTEMPTS_PER_REFRESH', 3)
    service = serve('github', scale=0.05)
    instance = {**service.instance(), 'repositories': ['metta-ai/infra'], 'jobs': True}
    run = Runner.run
    runs = []

    def run_and_break(runner, **how):
        runs.append(run(runner, **how))
        service.faults.add('status', status=403, path='*/jobs')
        return runs[-1]

    monkeypatch.setattr(Runner, 'run', run_and_break)
    comparison = verifying.compare(Configured(Path('github.yaml'), {}, instance))
    assert comparison is None or of_jobs(comparison.coverage.compared) == set()
    assert 1 < len(runs) <= 4

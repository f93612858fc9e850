"""W&B's own SDK reads the sandbox, and `verify` recomputes the check's figures with it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from metta_checks import verify
from metta_checks.testing import Driver
from metta_checks.verify import Figure
from metta_checks.wandb.filters import changed
from sandbox.wandb.data import ENTITY, EVALS, MAIN

from .test_check import SEED

pytestmark = pytest.mark.integration
sdk = pytest.importorskip('wandb', reason='needs the extra `verify`')


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Return a directory for the files that the SDK writes: runs, logs, settings."""
    for name in ('HOME', 'WANDB_DIR', 'WANDB_CACHE_DIR', 'WANDB_CONFIG_DIR', 'WANDB_DATA_DIR'):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv('WANDB_SILENT', 'true')
    monkeypatch.setenv('WANDB_ERROR_REPORTING', 'false')
    yield tmp_path
    sdk.teardown()


def test_the_sdk_reads_the_sandbox(serve, home):
    wandb = serve('wandb', scale=0.2, activity=False)
    path = f'{ENTITY}/{MAIN}'
    runs = wandb.projects[MAIN].runs
    api = sdk.Api(overrides={'base_url': wandb.url, 'entity': ENTITY}, api_key=wandb.instance()['api_key'])
    assert len(api.runs(path)) == len(runs) == 520
    assert len(api.runs(path, {'state': 'running'})) == 44
    since = wandb.clock.now() - timedelta(days=7)
    expected = [run for run in runs.values() if run.state in ('running', 'pending', 'preempting')]
    expected += [run for run in runs.values() if run not in expected and run.heartbeat and run.heartbeat >= since]
    assert len(api.runs(path, dict(changed(since)))) == len(expected)
    regular = {'$and': [{'display_name': {'$regex': '^ptm-'}}, {'state': {'$in': ['failed', 'crashed']}}]}
    found = {run.name for run in api.runs(path, regular)}
    assert found == {
        run.display_name
        for run in runs.values()
        if run.display_name.startswith('ptm-') and run.state in ('failed', 'crashed')
    }
    # Three pages, whole runs.
    latest = list(api.runs(path, order='-heartbeat_at', per_page=200, lazy=False))
    with_heartbeat = [run.id for run in latest if runs[run.id].heartbeat]
    assert len({run.id for run in latest}) == 520
    assert with_heartbeat == sorted(with_heartbeat, key=lambda run_id: (runs[run_id].heartbeat, run_id), reverse=True)
    for run in latest[:50]:
        assert dict(run.system_metrics) == runs[run.id].system
        assert run.config == runs[run.id].config
    # A lazy run asks for its summary by itself.
    lazy = next(iter(api.runs(path, {'state': 'crashed'})))
    before = len(wandb.log)
    assert dict(lazy.summary) == runs[lazy.id].summary
    assert len(wandb.log) == before + 1
    single = api.run(f'{path}/{latest[0].id}')
    assert single.state == runs[single.id].state
    assert [project.name for project in api.projects(ENTITY)] == [MAIN, EVALS]
    assert api.viewer.username == 'datadog-agent'


def test_the_sdk_gives_the_same_figures(serve, home):
    wandb = serve('wandb', scale=0.3, activity=False)
    wandb.end_run(wandb.run(state='running'), accuracy=0.98)
    wandb.pass_time(3600)
    run = Driver.of(wandb).run()
    before = len(wandb.log)
    theirs = verify.recompute('wandb', {**wandb.instance(), 'projects': []}, wandb.clock.now())
    asked = [entry for entry in wandb.log[before:] if entry.path == '/graphql']
    assert theirs.requests == len(asked)
    assert run.requests is not None
    assert len(asked) > 2 * run.requests
    ours = [Figure(name, value, tags) for (name, tags), value in run.values.items()]
    compared = list(verify.compare(ours, theirs.figures))
    assert [comparison for comparison in compared if not comparison.agrees] == []
    assert {comparison.name for comparison in compared} >= set(SEED)
    assert {comparison.name for comparison in compared} >= run.names - {'metta.wandb.gpus.in_use'}
    assert list(home.iterdir()) == []


def test_verify_notices_a_wrong_figure(serve, home):
    wandb = serve('wandb', scale=0.1, activity=False)
    theirs = verify.recompute('wandb', {**wandb.instance(), 'projects': [EVALS]}, wandb.clock.now())
    run = Driver.of(wandb, projects=[EVALS]).run()
    ours = [
        Figure(name, value + (name == 'metta.wandb.runs.total'), tags)
        for (name, tags), value in run.values.items()
        if name != 'metta.wandb.runs.active'
    ]
    wrong = [comparison.name for comparison in verify.compare(ours, theirs.figures) if not comparison.agrees]
    assert wrong == ['metta.wandb.runs.active', 'metta.wandb.runs.total']


def test_verify_on_an_old_server_and_with_configured_gpus(serve, home):
    for options, overrides in (({'old_schema': True}, {}), ({}, {'gpu_count_config_key': 'num_gpus'})):
        wandb = serve('wandb', scale=0.1, activity=False, **options)
        run = Driver.of(wandb, projects=[MAIN], **overrides).run()
        instance = {**wandb.instance(), 'projects': [MAIN], **overrides}
        theirs = verify.recompute('wandb', instance, wandb.clock.now())
        ours = [Figure(name, value, tags) for (name, tags), value in run.values.items()]
        assert [one for one in verify.compare(ours, theirs.figures) if not one.agrees] == []

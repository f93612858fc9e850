"""`verify wandb` against the truth and the check: rare situations, every option, random projects, other servers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import requests

from metta_checks import verify
from metta_checks.cli import verifying
from metta_checks.cli.configuration import Configured
from metta_checks.core import catalog
from metta_checks.testing import Driver, as_truth
from metta_checks.verify.coverage import coverage
from metta_checks.verify.wandb.machines import gpu_type
from metta_checks.verify.wandb.reading import RUNS, Lists, UnknownFields, value_at
from sandbox.every_option import EVERY_OPTION
from sandbox.wandb.data import Project
from sandbox.wandb.options import EVALS, FLEET, MAIN, UNCLEAR

from .worlds import World

pytest.importorskip('wandb', reason='needs the extra `verify`')

RANDOM_PROJECTS = 40
# Figures of earlier refreshes, which the truth does not know.
WATCHED = ('gpus.utilization_24h_pct', 'gpus.utilization_24h_coverage_pct')
# Not even two readings show these.
NEVER_COMPARED = ('training.run_duration_hours',)


def by_series(figures):
    return {key: pytest.approx(value, rel=1e-6, abs=1e-6) for key, value in as_truth(figures).items()}


def recompute(service, **options):
    return verify.recompute('wandb', {**service.instance(), **options}, service.clock.now())


def of_check(service, truth, **options):
    """Return the gauges of the check. A GPU type that is not in use now is 0 there."""
    run = Driver.of(service, **options).run()
    return {
        key: value
        for key, value in run.values.items()
        if key[0].startswith('metta.wandb.')
        and not key[0].endswith(WATCHED)
        and (value or key in truth or not key[0].endswith('gpus.in_use'))
    }


SERVERS = [
    {},
    {'clock_skew': 960.0},
    {'clock_skew': -7200.0},
    {'missing_fields': ['Run.host', 'Run.config.keys']},
    {'missing_fields': ['Run.computeSeconds']},
    {'old_schema': True},
]


@pytest.mark.integration
@pytest.mark.parametrize('server', SERVERS, ids=json.dumps)
def test_rare_situations_agree_on_all_servers(serve, server):
    service = serve('wandb', scale=0.05, activity=False, rare=True, **server)
    truth = by_series(service.truth(service.clock.now()))
    recomputed = recompute(service)
    assert as_truth(recomputed.figures) == truth
    assert recomputed.requests == sum(entry.path == '/graphql' for entry in service.log)
    assert of_check(service, truth) == truth


@pytest.mark.integration
@pytest.mark.parametrize('options', [{}, EVERY_OPTION['wandb']], ids=['default', 'every option'])
def test_random_projects_agree(serve, options):
    service = serve('wandb', scale=0.01, activity=False)
    service.projects.clear()
    for seed in range(RANDOM_PROJECTS):
        project = World(seed, service.server_time(), service.organization.people).project
        service.projects[project.name] = project
    truth = by_series(service.truth(service.clock.now(), {**service.instance(), **options}))
    assert as_truth(recompute(service, **options).figures) == truth
    assert of_check(service, truth, **options) == truth


@pytest.mark.integration
def test_every_metric_is_compared_or_has_a_reason(serve):
    service = serve('wandb', scale=0.1, activity=False, rare=True)
    options = EVERY_OPTION['wandb']
    recomputed = recompute(service, **options)
    assert as_truth(recomputed.figures) == by_series(
        service.truth(service.clock.now(), {**service.instance(), **options})
    )
    names = {figure.name for figure in recomputed.figures}
    covered = coverage(catalog.load('wandb'), names, recomputed, verify.left_out('wandb'))
    assert set(covered.left_out) == {f'metta.wandb.{name}' for name in verify.left_out('wandb')}


@pytest.mark.integration
@pytest.mark.parametrize('name', ['empty', UNCLEAR])
def test_every_metric_without_a_value_is_said_to_have_none(serve, name):
    service = serve('wandb', scale=0.1, activity=False, rare=True)
    service.projects['empty'] = Project('empty')
    options = {**EVERY_OPTION['wandb'], 'summary_metrics': {'reward': 'reward'}, 'prices': {'l4': 0.8}}
    recomputed = recompute(service, **options, projects=[name])
    covered = coverage(catalog.load('wandb'), (), recomputed, verify.left_out('wandb'))
    assert set(covered.left_out) == {f'metta.wandb.{name}' for name in verify.left_out('wandb')}
    assert 'metta.wandb.gpus.cost_usd_7d' in covered.without_series
    assert 'metta.wandb.summary.*.last' in covered.without_series


@pytest.mark.integration
def test_both_agree_on_changes_between_two_readings(serve):
    service = serve('wandb', scale=0.1, rare=True)
    configured = Configured(Path('wandb.yaml'), {}, {**service.instance(), **EVERY_OPTION['wandb']})

    def wait(seconds):
        service.pass_time(seconds - 60)
        # A run of this week: how much of the week an older one worked is known to those alone who saw the pause.
        crashed = max(
            (run for run in service.projects['metta'].runs.values() if run.state == 'crashed'),
            key=lambda run: run.created,
        )
        service.resume_run(crashed)
        service.send_run('metta', 'sent', 30, 2)
        service.pass_time(60)
        service.end_run(crashed, 'killed')

    comparison = verifying.compare(configured, verifying.Pause(2 * 3600, wait, service.clock))
    assert comparison is not None
    assert comparison.different == []
    assert set(comparison.coverage.left_out) == {f'metta.wandb.{name}' for name in NEVER_COMPARED}
    assert comparison.coverage.percent > 95
    ended = [pair for pair in comparison.pairs if pair.name == 'metta.wandb.runs.finished']
    assert {'state:finished', 'state:killed'} <= {tag for pair in ended for tag in pair.tags}


@pytest.mark.integration
def test_hours_and_ages_grow_between_two_looks(serve):
    service = serve('wandb', scale=0.05, activity=False, projects=[EVALS])
    found = {figure.name.removeprefix('metta.wandb.'): figure for figure in recompute(service).figures}
    # Two evaluations run, each on one GPU.
    assert found['training.total_gpu_hours_7d'].per_second == pytest.approx(2 / 3600)
    assert found['training.cost_estimate_usd'].per_second == pytest.approx(2 * 0.8 / 3600)
    assert found['training.elapsed_hours.max'].per_second == pytest.approx(1 / 3600)
    assert found['training.wasted_gpu_hours_7d'].per_second == 0


@pytest.mark.integration
def test_figures_of_a_day_are_absent_in_the_first_refresh_only(serve):
    service = serve('wandb', activity=False, projects=[EVALS, MAIN])
    of_day = {f'metta.wandb.gpus.utilization_24h_{name}' for name in ('pct', 'coverage_pct')}
    assert of_day <= recompute(service).without_series
    # The first reading of the larger project takes several refreshes.
    assert not of_day & recompute(service, max_rows_per_refresh=100, projects=[MAIN]).without_series


@pytest.mark.integration
def test_the_projects_of_rare_situations_differ_in_what_is_known(serve):
    service = serve('wandb', scale=0.05, activity=False, rare=True)
    found = as_truth(service.truth(service.clock.now()))
    hours = 'metta.wandb.training.total_gpu_hours_7d'
    assert (hours, ('entity:metta-ai', f'project:{FLEET}')) in found
    assert (hours, ('entity:metta-ai', f'project:{UNCLEAR}')) not in found


@pytest.mark.integration
def test_a_run_whose_user_was_deleted(serve):
    service = serve('wandb', scale=0.05, activity=False, projects=[EVALS])
    service.run(EVALS, state='running').user = None
    options = {**service.instance(), 'by_user': True}
    truth = by_series(service.truth(service.clock.now(), options))
    assert as_truth(recompute(service, by_user=True).figures) == truth
    assert ('metta.wandb.gpus.hours_by_user_7d', ('entity:metta-ai', f'project:{EVALS}', 'user:other')) in truth


@pytest.mark.integration
def test_refusals_name_the_fields(serve):
    service = serve('wandb', scale=0.05, activity=False, missing_fields=['Run.host', 'Run.config.keys'])
    lists = Lists(service.instance(), 'metta')
    with pytest.raises(UnknownFields) as refused:
        list(lists.rows(RUNS, ['name', 'host', 'config(keys: ["a"])', 'state']))
    assert refused.value.names == {'host', 'config'}
    with pytest.raises(requests.HTTPError):
        list(lists.rows(RUNS, ['nonsense {']))


@pytest.mark.unit
@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('NVIDIA L4', 'l4'),
        ('Tesla T4', 't4'),
        ('NVIDIA H100 80GB HBM3', 'h100'),
        ('NVIDIA A100-SXM4-80GB', 'a100-80gb'),
        ('NVIDIA A100-PCIE-40GB', 'a100'),
        ('[NVIDIA L4]', 'l4'),
        ('[NVIDIA A100-SXM4-80GB, NVIDIA A100-SXM4-80GB]', 'a100-80gb'),
        ('[NVIDIA L4, Tesla T4]', 'mixed'),
        ('NVIDIA A100-SXM4-80GB MIG 1g.10gb', 'nvidia-mig-1g.10gb'),
        ('NVIDIA RTX 6000 Ada Generation', 'rtx-6000-ada'),
        ('Quadro RTX 6000', 'quadro-rtx-6000'),
        ('NVIDIA RTX A6000', 'rtx-a6000'),
        ('NVIDIA GeForce RTX 3090', 'rtx-3090'),
        ('NVIDIA GeForce RTX 3090 Ti', 'rtx-3090-ti'),
        ('Tesla V100-SXM2-16GB', 'v100'),
        ('Tesla V100-SXM2-32GB', 'v100-32gb'),
        ('AMD Instinct MI300X', 'mi300x'),
        ('', 'unknown'),
        (None, 'unknown'),
    ],
)
def test_gpus_have_one_name(name, expected):
    assert gpu_type(name) == expected


@pytest.mark.unit
@pytest.mark.parametrize(
    ('values', 'expected'),
    [
        ({'a.b.c': 1, 'a': {'b': {'c': 2}}}, 1),
        ({'a': {'b': {'c': 2}}}, 2),
        ({'a.b': {'c': 3}}, 3),
        ({'a.b': {'d': 3}, 'a': {'b.c': 4}}, 4),
        ({'a': 5}, None),
        ({}, None),
    ],
)
def test_keys_with_dots_are_texts_or_paths(values, expected):
    assert value_at(values, 'a.b.c') == expected

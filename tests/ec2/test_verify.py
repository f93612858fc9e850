from __future__ import annotations

import pytest

from metta_checks import verify
from metta_checks.core import catalog
from metta_checks.testing import Driver, as_truth
from metta_checks.testing import compare as compare_truth
from sandbox.ec2.service import EXTERNAL_ID, ROLE
from sandbox.every_option import EVERY_OPTION


def figures(run):
    return [
        verify.Figure(name, value, tags) for (name, tags), value in run.values.items() if name.startswith('metta.ec2.')
    ]


def compared(service, **options):
    """Return the pairs of the check and of the SDK, and the answer of the SDK."""
    run = Driver.of(service, **options).run()
    assert run.error == ''
    before = len(service.log)
    theirs = verify.recompute('ec2', {**service.instance(), **options}, service.clock.now())
    assert theirs.requests == len(service.log) - before
    return list(verify.compare(figures(run), theirs.figures)), theirs


OFF = {'source': 'off'}


@pytest.mark.parametrize(
    'options',
    [
        {},
        {'role_arn': ROLE, 'external_id': EXTERNAL_ID, 'idle': OFF},
        {'regions': ['us-west-2'], 'max_types': 2, 'idle': {'source': 'compute_optimizer'}},
        {
            'idle': {'cpu_max_pct': 99, 'network_max_mb_per_day': 1e6, 'min_age_hours': 200, 'max_instances': 7},
            'prices': {'source': 'table', 'table': {'m5.large': 0.2, 'p5.48xlarge': 40.0}},
        },
        {'prices': {'source': 'table', 'table': {'m5.large': 0.2}, 'spot': False}, 'idle': OFF},
        {'prices': {'source': 'api', 'spot': False}, 'read_images': False, 'price_snapshots': True, 'idle': OFF},
        {'read_snapshots': False, 'price_snapshots': True, 'idle': OFF},
    ],
    ids=lambda options: '-'.join(options) or 'defaults',
)
def test_the_sdk_agrees(serve, options):
    pairs, theirs = compared(serve('ec2', scale=0.05), **options)
    assert [pair for pair in pairs if not pair.agrees] == []
    ours = [verify.Figure(pair.name, pair.ours) for pair in pairs if pair.ours is not None]
    announced = verify.expected_requests('ec2', {'regions': ['us-east-1', 'us-west-2'], **options}, ours)
    assert announced is not None
    assert announced / 1.5 <= theirs.requests <= announced * 1.5
    seeds = {f'metta.ec2.{metric.name}' for metric in catalog.load('ec2').metrics if metric.seed}
    if not options:
        assert seeds <= {figure.name for figure in theirs.figures}


def test_prices_of_a_file(serve, tmp_path):
    file = tmp_path / 'vms.csv'
    file.write_text(
        'InstanceType,Price,SpotPrice,Region,AvailabilityZone\n'
        'm5.large,0.11,0.04,us-east-1,us-east-1a\n'
        'g6.12xlarge,4.7,1.9,us-east-1,us-east-1a\n'
        'g6.12xlarge,4.7,,us-east-1,us-east-1b\n',
        encoding='utf-8',
    )
    for spot in (True, False):
        pairs, _ = compared(
            serve('ec2', scale=0.05), prices={'source': 'file', 'file': str(file), 'spot': spot}, idle=OFF
        )
        assert [pair for pair in pairs if not pair.agrees] == []


@pytest.mark.parametrize('situations', [['all'], []], ids=['rare', 'usual'])
def test_every_option_agrees_with_the_check_and_the_truth(serve, situations):
    service = serve('ec2', scale=0.05, situations=situations)
    options = EVERY_OPTION['ec2'] | {'tag_by': ['team', 'Équipe']}
    pairs, theirs = compared(service, **options)
    assert [pair for pair in pairs if not pair.agrees] == []
    truth = as_truth(service.truth(service.clock.now(), options))
    assert compare_truth(as_truth(theirs.figures), truth, relative=1e-6).lines == []
    if situations:
        left_out = {f'metta.ec2.{name}' for name in verify.left_out('ec2')}
        names = {f'metta.ec2.{metric.name}'.replace('*', 'team') for metric in catalog.load('ec2').metrics}
        assert names - {figure.name for figure in theirs.figures} == left_out


def test_regions_that_a_policy_denies(serve):
    service = serve('ec2', scale=0.05, denied_regions=['eu-west-1', 'us-west-2'])
    pairs, theirs = compared(service, regions=None, idle=OFF)
    assert [pair for pair in pairs if not pair.agrees] == []
    regions = {tag for figure in theirs.figures for tag in figure.tags if tag.startswith('region:')}
    assert 'region:us-east-1' in regions
    assert not regions & {'region:eu-west-1', 'region:us-west-2'}


def test_verify_finds_a_difference(serve):
    service = serve('ec2', scale=0.05)
    ours = figures(Driver.of(service, idle=OFF).run())
    service.estate.machines.pop(0)
    theirs = verify.recompute('ec2', {**service.instance(), 'idle': OFF}, service.clock.now())
    wrong = {comparison.name for comparison in verify.compare(ours, theirs.figures) if not comparison.agrees}
    assert {'metta.ec2.instances.running', 'metta.ec2.instances.spot', 'metta.ec2.cost.monthly_estimate'} <= wrong


def test_an_empty_account(serve):
    service = serve('ec2', scale=0.05)
    for resources in (service.estate.machines, service.estate.disks, service.estate.copies, service.estate.capacities):
        resources.clear()
    pairs, theirs = compared(service, **EVERY_OPTION['ec2'])
    assert [pair for pair in pairs if not pair.agrees] == []
    found = {figure.name for figure in theirs.figures} | theirs.without_series
    names = {f'metta.ec2.{metric.name}'.replace('*', 'team') for metric in catalog.load('ec2').metrics}
    assert names - found == {f'metta.ec2.{name}' for name in verify.left_out('ec2')}

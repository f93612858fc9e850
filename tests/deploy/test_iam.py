"""The IAM policies against the requests that the EC2 source really makes, and against an AWS that enforces them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import boto3
import parliament
import pytest

from metta_checks.cli import configuration
from metta_checks.ec2.client import Client
from metta_checks.ec2.cost_explorer import CostExplorer
from metta_checks.testing import Clock, Driver
from sandbox.ec2.service import EXTERNAL_ID, ROLE
from tests.ec2.test_moto import client, launch, url  # noqa: F401

from .documents import ENVIRONMENTS, documents, policy, script, sources, values

# AWS answers it to anyone, even when a policy denies it.
NEEDS_NOTHING = {'sts:GetCallerIdentity'}
PLAIN: dict[str, Any] = {
    'prices': {'source': 'table', 'table': {'m5.large': 0.1}, 'spot': False},
    'idle': {'source': 'off'},
    'read_images': False,
}
LIST_PRICES: dict[str, Any] = {**PLAIN, 'prices': {'source': 'api', 'spot': False}}
OPTIONS: dict[str, dict[str, Any]] = {
    'inventory alone': PLAIN,
    'all regions': {**PLAIN, 'regions': None},
    'list prices': LIST_PRICES,
    'prices of snapshots': {**LIST_PRICES, 'price_snapshots': True},
    'spot prices': {**PLAIN, 'prices': {**PLAIN['prices'], 'spot': True}},
    'idle': {**PLAIN, 'idle': {'source': 'cloudwatch'}},
    'idle by Compute Optimizer': {**PLAIN, 'idle': {'source': 'compute_optimizer'}},
    'spend': {**PLAIN, 'cost_explorer': True},
    'commitments': {**PLAIN, 'commitments': True},
    'images': {**PLAIN, 'read_images': True},
    'capacity': {**PLAIN, 'capacity_reservations': True},
    'spot interruptions': {**PLAIN, 'spot_interruptions': True},
    'as shipped': {},
    'everything': {
        'regions': None,
        'cost_explorer': True,
        'commitments': True,
        'capacity_reservations': True,
        'spot_interruptions': True,
        'price_snapshots': True,
        'tag_by': ['team'],
    },
}


def join():
    return script('iam/join.py')


def allowed(names) -> set[str]:
    """The actions of policies."""
    return {action for name in names for statement in join().statements(name) for action in statement['Action']}


def differences(needed: set[str], granted: set[str]) -> dict[str, set[str]]:
    """Return the missing and the superfluous permissions of a policy."""
    found = {'missing': needed - granted, 'superfluous': granted - needed}
    return {kind: actions for kind, actions in found.items() if actions}


def recorded(service, **options) -> set[str]:
    """The actions of a cold refresh and of `doctor`, as the service saw them."""
    service.asked.clear()
    driver = Driver.of(service, **options)
    run = driver.run()
    assert (run.error, run.warnings) == ('', [])
    findings = driver.findings()
    assert findings
    assert [finding for finding in findings if finding.status == 'fail'] == []
    return {entry.split()[0] for entry in service.asked} - NEEDS_NOTHING


@pytest.mark.parametrize('options', OPTIONS.values(), ids=OPTIONS.keys())
def test_policies_are_exactly_what_is_asked(serve, options):
    service = serve('ec2')
    instance = {key: value for key, value in {**service.instance(), **options}.items() if value is not None}
    assert differences(recorded(service, **options), allowed(join().needed(instance))) == {}


def test_every_ec2_policy_is_needed_by_some_option(serve):
    instance = serve('ec2').instance()
    used = {name for options in OPTIONS.values() for name in join().of_account({**instance, **options})}
    assert used | {'ec2-assume-role'} == {name for name in join().names() if name.startswith('ec2-')}


def test_each_action_that_is_taken_away_or_added_is_noticed(serve):
    service = serve('ec2')
    options = OPTIONS['everything']
    instance = {key: value for key, value in {**service.instance(), **options}.items() if value is not None}
    needed, granted = recorded(service, **options), allowed(join().needed(instance))
    for action in granted:
        assert differences(needed, granted - {action}) == {'missing': {action}}
    for action in ('ec2:DescribeVpcs', 'ec2:TerminateInstances', 'cloudwatch:ListMetrics'):
        assert differences(needed, granted | {action}) == {'superfluous': {action}}


def test_a_role_of_another_account(serve):
    service = serve('ec2')
    other = {**PLAIN, 'role_arn': ROLE, 'external_id': EXTERNAL_ID}
    asked = recorded(service, **other)
    ours = allowed(join().needed({**service.instance(), **other}))
    theirs = allowed(join().of_account({**service.instance(), **other}))
    assert differences(asked, ours | theirs) == {}
    assert ours == {'sts:AssumeRole'}
    assert policy('ec2-assume-role')['Statement'][0]['Resource'] == ROLE
    [trust] = policy('trust-policy-other-account')['Statement']
    assert trust['Action'] == 'sts:AssumeRole'
    assert trust['Condition'] == {'StringEquals': {'sts:ExternalId': EXTERNAL_ID}}
    role = values('production')['clusterChecksRunner']['rbac']['serviceAccountAnnotations']
    assert trust['Principal'] == {'AWS': role['eks.amazonaws.com/role-arn']}


# An AWS that enforces.


def authorization(address: str, free_actions: float) -> None:
    """Let moto check signatures and policies after this number of further actions."""
    connection = HTTPConnection(urlsplit(address).netloc, timeout=60)
    try:
        connection.request('POST', '/moto-api/reset-auth', str(free_actions))
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
    finally:
        connection.close()


@pytest.fixture
def strict(url) -> Iterator:  # noqa: F811
    """strict(actions) -> the options of a user who may do these and nothing else, in a moto that enforces it."""
    launch(url, 'm5.large', 2)
    iam = client(url, 'iam')

    def enforced(actions: set[str], number: int = 0) -> dict:
        authorization(url, float('inf'))
        name = f'metta-checks-{number}'
        iam.create_user(UserName=name)
        key = iam.create_access_key(UserName=name)['AccessKey']
        allow = {'Effect': 'Allow', 'Action': sorted(actions), 'Resource': '*'}
        iam.put_user_policy(
            UserName=name,
            PolicyName='all',
            PolicyDocument=json.dumps({'Version': '2012-10-17', 'Statement': [allow]}),
        )
        authorization(url, 0)
        return {
            'source': 'ec2',
            'endpoint_url': url,
            'access_key_id': key['AccessKeyId'],
            'secret_access_key': key['SecretAccessKey'],
            'refresh_interval': 0,
        }

    yield enforced
    # It holds for the whole process.
    authorization(url, float('inf'))


# Requests that moto both answers and checks: not the newest protocol of CloudWatch, nor spot prices.
ENFORCED = PLAIN
LATER = datetime.now(UTC) + timedelta(days=2)


def test_the_minimal_policy_is_enough_where_it_is_enforced(strict):
    actions = allowed(join().of_account(ENFORCED)) | NEEDS_NOTHING
    # One region: to moto the user exists in one partition only, while it offers the regions of all.
    run = Driver({**strict(actions), **ENFORCED, 'regions': ['us-east-1']}, Clock(LATER)).run()
    assert (run.error, run.warnings) == ('', [])
    assert run.value('metta.ec2.instances.running') == 2


def test_without_an_action_the_check_names_it(strict):
    actions = allowed(join().of_account(ENFORCED))
    assert len(actions) == 6
    for number, action in enumerate(sorted(actions)):
        regions = {} if action == 'ec2:DescribeRegions' else {'regions': ['us-east-1']}
        user = strict((actions - {action}) | NEEDS_NOTHING, number)
        run = Driver({**user, **ENFORCED, **regions}, Clock(LATER)).run()
        assert f'add {action} to the IAM policy' in ' '.join([run.error, *run.warnings]), action
        assert 'permission' in {reason for _, reason in run.errors()}, action


# Documents.


@pytest.mark.parametrize('name', script('iam/join.py').names())
def test_a_policy_passes_the_linter(name):
    found = parliament.analyze_policy_string(json.dumps(policy(name)))
    assert [(finding.issue, finding.detail) for finding in found.findings] == []
    for statement in policy(name)['Statement']:
        assert statement['Effect'] == 'Allow'
        assert not any('*' in action for action in statement['Action'])
        # Everything that can be narrowed to a resource is.
        describes = ('ec2:Describe', 'pricing:', 'cloudwatch:GetMetricData', 'compute-optimizer:', 'ce:')
        narrowable = [action for action in statement['Action'] if not action.startswith(describes)]
        assert bool(narrowable) is (statement['Resource'] != '*')


def test_the_linter_would_find_a_mistake():
    wrong = policy('ec2-inventory')
    wrong['Statement'][0]['Action'].append('ec2:DescribeEverything')
    assert parliament.analyze_policy_string(json.dumps(wrong)).findings


def test_the_trust_policy_names_the_runners_of_this_deployment():
    [statement] = policy('trust-policy')['Statement']
    provider = statement['Principal']['Federated'].partition(':oidc-provider/')[2]
    assert statement['Action'] == 'sts:AssumeRoleWithWebIdentity'
    assert statement['Effect'] == 'Allow'
    [binding] = [one for one in documents('helm/rbac.yaml') if one['kind'] == 'ClusterRoleBinding']
    [subject] = binding['subjects']
    assert statement['Condition'] == {
        'StringEquals': {
            f'{provider}:sub': f'system:serviceaccount:{subject["namespace"]}:{subject["name"]}',
            f'{provider}:aud': 'sts.amazonaws.com',
        }
    }


def test_pod_identity_trusts_the_same_service_account():
    [statement] = policy('trust-policy-pod-identity')['Statement']
    assert statement['Principal'] == {'Service': 'pods.eks.amazonaws.com'}
    assert statement['Action'] == ['sts:AssumeRole', 'sts:TagSession']
    [irsa] = policy('trust-policy')['Statement']
    [subject] = [value for key, value in irsa['Condition']['StringEquals'].items() if key.endswith(':sub')]
    tags = statement['Condition']['StringEquals']
    namespace, account = (tags[f'aws:RequestTag/kubernetes-{name}'] for name in ('namespace', 'service-account'))
    assert subject == f'system:serviceaccount:{namespace}:{account}'


def test_the_instance_profile_trusts_ec2_alone():
    [statement] = policy('trust-policy-instance')['Statement']
    assert (statement['Principal'], statement['Action']) == ({'Service': 'ec2.amazonaws.com'}, 'sts:AssumeRole')


# Secrets.


def secrets_of(instance) -> set[str]:
    return {found[0] for found in join().SECRET.findall(json.dumps(instance))}


PREFIX = 'arn:aws:secretsmanager:us-east-1:111122223333:secret:'
READ = 'secretsmanager:GetSecretValue'


def readable(policy_document) -> set[str]:
    """The secrets that a policy allows to read."""
    return {
        resource
        for statement in policy_document['Statement']
        if READ in statement['Action']
        for resource in statement['Resource']
    }


@pytest.mark.parametrize('environment', ENVIRONMENTS)
def test_the_secrets_of_the_values_can_be_read_and_no_other(environment):
    found = [one for file in sources(values(environment)).values() for one in file['instances']]
    wanted = [name for one in found for name in join().secrets(one)]
    assert set(wanted) == {name for one in found for name in secrets_of(one)} != set()
    assert readable(join().joined([], wanted)) == {f'{PREFIX}{name}-??????' for name in wanted}


@pytest.mark.parametrize(
    ('secret', 'region', 'resource'),
    [
        ('team/own-name', 'us-east-1', 'arn:aws:secretsmanager:us-east-1:1:secret:team/own-name-??????'),
        ('own', 'cn-north-1', 'arn:aws-cn:secretsmanager:cn-north-1:1:secret:own-??????'),
        ('own', 'us-gov-west-1', 'arn:aws-us-gov:secretsmanager:us-gov-west-1:1:secret:own-??????'),
        ('arn:aws:secretsmanager:eu-west-1:2:secret:own-AbCdEf', 'us-east-1', None),
    ],
)
def test_a_secret_by_its_name_or_arn(secret, region, resource):
    assert join().arn(secret, '1', region) == (resource or secret)


def test_secrets_of_any_source_and_option_count():
    instance = {'source': 'ec2', 'secret_access_key': 'ENC[keys;b]', 'proxy': {'https': 'http://ENC[proxy]@p'}, 'x': 1}
    assert join().secrets(instance) == ['keys', 'proxy']
    assert join().needed({'source': 'github', 'token': 'ENC[a;b]'}) == []


def test_the_command_line_asks_secrets_manager_for_the_value_alone(url, tmp_path, monkeypatch):  # noqa: F811
    manager = client(url, 'secretsmanager')
    manager.create_secret(Name='github/dashboard-token', SecretString='{"token": "the-token"}')
    file = tmp_path / 'github.yaml'
    file.write_text('instances: [{source: github, token: "ENC[github/dashboard-token;token]"}]')
    for name, value in {
        'AWS_ENDPOINT_URL': url,
        'AWS_ACCESS_KEY_ID': 'testing',
        'AWS_SECRET_ACCESS_KEY': 'testing',
        'AWS_DEFAULT_REGION': 'us-east-1',
    }.items():
        monkeypatch.setenv(name, value)
    asked = []

    def note(model, **_):
        asked.append(f'{model.service_model.signing_name}:{model.name}')

    session = boto3.Session()
    session.events.register('before-call', note)
    monkeypatch.setattr(boto3, 'DEFAULT_SESSION', session)
    [configured] = configuration.load(file, 'github')
    assert configured.instance['token'] == 'the-token'
    assert set(asked) == {READ}


# The join.


def test_joined_policies_say_no_more_and_no_less():
    for environment in ENVIRONMENTS:
        found = [one for file in sources(values(environment)).values() for one in file['instances']]
        chosen = [name for one in found for name in join().needed(one)]
        together = join().joined(chosen, [name for one in found for name in join().secrets(one)])
        actions = {action for statement in together['Statement'] for action in statement['Action']}
        assert actions == allowed(chosen) | {READ}
        assert parliament.analyze_policy_string(json.dumps(together)).findings == []
        # Statements differ by their resource.
        assert len({json.dumps(one['Resource']) for one in together['Statement']}) == len(together['Statement'])


def test_the_command_joins(capsys):
    command = join().main
    assert command(['ec2-inventory', '--secret', 'a', '--account', '999999999999', '--region', 'eu-west-1']) == 0
    shown = json.loads(capsys.readouterr().out)
    assert readable(shown) == {'arn:aws:secretsmanager:eu-west-1:999999999999:secret:a-??????'}
    assert command(['--values', 'deploy/helm/values.yaml', '--values', 'deploy/helm/values-production.yaml']) == 0
    shown = capsys.readouterr().out
    assert 'ec2:DescribeInstances' in shown
    assert f'{PREFIX}github/dashboard-token-??????' in readable(json.loads(shown))


@pytest.mark.parametrize('wrong', [['ec2-everything'], [], ['--config', 'no-such-file.yaml'], ['trust-policy']])
def test_the_command_refuses_in_one_line(wrong, capsys):
    assert join().main(wrong) == 2
    said = capsys.readouterr()
    assert said.out == ''
    assert len(said.err.splitlines()) == 1


def test_the_client_asks_what_the_catalog_of_options_knows():
    """Whoever adds a reading method to the client must say here which option switches it on."""
    reading = {name for name in vars(Client) if not name.startswith('_')}
    assert reading == {
        'account',
        'addresses',
        'check_permission',
        'has_price_list',
        'idle_recommendations',
        'image_snapshots',
        'instances',
        'interruptions',
        'key',
        'ondemand_products',
        'regions',
        'reservations',
        'snapshot_pages',
        'snapshot_products',
        'spot_prices',
        'types',
        'utilization',
        'volume_products',
        'volumes',
        'zones',
    }
    assert {name for name in vars(CostExplorer) if not name.startswith('_')} == {'bill', 'commitments'}

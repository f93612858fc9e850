"""The AWS of the sandbox, read with boto3. It must refuse the requests that AWS refuses."""

from __future__ import annotations

from datetime import timedelta

import boto3
import pytest
from botocore.exceptions import ClientError

import sandbox
from sandbox import Running
from sandbox.ec2 import tariff
from sandbox.ec2.service import ACCESS_KEY, ACCOUNT, SECRET_KEY

from .test_records import moto_types


@pytest.fixture(scope='module')
def service():
    """Return one service for all tests, which only read."""
    with Running(sandbox.service('ec2')) as one:
        yield one


def client(service, name='ec2', region='us-east-1', secret=SECRET_KEY):
    return boto3.client(
        name,
        region_name=region,
        endpoint_url=service.url,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=secret,
    )


def refused(function, **arguments) -> str:
    with pytest.raises(ClientError) as error:
        function(**arguments)
    return error.value.response['Error']['Code']


@pytest.mark.parametrize('kind', tariff.KINDS)
def test_types_agree_with_aws(kind):
    real, ours = moto_types()[kind], tariff.KINDS[kind]
    assert ours.vcpus == real['VCpuInfo']['DefaultVCpus']
    gpus = [
        (gpu['Name'].lower(), gpu['Count'] or gpu['GpuPartitionSize'])
        for gpu in (real.get('GpuInfo') or {}).get('Gpus', ())
    ]
    assert gpus == ([(ours.gpu, ours.gpus)] if ours.gpus else [])
    devices = (real.get('NeuronInfo') or {}).get('NeuronDevices', ())
    assert sum(device['Count'] for device in devices) == ours.neuron


def test_the_scenario(service):
    kinds = [(machine.kind, machine.lifecycle) for machine in service.estate.machines if machine.state == 'running']
    assert kinds.count(('p5.48xlarge', 'spot')) == 4
    assert kinds.count(('p5.48xlarge', 'capacity-block')) == 1
    assert kinds.count(('g6.12xlarge', 'spot')) == 24
    assert kinds.count(('m5.large', '')) == 30
    free = [disk.size for disk in service.estate.disks if disk.state == 'available']
    assert (len(free), sum(free)) == (9, 2048)
    assert sum(copy.state == 'completed' for copy in service.estate.copies) == 140


def test_signatures_are_checked(service):
    assert refused(client(service, secret='other').describe_volumes) == 'AuthFailure'
    assert refused(client(service, 'sts', secret='other').get_caller_identity) == 'SignatureDoesNotMatch'
    assert refused(client(service, 'pricing', secret='other').get_products, ServiceCode='AmazonEC2') == (
        'UnrecognizedClientException'
    )
    assert client(service, 'sts').get_caller_identity()['Account'] == ACCOUNT


def test_roles_need_their_external_id(service):
    sts = client(service, 'sts')
    role = 'arn:aws:iam::210987654321:role/metta-checks'
    assert refused(sts.assume_role, RoleArn=role, RoleSessionName='test') == 'AccessDenied'
    keys = sts.assume_role(RoleArn=role, RoleSessionName='test', ExternalId='metta-7')['Credentials']
    ec2 = boto3.client(
        'ec2',
        region_name='us-east-1',
        endpoint_url=service.url,
        aws_access_key_id=keys['AccessKeyId'],
        aws_secret_access_key=keys['SecretAccessKey'],
        aws_session_token=keys['SessionToken'],
    )
    assert len(ec2.describe_volumes()['Volumes']) == len(client(service).describe_volumes()['Volumes'])


@pytest.mark.parametrize(
    ('operation', 'key', 'most'),
    [
        ('describe_instances', 'Reservations', 1000),
        ('describe_volumes', 'Volumes', 500),
        ('describe_snapshots', 'Snapshots', 1000),
    ],
)
def test_lists_have_pages(service, operation, key, most):
    call = getattr(client(service), operation)
    assert refused(call, MaxResults=4) == 'InvalidParameterValue'
    assert refused(call, MaxResults=most + 1) == 'InvalidParameterValue'
    assert refused(call, NextToken='nonsense') == 'InvalidNextToken'
    first = call(MaxResults=7)
    assert len(first[key]) == 7
    pages = client(service).get_paginator(operation).paginate(PaginationConfig={'PageSize': 7})
    assert sum(len(page[key]) for page in pages) == len(call()[key])


def test_instances_are_filtered(service):
    call = client(service).describe_instances
    states = {
        machine['State']['Name']
        for reservation in call(Filters=[{'Name': 'instance-state-name', 'Values': ['running', 'stop*']}])[
            'Reservations'
        ]
        for machine in reservation['Instances']
    }
    assert states == {'running', 'stopped', 'stopping'}
    assert refused(call, Filters=[{'Name': 'color', 'Values': ['red']}]) == 'InvalidParameterValue'


def test_public_snapshots_are_listed_without_an_owner(service):
    own = sum(copy.region == 'us-east-1' for copy in service.estate.copies)
    assert len(client(service).describe_snapshots()['Snapshots']) == 1300 + own
    assert len(client(service).describe_snapshots(OwnerIds=['self'])['Snapshots']) == own


def test_spot_prices_of_a_window_and_the_one_before_it(service):
    now = service.clock.now()
    call = client(service).describe_spot_price_history
    asked = {'InstanceTypes': ['g6.12xlarge'], 'ProductDescriptions': ['Linux/UNIX'], 'AvailabilityZone': 'us-east-1a'}
    in_force = call(**asked, StartTime=now, EndTime=now)['SpotPriceHistory']
    assert len(in_force) == 1
    assert in_force[0]['Timestamp'] <= now
    three_days = call(**asked, StartTime=now - timedelta(days=3), EndTime=now)['SpotPriceHistory']
    assert len(three_days) > 3
    times = [change['Timestamp'] for change in three_days]
    assert times == sorted(times, reverse=True)
    assert times[-1] <= now - timedelta(days=3)


def test_the_price_list_has_placeholders_and_several_tenancies(service):
    call = client(service, 'pricing').get_products
    m5 = [{'Type': 'TERM_MATCH', 'Field': 'instanceType', 'Value': 'm5.large'}]
    everything = client(service, 'pricing').get_paginator('get_products').paginate(ServiceCode='AmazonEC2', Filters=m5)
    texts = [text for page in everything for text in page['PriceList']]
    # Two regions, three operating systems, three tenancies, four products each.
    assert len(texts) == 2 * 3 * 3 * 4
    assert all(isinstance(text, str) for text in texts)
    assert any('"USD": "0.0000000000"' in text for text in texts)
    assert refused(call, ServiceCode='AmazonEC2', MaxResults=101) == 'InvalidParameterValue'
    assert refused(call, ServiceCode='AmazonS3') == 'InvalidParameterException'


def test_metric_data_takes_500_queries(service):
    now = service.clock.now()
    query = {
        'MetricStat': {
            'Metric': {
                'Namespace': 'AWS/EC2',
                'MetricName': 'CPUUtilization',
                'Dimensions': [{'Name': 'InstanceId', 'Value': service.estate.machines[0].id}],
            },
            'Period': 3600,
            'Stat': 'Maximum',
        }
    }
    call = client(service, 'cloudwatch').get_metric_data
    window = {'StartTime': now - timedelta(hours=5), 'EndTime': now}
    many = [{'Id': f'q{number}', **query} for number in range(501)]
    assert refused(call, MetricDataQueries=many, **window) == 'ValidationError'
    answer = call(MetricDataQueries=many[:2], **window)
    assert [len(result['Values']) for result in answer['MetricDataResults']] == [5, 5]


def test_a_dry_run_reports_the_permission(serve):
    service = serve('ec2')
    service.denied = {'ec2:DescribeVolumes'}
    assert refused(client(service).describe_volumes, DryRun=True) == 'UnauthorizedOperation'
    assert refused(client(service).describe_snapshots, DryRun=True) == 'DryRunOperation'


def test_the_numbers_of_instances_and_volumes_are_options(serve):
    service = serve('ec2', instances=300, volumes=250, regions=['us-east-1'])
    figures = {figure.name: figure.value for figure in service.truth(service.clock.now())}
    assert figures['metta.ec2.instances.total'] == 300
    assert figures['metta.ec2.ebs.volumes.total'] == 250

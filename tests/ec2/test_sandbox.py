"""The AWS of the sandbox, read with boto3. It must refuse the requests that AWS refuses."""

from __future__ import annotations

from datetime import timedelta

import boto3
import pytest
from botocore.exceptions import ClientError

import sandbox
from metta_checks.core.accelerators import accelerator_type
from sandbox import Running
from sandbox.ec2 import tariff
from sandbox.ec2.cost_explorer import COMPUTE, OTHER
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
    ours = tariff.KINDS[kind]
    assert ours.described == (kind in moto_types())
    if not ours.described:
        return
    real = moto_types()[kind]
    assert ours.vcpus == real['VCpuInfo']['DefaultVCpus']
    gpus = [
        (gpu['Name'].lower(), gpu['Count'] or gpu['GpuPartitionSize'])
        for gpu in (real.get('GpuInfo') or {}).get('Gpus', ())
    ]
    assert gpus == ([(ours.gpu, ours.gpus)] if ours.gpus else [])
    lists = [
        (real.get('NeuronInfo') or {}).get('NeuronDevices')
        or (real.get('InferenceAcceleratorInfo') or {}).get('Accelerators'),
        (real.get('FpgaInfo') or {}).get('Fpgas'),
        (real.get('MediaAcceleratorInfo') or {}).get('Accelerators'),
    ]
    devices = [(accelerator_type(device['Name']), device['Count']) for some in lists for device in some or ()]
    assert devices == ([(ours.device, ours.devices)] if ours.devices else [])


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
    # Three operating systems and three tenancies in two regions, and two places at the edge; four products each.
    assert len(texts) == (2 * 3 * 3 + 2) * 4
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


@pytest.fixture(scope='module')
def rare():
    """Return one service with all rare situations, for tests that only read."""
    with Running(sandbox.service('ec2', None, None, situations=['all'], scale=0.1)) as one:
        yield one


def test_zones_and_their_prices(rare):
    zones = {
        zone['ZoneName']: zone
        for region in ('us-east-1', 'us-west-2')
        for zone in client(rare, region=region).describe_availability_zones(AllAvailabilityZones=True)[
            'AvailabilityZones'
        ]
    }
    assert zones['us-east-1a']['ZoneType'] == 'availability-zone'
    assert zones['us-east-1a']['GroupName'] != 'us-east-1'
    places = {
        name: zone['NetworkBorderGroup'] for name, zone in zones.items() if zone['ZoneType'] != 'availability-zone'
    }
    assert places == {
        'us-west-2-lax-1a': 'us-west-2-lax-1',
        'us-east-1-wl1-bos-wlz-1': 'us-east-1-wl1-bos-wlz-1',
        'us-east-1-mia-2a': 'us-east-1-mia-2',
    }
    call = client(rare, 'pricing').get_products
    priced = {
        place: len(
            call(
                ServiceCode='AmazonEC2',
                Filters=[
                    {'Type': 'TERM_MATCH', 'Field': 'regionCode', 'Value': place},
                    {'Type': 'TERM_MATCH', 'Field': 'instanceType', 'Value': 'm5.large'},
                ],
            )['PriceList']
        )
        for place in places.values()
    }
    assert priced == {'us-west-2-lax-1': 4, 'us-east-1-wl1-bos-wlz-1': 4, 'us-east-1-mia-2': 0}
    ec2 = client(rare)
    machines = [m for r in ec2.describe_instances()['Reservations'] for m in r['Instances']]
    assert sum('OutpostArn' in machine for machine in machines) == 3
    assert sum('OutpostArn' in volume for volume in ec2.describe_volumes()['Volumes']) == 1


def test_snapshots_in_the_archive_and_of_images(rare):
    ec2 = client(rare)
    snapshots = ec2.describe_snapshots(OwnerIds=['self'])['Snapshots']
    archived = [copy for copy in snapshots if copy['StorageTier'] == 'archive']
    assert [copy.get('FullSnapshotSizeInBytes') is None for copy in archived] == [False, True, False, False]
    assert sum('RestoreExpiryTime' in copy for copy in archived) == 2
    states = [image['State'] for image in ec2.describe_images(Owners=['self'])['Images']]
    assert states == ['available', 'deregistered']
    shown = ec2.describe_images(Owners=['self'], IncludeDisabled=True, MaxResults=1000)['Images']
    assert [image['State'] for image in shown] == ['available', 'disabled', 'deregistered']
    used = {mapping['Ebs']['SnapshotId'] for image in shown for mapping in image['BlockDeviceMappings']}
    assert used < {copy['SnapshotId'] for copy in snapshots}


def test_capacity_and_spot_requests(rare):
    ec2 = client(rare)
    own = [{'Name': 'owner-id', 'Values': [ACCOUNT]}, {'Name': 'state', 'Values': ['active']}]
    assert len(ec2.describe_capacity_reservations()['CapacityReservations']) == 6
    found = ec2.describe_capacity_reservations(Filters=own)['CapacityReservations']
    assert [(one['InstanceType'], one['TotalInstanceCount'], one['ReservationType']) for one in found] == [
        ('p5.48xlarge', 4, 'default'),
        ('p5.48xlarge', 2, 'capacity-block'),
        ('m5.large', 10, 'default'),
    ]
    wanted = [{'Name': 'status-code', 'Values': ['instance-*-no-capacity']}]
    requests = ec2.describe_spot_instance_requests(Filters=wanted)['SpotInstanceRequests']
    assert [one['Status']['Code'] for one in requests] == [
        'instance-terminated-no-capacity',
        'instance-stopped-no-capacity',
    ]
    assert requests[0]['LaunchSpecification']['InstanceType'] == 'g6.12xlarge'


def test_the_bill_of_an_organization(rare):
    today = rare.clock.now().date()
    complete = {'Start': str(today - timedelta(days=3)), 'End': str(today - timedelta(days=2))}
    yesterday = {'Start': str(today - timedelta(days=1)), 'End': str(today)}
    ce = client(rare, 'ce')
    own = {'Dimensions': {'Key': 'LINKED_ACCOUNT', 'Values': [ACCOUNT]}}
    credits = {'Not': {'Dimensions': {'Key': 'RECORD_TYPE', 'Values': ['Credit', 'Refund']}}}
    services = {'Dimensions': {'Key': 'SERVICE', 'Values': [COMPUTE, OTHER]}}

    def amount(*rules, period=complete):
        asked = {'Filter': {'And': list(rules)} if len(rules) > 1 else rules[0]} if rules else {}
        answer = ce.get_cost_and_usage(TimePeriod=period, Granularity='DAILY', Metrics=['UnblendedCost'], **asked)
        return float(answer['ResultsByTime'][0]['Total']['UnblendedCost']['Amount'])

    assert amount() == pytest.approx(1000.5 + 234.0678901 + 80 - 150 - 20 + 4000 - 400)
    assert amount(own) == pytest.approx(1000.5 + 234.0678901 + 80 - 150 - 20)
    assert amount(own, credits, services) == pytest.approx(1234.5678901)
    assert 0 < amount(own, credits, services, period=yesterday) < 1234.5678901
    plans = ce.get_savings_plans_utilization(TimePeriod=complete, Filter=own)['Total']['Utilization']
    assert (plans['TotalCommitment'], plans['UsedCommitment']) == ('240.0', '228.5')
    tomorrow = {'Start': str(today), 'End': str(today + timedelta(days=1))}
    assert refused(ce.get_savings_plans_utilization, TimePeriod=tomorrow) == 'ValidationException'


def test_an_account_without_savings_plans_has_no_data_of_them(service):
    end = service.clock.now().date()
    period = {'Start': str(end - timedelta(days=1)), 'End': str(end)}
    ce = client(service, 'ce')
    assert refused(ce.get_savings_plans_coverage, TimePeriod=period) == 'DataUnavailableException'
    assert refused(ce.get_savings_plans_utilization, TimePeriod=period) == 'DataUnavailableException'
    assert ce.get_reservation_utilization(TimePeriod=period)['Total']['PurchasedHours'] == '0'


def test_policies_and_accounts_that_are_not_verified(serve):
    service = serve('ec2', denied_regions=['us-west-2'], denied_actions=['ec2:DescribeVolumes'], not_opted_in=['ce'])
    west, east = client(service, region='us-west-2'), client(service)
    assert refused(west.describe_addresses) == refused(east.describe_volumes) == 'UnauthorizedOperation'
    assert east.describe_addresses()['Addresses']
    period = {'Start': '2026-01-01', 'End': '2026-01-02'}
    assert refused(client(service, 'ce').get_reservation_coverage, TimePeriod=period) == 'OptInRequired'


def test_an_unknown_situation_is_refused():
    with pytest.raises(ValueError, match='floods: not known'):
        sandbox.service('ec2', situations=['floods'])


def test_hours_without_data(rare):
    end = rare.clock.now().replace(minute=0, second=0, microsecond=0)
    found = {}
    for load in ('gap', 'gaps', 'deaf', 'silent'):
        machine = next(one for one in rare.estate.machines if one.load == load)
        query = {
            'Id': 'q',
            'MetricStat': {
                'Metric': {
                    'Namespace': 'AWS/EC2',
                    'MetricName': 'NetworkIn',
                    'Dimensions': [{'Name': 'InstanceId', 'Value': machine.id}],
                },
                'Period': 3600,
                'Stat': 'Sum',
            },
        }
        answer = client(rare, 'cloudwatch').get_metric_data(
            MetricDataQueries=[query], StartTime=end - timedelta(days=1), EndTime=end
        )
        found[load] = len(answer['MetricDataResults'][0]['Values'])
    assert found == {'gap': 23, 'gaps': 22, 'deaf': 0, 'silent': 0}

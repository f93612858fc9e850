"""The check against the server of moto, without the sandbox."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Literal

import boto3
import pytest
from werkzeug.serving import make_server

from metta_checks.testing import Clock, Driver
from metta_checks.verify import Figure, compare, recompute
from sandbox.ec2.moto_peer import application, fresh

KEYS = {'aws_access_key_id': 'testing', 'aws_secret_access_key': 'testing-secret'}


@pytest.fixture
def url() -> Iterator[str]:
    fresh()
    server = make_server('127.0.0.1', 0, application(), threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f'http://127.0.0.1:{server.port}'
    server.shutdown()
    server.server_close()
    thread.join()


def client(url: str, service: Literal['cloudwatch', 'ec2', 'iam', 'secretsmanager'], region: str = 'us-east-1'):
    return boto3.client(
        service,
        region_name=region,
        endpoint_url=url,
        aws_access_key_id=KEYS['aws_access_key_id'],
        aws_secret_access_key=KEYS['aws_secret_access_key'],
    )


def launch(url: str, kind: str, number: int, region: str = 'us-east-1') -> list[str]:
    ec2 = client(url, 'ec2', region)
    made = ec2.run_instances(ImageId='ami-12345678', InstanceType=kind, MinCount=number, MaxCount=number)
    return [instance['InstanceId'] for instance in made['Instances']]


def driver(url: str, now: datetime, **options) -> Driver:
    instance = {
        'source': 'ec2',
        'regions': ['us-east-1', 'us-west-2'],
        'endpoint_url': url,
        'access_key_id': KEYS['aws_access_key_id'],
        'secret_access_key': KEYS['aws_secret_access_key'],
        'prices': {'source': 'table', 'table': {'m5.large': 0.1, 'g5.xlarge': 1.0}, 'spot': False},
        'refresh_interval': 0,
        **options,
    }
    return Driver(instance, Clock(now))


def test_resources_in_moto(url):
    ec2 = client(url, 'ec2')
    services = launch(url, 'm5.large', 3)
    gpus = launch(url, 'g5.xlarge', 2, 'us-west-2')
    gone = launch(url, 'm5.large', 2)
    ec2.terminate_instances(InstanceIds=gone)
    ec2.stop_instances(InstanceIds=services[:1])
    volume = ec2.create_volume(AvailabilityZone='us-east-1a', Size=77, VolumeType='gp3')['VolumeId']
    ec2.create_snapshot(VolumeId=volume)
    ec2.allocate_address(Domain='vpc')

    # Tomorrow, with a day of CloudWatch data: one idle instance, one with network traffic, no data for those with GPUs.
    now = datetime.now(UTC) + timedelta(days=1, hours=2)
    for hour in range(2, 26):
        at = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=hour - 1)
        for instance_id, cpu, network in ((services[1], 1.5, 1000), (services[2], 1.5, 9e6)):
            dimensions = [{'Name': 'InstanceId', 'Value': instance_id}]
            data = [
                {'MetricName': name, 'Dimensions': dimensions, 'Timestamp': at, 'Value': value}
                for name, value in (('CPUUtilization', cpu), ('NetworkIn', network), ('NetworkOut', network))
            ]
            client(url, 'cloudwatch').put_metric_data(Namespace='AWS/EC2', MetricData=data)

    run = driver(url, now).run()

    assert run.error == ''
    assert run.warnings == []
    expected = {
        'instances.total': 5,
        'instances.running': 4,
        'instances.stopped': 1,
        'instances.ondemand': 4,
        'instances.gpu_count': 2,
        'instances.cpu_count': 2,
        'instances.vcpus': 2 * 2 + 2 * 4,
        'instances.idle': 1,
        'instances.gpu_idle': 0,
        'cost.running_hourly_estimate': 2 * 0.1 + 2 * 1.0,
        'cost.price_coverage_pct': 100,
        'ebs.volumes.unattached': 1,
        'ebs.volumes.unattached_size_gb': 77,
        'ebs.snapshots.total': 1,
        'ebs.snapshots.size_gb': 77,
        'addresses.unassociated': 1,
    }
    assert {name: run.value(f'metta.ec2.{name}', 'account:123456789012') for name in expected} == pytest.approx(
        expected
    )
    assert run.value('metta.ec2.instances.gpus', 'gpu_type:a10g') == 2
    assert run.value('metta.ec2.instances.avg_age_days') == pytest.approx(26 / 24, abs=0.01)
    assert gpus


def test_moto_agrees_about_regions_and_an_empty_account(url):
    run = driver(url, datetime.now(UTC), regions=None, idle={'source': 'off'}).run()
    assert run.error == ''
    assert len(run.series('metta.ec2.region.instances_running')) >= 15
    assert run.value('metta.ec2.instances.total') == 0
    assert run.value('metta.ec2.ebs.snapshots.total') == 0


def test_a_role_in_moto(url):
    run = driver(url, datetime.now(UTC), idle={'source': 'off'}, role_arn='arn:aws:iam::111122223333:role/x').run()
    assert run.error == ''
    assert run.value('metta.ec2.instances.total', 'account:111122223333') == 0


def test_images_keep_their_snapshots_in_moto(url):
    ec2 = client(url, 'ec2')
    (machine,) = launch(url, 'm5.large', 1)
    images = [ec2.create_image(InstanceId=machine, Name=f'image-{number}')['ImageId'] for number in range(2)]
    volume = ec2.create_volume(AvailabilityZone='us-east-1a', Size=8)['VolumeId']
    ec2.create_snapshot(VolumeId=volume)
    ec2.delete_volume(VolumeId=volume)
    # Its disk goes with it, so the snapshots of the images have no volume any more.
    ec2.terminate_instances(InstanceIds=[machine])
    now = datetime.now(UTC) + timedelta(minutes=1)

    def orphaned() -> tuple[float | None, float]:
        ours = driver(url, now, idle={'source': 'off'})
        name = 'metta.ec2.ebs.snapshots.orphaned'
        theirs = {one.name: one.value for one in recompute('ec2', ours.check.instance, now).figures}
        return ours.run().value(name), theirs[name]

    assert orphaned() == (1, 1)
    ec2.deregister_image(ImageId=images[0])
    assert orphaned() == (2, 2)


def test_the_sdk_agrees_in_moto(url):
    launch(url, 'm5.large', 3)
    launch(url, 'g5.xlarge', 1, 'us-west-2')
    launch(url, 'inf2.xlarge', 1, 'us-west-2')
    client(url, 'ec2').create_volume(AvailabilityZone='us-east-1a', Size=77, VolumeType='gp3')
    now = datetime.now(UTC) + timedelta(days=2)
    check = driver(url, now, gpu_breakdown=True, spot_interruptions=True)
    run = check.run()
    assert run.error == ''
    figures = [Figure(name, value, tags) for (name, tags), value in run.values.items() if name.startswith('metta.ec2.')]
    theirs = recompute('ec2', check.check.instance, now)
    assert [pair for pair in compare(figures, theirs.figures) if not pair.agrees] == []
    assert len(theirs.figures) > 40

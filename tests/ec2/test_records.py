from __future__ import annotations

import functools
import gzip
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import moto.ec2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metta_checks.core.errors import BadPayload
from metta_checks.core.stored import dumps, load
from metta_checks.ec2 import records
from metta_checks.ec2.cost_explorer import Bill

RAW = {
    'InstanceId': 'i-1',
    'InstanceType': 'm5.large',
    'State': {'Name': 'running', 'Code': 16},
    'LaunchTime': '2026-11-20T10:00:00.000Z',
    'Placement': {'AvailabilityZone': 'us-east-1a', 'Tenancy': 'dedicated'},
    'CpuOptions': {'CoreCount': 1, 'ThreadsPerCore': 2},
    'PlatformDetails': 'Windows',
    'UsageOperation': 'RunInstances:0002',
    'Tags': [{'Key': 'team', 'Value': 'research'}, {'Key': 'Name', 'Value': 'x'}],
    'NetworkInterfaces': [
        {'Attachment': {'DeviceIndex': 1, 'AttachTime': '2026-01-01T00:00:00Z'}},
        {'Attachment': {'DeviceIndex': 0, 'AttachTime': '2026-11-01T10:00:00.000Z'}},
    ],
}


@functools.cache
def moto_types() -> Mapping[str, dict[str, Any]]:
    """Return the instance types that moto has copied from AWS."""
    path = Path(moto.ec2.__file__).parent / 'resources' / 'instance_types.json.gz'
    return MappingProxyType(json.loads(gzip.decompress(path.read_bytes())))


def test_the_fields_that_a_price_depends_on():
    instance = records.Instance.parse(RAW, 'us-east-1', ('team',))
    assert instance.product == 'Windows'
    assert instance.operation == 'RunInstances:0002'
    assert instance.tenancy == 'Dedicated'
    assert instance.vcpus == 2
    assert instance.tags == {'team': 'research'}
    assert instance.launched == datetime(2026, 11, 20, 10, tzinfo=UTC)


def test_the_first_launch_is_the_interface_at_index_0_not_the_earliest_attachment():
    assert records.Instance.parse(RAW, 'r').first_launched == datetime(2026, 11, 1, 10, tzinfo=UTC)


def test_an_instance_of_an_emulator_counts_as_linux():
    raw = {key: RAW[key] for key in ('InstanceId', 'InstanceType', 'State')}
    instance = records.Instance.parse(raw, 'r')
    assert (instance.product, instance.operation, instance.tenancy) == ('Linux/UNIX', 'RunInstances', 'Shared')
    assert instance.lifecycle == 'on_demand'
    assert instance.vcpus is None
    assert instance.launched is None
    assert instance.first_launched is None


@pytest.mark.parametrize(
    ('raw', 'parsed'),
    [
        (None, 'on_demand'),
        ('', 'on_demand'),
        ('spot', 'spot'),
        ('scheduled', 'scheduled'),
        ('capacity-block', 'capacity_block'),
        ('interruptible-capacity-reservation', 'other'),
        ('something-new', 'other'),
    ],
)
def test_lifecycles(raw, parsed):
    assert records.Instance.parse({**RAW, 'InstanceLifecycle': raw}, 'r').lifecycle == parsed


@pytest.mark.parametrize('missing', ['InstanceId', 'InstanceType', 'State'])
def test_required_fields_of_an_instance(missing):
    with pytest.raises(BadPayload, match=missing):
        records.Instance.parse({key: value for key, value in RAW.items() if key != missing}, 'r')


@pytest.mark.parametrize(
    ('reason', 'expected'),
    [
        ('User initiated (2026-11-12 03:04:05 GMT)', datetime(2026, 11, 12, 3, 4, 5, tzinfo=UTC)),
        ('User initiated (2026-13-12 03:04:05 GMT)', None),
        ('Server.SpotInstanceShutdown', None),
        ('', None),
        (None, None),
    ],
)
def test_the_time_of_a_stop(reason, expected):
    assert records.stopped_at(reason) == expected


@given(st.text())
def test_any_reason_can_be_parsed(text):
    found = records.stopped_at(text)
    assert found is None or found.tzinfo is UTC


@given(st.datetimes(datetime(2006, 1, 1), datetime(2100, 1, 1)).map(lambda moment: moment.replace(microsecond=0)))
def test_every_time_in_a_reason_is_read_back(moment):
    assert records.stopped_at(f'User initiated ({moment:%Y-%m-%d %H:%M:%S} GMT)') == moment.replace(tzinfo=UTC)


def test_every_real_type_is_read():
    types = dict(records.InstanceType.parse(raw) for raw in moto_types().values())
    assert len(types) > 1300
    assert sum(kind.has_gpu for kind in types.values()) == 65
    # 13 with Neuron devices, 7 with FPGAs or media accelerators.
    assert sum(bool(kind.accelerators) for kind in types.values()) == 20
    assert all(kind.vcpus > 0 for kind in types.values())
    assert all(sum(kind.gpus.values()) > 0 for kind in types.values() if kind.has_gpu)


def test_a_type_is_stored():
    for raw in list(moto_types().values())[::50]:
        _, kind = records.InstanceType.parse(raw)
        assert load(records.InstanceType, json.loads(dumps(kind))) == kind


@pytest.mark.parametrize(
    ('name', 'gpus'), [('g6f.large', {'l4': 0.125}), ('gr6f.4xlarge', {'l4': 0.5}), ('p5.48xlarge', {'h100': 8})]
)
def test_parts_of_gpus_are_fractions(name, gpus):
    assert records.InstanceType.parse(moto_types()[name])[1].gpus == gpus


def test_a_volume_that_is_attached_twice():
    raw = {
        'VolumeId': 'vol-1',
        'State': 'in-use',
        'Size': 8,
        'Attachments': [{'InstanceId': 'i-1'}, {'InstanceId': 'i-2'}],
    }
    assert records.Volume.parse(raw, 'r').attached_to == ('i-1', 'i-2')


def test_the_old_name_of_a_product_is_the_same_product():
    raw = {
        'InstanceType': 'm5.large',
        'AvailabilityZone': 'us-east-1a',
        'ProductDescription': 'Linux/UNIX (Amazon VPC)',
        'SpotPrice': '0.035000',
        'Timestamp': '2026-11-24T10:00:00.000Z',
    }
    assert records.SpotPrice.parse(raw).product == 'Linux/UNIX'
    with pytest.raises(BadPayload, match='SpotPrice'):
        records.SpotPrice.parse({**raw, 'SpotPrice': 'cheap'})
    with pytest.raises(BadPayload, match='Timestamp'):
        records.SpotPrice.parse({**raw, 'Timestamp': 'yesterday'})


def test_a_region_that_needs_opting_in_is_not_enabled():
    for status, is_enabled in (('opt-in-not-required', True), ('opted-in', True), ('not-opted-in', False)):
        region = records.Region.parse({'RegionName': 'eu-south-1', 'OptInStatus': status})
        assert region == records.Region('eu-south-1', is_enabled)
    with pytest.raises(BadPayload, match='RegionName'):
        records.Region.parse({'OptInStatus': 'opted-in'})


@pytest.mark.parametrize(
    ('raw', 'is_associated'),
    [({}, False), ({'InstanceId': ''}, False), ({'AssociationId': 'eipassoc-1'}, True), ({'InstanceId': 'i-1'}, True)],
)
def test_an_address_is_associated_with_an_interface_or_an_instance(raw, is_associated):
    assert records.Address.parse(raw).is_associated is is_associated


def test_values_of_a_metric():
    assert records.MetricValues.parse({'Id': 'q1', 'Values': [1, 2.5]}) == records.MetricValues('q1', (1.0, 2.5))
    assert records.MetricValues.parse({'Id': 'q1', 'StatusCode': 'Complete'}).values == ()


@pytest.mark.parametrize(
    ('raw', 'message'),
    [
        ({'Values': [1.0]}, 'without Id'),
        ({'Id': 'q1', 'Values': [1.0, 'high']}, 'Values as list'),
        ({'Id': 'q1', 'Values': [float('nan')]}, 'Values as list'),
    ],
)
def test_a_metric_without_usable_values_is_an_error(raw, message):
    with pytest.raises(BadPayload, match=message):
        records.MetricValues.parse(raw)


def test_an_idle_instance_is_named_by_its_id_or_its_arn():
    arn = 'arn:aws:ec2:us-east-1:123456789012:instance/i-1'
    for raw in ({'resourceId': 'i-1'}, {'resourceArn': arn}):
        assert records.IdleRecommendation.parse({**raw, 'finding': 'Idle'}) == records.IdleRecommendation('i-1', True)
    assert not records.IdleRecommendation.parse({'resourceId': 'i-1', 'finding': 'Unattached'}).is_idle


def bill(**cost: str) -> dict[str, Any]:
    return {'ResultsByTime': [{'Total': {'UnblendedCost': cost, 'AmortizedCost': {**cost, 'Amount': '7'}}}]}


def test_the_bill_may_be_negative():
    assert Bill.parse(bill(Amount='-1.5', Unit='USD')) == Bill(-1.5, 7.0)


@pytest.mark.parametrize(
    ('raw', 'message'),
    [
        ({}, 'no total for the day'),
        ({'ResultsByTime': [{}]}, 'one bill without Unit'),
        (bill(Amount='1', Unit='CNY'), 'an amount in CNY, not in USD'),
        (bill(Amount='much', Unit='USD'), 'Amount as str'),
    ],
)
def test_a_bill_without_usd_is_an_error(raw, message):
    with pytest.raises(BadPayload, match=message):
        Bill.parse(raw)


@pytest.mark.parametrize(
    ('raw', 'place'),
    [
        (
            {'ZoneType': 'availability-zone', 'GroupName': 'us-west-2-zg-1', 'NetworkBorderGroup': 'us-west-2'},
            'us-west-2',
        ),
        ({'ZoneType': 'local-zone', 'GroupName': 'us-west-2-lax-1'}, 'us-west-2-lax-1'),
        (
            {
                'ZoneType': 'wavelength-zone',
                'GroupName': 'us-west-2-wl1',
                'NetworkBorderGroup': 'us-west-2-wl1-las-wlz-1',
            },
            'us-west-2-wl1-las-wlz-1',
        ),
        ({}, None),
    ],
)
def test_the_place_of_a_zone(raw, place):
    assert records.Zone.parse({'ZoneName': 'z', **raw}, 'us-west-2') == records.Zone('z', place)


@pytest.mark.parametrize(
    ('raw', 'expected'),
    [
        ({'FpgaInfo': {'Fpgas': [{'Name': 'Virtex UltraScale (VU9P)', 'Count': 2}]}}, {'virtex-ultrascale-vu9p': 2}),
        ({'MediaAcceleratorInfo': {'Accelerators': [{'Name': 'U30', 'Count': 1}]}}, {'u30': 1}),
        (
            {
                'NeuronInfo': {'NeuronDevices': [{'Name': 'Inferentia', 'Count': 1}]},
                'InferenceAcceleratorInfo': {'Accelerators': [{'Name': 'Inferentia', 'Count': 1}]},
            },
            {'inferentia': 1},
        ),
        ({'InferenceAcceleratorInfo': {'Accelerators': [{'Name': 'QAIC100', 'Count': 8}]}}, {'qaic100': 8}),
    ],
)
def test_accelerators_that_are_not_gpus(raw, expected):
    _, kind = records.InstanceType.parse({'InstanceType': 'x1.large', 'VCpuInfo': {'DefaultVCpus': 8}, **raw})
    assert kind.accelerators == expected
    assert kind.accelerated

from __future__ import annotations

import pytest

from metta_checks.core.errors import NotFound
from metta_checks.ec2.price_file import PriceFile
from metta_checks.ec2.prices import OnDemandKey, Price, SpotKey

LINUX = OnDemandKey('us-east-1', 'us-east-1', 'p4d.24xlarge', 'RunInstances', 'Shared')

HEADER = 'InstanceType,AcceleratorName,vCPUs,Price,SpotPrice,Region,AvailabilityZone'


@pytest.fixture
def catalog(tmp_path):
    def write(*rows: str, header: str = HEADER) -> str:
        path = tmp_path / 'aws.csv'
        path.write_text('\n'.join([header, *rows]))
        return str(path)

    return write


def test_a_file_gives_prices(catalog):
    path = catalog(
        'p4d.24xlarge,A100,96,32.7726,11.8,us-east-1,us-east-1a',
        'p4d.24xlarge,A100,96,32.7726,,us-east-1,us-east-1b',
        'm5.large,,2,0.096,0.03,us-east-1,us-east-1a',
    )
    file = PriceFile(path, {'p4d.24xlarge'})
    assert file.ondemand(LINUX) == Price(32.7726, file.read_at)
    assert file.spot(SpotKey('us-east-1a', 'p4d.24xlarge', 'Linux/UNIX')) == Price(11.8, file.read_at)
    assert file.spot(SpotKey('us-east-1b', 'p4d.24xlarge', 'Linux/UNIX')) is None
    assert file.ondemand(LINUX._replace(instance_type='m5.large')) is None


def test_a_file_is_for_linux_only(catalog):
    file = PriceFile(catalog('p4d.24xlarge,A100,96,32.7726,11.8,us-east-1,us-east-1a'), {'p4d.24xlarge'})
    assert file.ondemand(LINUX._replace(operation='RunInstances:0002')) is None
    assert file.ondemand(LINUX._replace(tenancy='Dedicated')) is None
    assert file.spot(SpotKey('us-east-1a', 'p4d.24xlarge', 'Windows')) is None


def test_two_prices_in_a_file_are_ambiguous(catalog):
    rows = [f'p4d.24xlarge,A100,96,{price},,us-east-1,us-east-1{zone}' for price, zone in ((32.7, 'a'), (33, 'b'))]
    assert PriceFile(catalog(*rows), {'p4d.24xlarge'}).ondemand(LINUX) is None


def test_a_bad_file_is_described(catalog, tmp_path):
    with pytest.raises(NotFound, match='cannot be read'):
        PriceFile(str(tmp_path / 'none.csv'), set())
    with pytest.raises(NotFound, match='has no column SpotPrice, Region'):
        PriceFile(catalog(header='InstanceType,Price,AvailabilityZone'), set())
    with pytest.raises(NotFound, match='not a CSV file of prices'):
        PriceFile(catalog('m5.large,,2,cheap,,us-east-1,us-east-1a'), {'m5.large'})

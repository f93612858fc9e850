from __future__ import annotations

import pytest
from botocore.session import Session

from metta_checks.core.errors import BadPayload
from metta_checks.ec2.endpoints import has_fips, price_list_region
from metta_checks.ec2.price_list import AmbiguousPrice, Product, single_price, volume_prices
from metta_checks.ec2.prices import VolumeKey, VolumePrices


def product(usage_type: str, *prices: tuple[float, str]) -> Product:
    return Product(usage_type, prices)


def item(price: str, unit: str = 'Hrs', currency: str = 'USD') -> dict:
    dimension = {'unit': unit, 'pricePerUnit': {currency: price}}
    return {
        'product': {'productFamily': 'Compute Instance', 'attributes': {'usagetype': 'BoxUsage:m5.large'}},
        'terms': {'OnDemand': {'A': {'priceDimensions': {'A.1': dimension}}}},
    }


def test_a_product_is_read():
    assert Product.parse(item('0.0960000000')).prices == ((0.096, 'hrs'),)
    assert Product.parse(item('0.6', currency='CNY')).prices == ()
    assert Product.parse({'product': {'attributes': {}}}).prices == ()


@pytest.mark.parametrize('broken', [{}, {'product': None}, {'product': []}, item('cheap')])
def test_a_product_of_another_shape_is_an_error(broken):
    with pytest.raises(BadPayload, match=r'^AWS sent '):
        Product.parse(broken)


def test_products_with_price_0_are_placeholders():
    found = [product('BoxUsage:m5.large', (0.0, 'hrs')), product('BoxUsage:m5.large', (0.096, 'hrs'))]
    assert single_price(found, 'hrs', 'm5.large') == 0.096
    assert single_price(found[:1], 'hrs', 'm5.large') is None


def test_the_same_price_twice_is_one_price():
    assert single_price([product('a', (1.0, 'hrs')), product('b', (1.0, 'hrs'))], 'hrs', 'x') == 1.0


def test_two_prices_are_ambiguous():
    with pytest.raises(AmbiguousPrice, match=r'2 prices for m5\.large') as error:
        single_price([product('a', (1.0, 'hrs')), product('b', (2.0, 'hrs'))], 'hrs', 'm5.large')
    assert error.value.reason == 'ambiguous_price'


def test_other_units_do_not_count():
    assert single_price([product('a', (1.0, 'quantity'))], 'hrs', 'x') is None


@pytest.mark.parametrize(
    ('usage_type', 'expected'),
    [('EBS:VolumeUsage.gp3', 'VolumeUsage.gp3'), ('USW2-EBS:VolumeUsage', 'VolumeUsage'), ('BoxUsage:m5.large', '')],
)
def test_the_storage_usage_has_no_region_prefix(usage_type, expected):
    assert product(usage_type).storage_usage == expected


def test_volume_prices_are_found_by_usage_type():
    listed = [
        product('EBS:VolumeUsage.io2', (0.125, 'gb-mo')),
        product('EBS:VolumeP-IOPS.io2', (0.065, 'iops-mo')),
        product('EBS:VolumeP-IOPS.io2.tier2', (0.0455, 'iops-mo')),
        product('EBS:VolumeUsage.gp3', (0.08, 'gb-mo')),
        product('EBS:VolumeP-Throughput.gp3', (40.96, 'gibps-mo')),
    ]
    assert volume_prices(listed, VolumeKey('r', 'r', 'io2')) == VolumePrices(0.125, (0.065, 0.0455, None), None)
    assert volume_prices(listed, VolumeKey('r', 'r', 'gp3')).mibps == pytest.approx(0.04)
    assert volume_prices(listed, VolumeKey('r', 'r', 'io1')) == VolumePrices(None, (None, None, None), None)


def test_the_old_names_of_volume_types():
    listed = [
        product('EUC1-EBS:VolumeUsage', (0.06, 'gb-mo')),
        product('EUC1-EBS:VolumeUsage.piops', (0.13, 'gb-mo')),
        product('EUC1-EBS:VolumeP-IOPS.piops', (0.07, 'iops-mo')),
    ]
    assert volume_prices(listed, VolumeKey('r', 'r', 'standard')).gib == 0.06
    assert volume_prices(listed, VolumeKey('r', 'r', 'io1')) == VolumePrices(0.13, (0.07, None, None), None)


@pytest.mark.parametrize(
    ('partition', 'region', 'expected'),
    [
        ('aws', 'us-west-2', 'us-east-1'),
        ('aws', 'ca-central-1', 'us-east-1'),
        ('aws', 'eu-west-3', 'eu-central-1'),
        ('aws', 'me-south-1', 'eu-central-1'),
        ('aws', 'ap-northeast-1', 'ap-south-1'),
        ('aws-cn', 'cn-north-1', 'cn-northwest-1'),
    ],
)
def test_the_region_of_the_price_list(partition, region, expected):
    assert price_list_region(partition, region) == expected


@pytest.mark.parametrize(
    ('service', 'region', 'expected'),
    [
        ('ec2', 'us-east-1', True),
        ('ec2', 'eu-west-1', False),
        ('api.pricing', 'us-east-1', False),
        ('ce', 'us-east-1', False),
        ('sts', 'us-west-2', True),
    ],
)
def test_fips_endpoints_exist_for_some_services_and_regions(service, region, expected):
    assert has_fips(Session().get_data('endpoints'), service, region) is expected

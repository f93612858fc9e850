from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metta_checks.ec2.measures import instance_costs, storage_costs
from metta_checks.ec2.prices import Price, VolumePrices

from .builders import NOW, ago, priced, snapshot, values, volume

GP3 = VolumePrices(0.08, (0.005, None, None), 0.04)
IO2 = VolumePrices(0.125, (0.065, 0.0455, 0.0318), None)


def priced_fleet(*found, regions=('us-east-1',)):
    return values(instance_costs.measure(found, regions, NOW))


def test_sums_leave_out_instances_without_a_price():
    found = priced_fleet(priced(1.0, 1.0), priced(0.3, 1.0, lifecycle='spot'), priced(None))
    assert found['cost.running_hourly_estimate'] == pytest.approx(1.3)
    assert found['cost.monthly_estimate'] == pytest.approx(1.3 * 730)
    assert found['cost.ondemand_equivalent_hourly_usd'] == pytest.approx(2.0)
    assert found['cost.price_coverage_pct'] == pytest.approx(200 / 3)
    assert found['region.hourly_usd', 'us-east-1'] == pytest.approx(1.3)


def test_without_any_price_the_cost_is_absent():
    found = priced_fleet(priced(None), priced(None))
    for name in ('running_hourly_estimate', 'monthly_estimate', 'ondemand_equivalent_hourly_usd', 'price_age_hours'):
        assert found[f'cost.{name}'] is None
    assert found['region.hourly_usd', 'us-east-1'] is None
    assert found['cost.price_coverage_pct'] == 0


def test_without_running_instances_the_cost_is_0():
    found = priced_fleet()
    assert found['cost.running_hourly_estimate'] == found['cost.monthly_estimate'] == 0
    assert found['cost.price_coverage_pct'] is None
    assert found['cost.spot_savings_pct'] is None


def test_spot_savings_need_both_prices():
    found = priced_fleet(
        priced(0.4, 1.0, lifecycle='spot'),
        priced(0.2, None, lifecycle='spot'),
        priced(None, 5.0, lifecycle='spot'),
        priced(3.0, 3.0),
    )
    assert found['cost.spot_savings_pct'] == pytest.approx(60)


def test_spot_may_cost_more_than_on_demand():
    assert priced_fleet(priced(1.5, 1.0, lifecycle='spot'))['cost.spot_savings_pct'] == pytest.approx(-50)


def test_gpu_costs():
    found = priced_fleet(priced(1.0, 1.0), priced(4.0, 4.0, accelerated=True))
    assert found['cost.gpu_hourly_usd'] == 4
    assert priced_fleet(priced(1.0, 1.0))['cost.gpu_hourly_usd'] == 0
    assert priced_fleet(priced(None, accelerated=True), priced(1.0, 1.0))['cost.gpu_hourly_usd'] is None
    assert priced_fleet(priced(1.0, 1.0, accelerated=None))['cost.gpu_hourly_usd'] is None


def test_the_oldest_price_in_use_decides_the_age():
    old = Price(1.0, ago(hours=30))
    fleet = [priced(1.0, 1.0)]
    fleet.append(type(fleet[0])(fleet[0].instance, old, old, False))
    assert instance_costs.price_age_hours(fleet, NOW) == pytest.approx(30)


def test_prices_of_the_table_have_no_age():
    fleet = [type(priced(1.0))(priced(1.0).instance, Price(1.0, None), Price(1.0, None), False)]
    assert instance_costs.price_age_hours(fleet, NOW) is None


def test_by_tag():
    fleet = [
        priced(1.0, tags={'Cost Center': 'A'}),
        priced(2.0, tags={'Cost Center': 'a'}),
        priced(4.0, tags={'Cost Center': ''}),
        priced(8.0),
        priced(None, tags={'Cost Center': 'free'}),
    ]
    assert values(instance_costs.by_tag(fleet, 'Cost Center')) == {
        ('cost.by_tag_hourly_usd.cost_center', 'a'): 3,
        ('cost.by_tag_hourly_usd.cost_center', 'none'): 12,
    }


def test_the_cheapest_tag_values_are_summed_as_other():
    found = values(instance_costs.by_tag([priced(float(n), tags={'team': f't{n}'}) for n in range(1, 53)], 'team'))
    assert len(found) == 51
    assert found['cost.by_tag_hourly_usd.team', 'other'] == 1 + 2


def test_idle_costs():
    fleet = [priced(1.0, instance_id='i-1'), priced(2.0, instance_id='i-2')]
    assert values(instance_costs.idle(fleet, {'i-2', 'i-gone'})) == {'cost.idle_hourly_usd': 2}
    assert values(instance_costs.idle(fleet, set())) == {'cost.idle_hourly_usd': 0}


@pytest.mark.parametrize(
    ('what', 'prices', 'expected'),
    [
        ({'size': 100}, GP3, 8.0),
        ({'size': 100, 'iops': 4000}, GP3, 8.0 + 1000 * 0.005),
        ({'size': 100, 'throughput': 225}, GP3, 8.0 + 100 * 0.04),
        ({'size': 100, 'iops': None, 'throughput': None}, GP3, 8.0),
        ({'size': 100, 'throughput': 225}, VolumePrices(0.08, (0.005,), None), None),
        ({'size': 100, 'iops': 4000}, VolumePrices(0.08, (None,), 0.04), None),
        ({'size': 100, 'iops': 3000}, VolumePrices(0.08, (None,), None), 8.0),
        ({'size': 8, 'volume_type': 'io2', 'iops': 32000}, IO2, 1 + 32000 * 0.065),
        ({'size': 8, 'volume_type': 'io2', 'iops': 70000}, IO2, 1 + 32000 * (0.065 + 0.0455) + 6000 * 0.0318),
        ({'size': 8, 'volume_type': 'io1', 'iops': 100}, VolumePrices(0.125, (0.065, None, None), None), 1 + 6.5),
        ({'size': 100, 'volume_type': 'gp2', 'iops': 300}, VolumePrices(0.1, (None,), None), 10.0),
        ({'size': 100}, VolumePrices(None, (0.005,), 0.04), None),
        ({'size': 100}, None, None),
    ],
)
def test_monthly_price_of_a_volume(what, prices, expected):
    price = storage_costs.volume_monthly_usd(volume(**what), prices)
    assert price == (None if expected is None else pytest.approx(expected))


@given(st.integers(0, 300000))
def test_io2_tiers_cover_all_iops(iops):
    flat = VolumePrices(0.0, (1.0, 1.0, 1.0), None)
    price = storage_costs.volume_monthly_usd(volume(size=4, volume_type='io2', iops=iops), flat)
    assert price == pytest.approx(iops)


def test_volumes():
    found = [
        volume(100),
        volume(50, state='available', attached_to=()),
        volume(25, attached_to=('i-stopped',)),
        volume(25, volume_type='new'),
    ]
    assert values(storage_costs.volumes(found, {('us-east-1', 'gp3'): GP3}, {'i-stopped'})) == {
        'cost.ebs_monthly_usd': pytest.approx(14),
        'cost.unattached_ebs_monthly_usd': pytest.approx(4),
        'cost.stopped_ebs_monthly_usd': pytest.approx(2),
        'cost.ebs_price_coverage_pct': pytest.approx(87.5),
    }


def test_without_any_price_the_cost_of_volumes_is_absent():
    found = values(storage_costs.volumes([volume(100)], {}, set()))
    assert found['cost.ebs_monthly_usd'] is None
    assert found['cost.unattached_ebs_monthly_usd'] == 0
    assert found['cost.ebs_price_coverage_pct'] == 0


def test_snapshots_need_a_price_in_each_region():
    found = [snapshot(full_bytes=20 * 2**30), snapshot(full_bytes=10 * 2**30, region='eu-west-1')]
    prices = {'us-east-1': 0.05, 'eu-west-1': 0.06}
    assert values(storage_costs.snapshots(found, prices)) == {'cost.snapshots_monthly_usd': pytest.approx(1.0 + 0.6)}
    assert values(storage_costs.snapshots(found, {'us-east-1': 0.05})) == {'cost.snapshots_monthly_usd': None}
    assert values(storage_costs.snapshots([], {})) == {'cost.snapshots_monthly_usd': 0}

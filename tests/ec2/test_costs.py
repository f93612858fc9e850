from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metta_checks.ec2.measures import instance_costs, regions, storage_costs
from metta_checks.ec2.prices import Price, PricedInstance, VolumePrices
from metta_checks.ec2.tag_keys import TagKey

from .builders import NOW, ago, fleet, instance, priced, values, volume

GP3 = VolumePrices(0.08, (0.005, None, None), 0.04)
IO2 = VolumePrices(0.125, (0.065, 0.0455, 0.0318), None)


COST_CENTER, TEAM = TagKey.of('Cost Center'), TagKey.of('team')


def priced_fleet(*found):
    running = [one.instance for one in found]
    return values(
        [
            *instance_costs.measure(found, fleet(*running), NOW),
            *regions.hourly(found, {'us-east-1': running, 'us-west-2': []}, ()),
        ]
    )


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
    gpu: dict[str, Any] = {'instance_type': 'g6.12xlarge'}
    unknown: dict[str, Any] = {'instance_type': 'x99.large'}
    found = priced_fleet(priced(1.0), priced(4.0, **gpu))
    assert found['cost.gpu_hourly_usd'] == 4
    assert priced_fleet(priced(1.0))['cost.gpu_hourly_usd'] == 0
    assert priced_fleet(priced(None, **gpu), priced(1.0))['cost.gpu_hourly_usd'] is None
    assert priced_fleet(*[priced(4.0, **gpu)] * 9, priced(1.0, **unknown))['cost.gpu_hourly_usd'] == 36
    assert 'cost.gpu_hourly_usd' not in priced_fleet(*[priced(4.0, **gpu)] * 8, priced(1.0, **unknown))


def test_the_oldest_price_in_use_decides_the_age():
    old = Price(1.0, ago(hours=30))
    found = [priced(1.0), PricedInstance(instance(), None, old)]
    assert instance_costs.price_age_hours(found, NOW) == pytest.approx(30)


def test_prices_of_the_table_have_no_age():
    assert instance_costs.price_age_hours([PricedInstance(instance(), None, Price(1.0, None))], NOW) is None


def test_by_tag():
    found = [
        priced(1.0, tags={'Cost Center': 'A'}),
        priced(2.0, tags={'Cost Center': 'a'}),
        priced(4.0, tags={'Cost Center': ''}),
        priced(8.0),
        priced(None, tags={'Cost Center': 'free'}),
    ]
    assert values(instance_costs.by_tag(found, COST_CENTER)) == {
        ('cost.by_tag_hourly_usd.cost_center', 'a'): 3,
        ('cost.by_tag_hourly_usd.cost_center', 'none'): 12,
        'cost.untagged_pct.cost_center': 80,
    }


def test_the_cheapest_tag_values_are_summed_as_other():
    found = values(instance_costs.by_tag([priced(float(n), tags={'team': f't{n}'}) for n in range(1, 53)], TEAM))
    assert len(found) == 51 + 1
    assert found['cost.by_tag_hourly_usd.team', 'other'] == 1 + 2


def test_idle_costs():
    found = [priced(1.0, instance_id='i-1'), priced(2.0, instance_id='i-2', tags={'team': 'ml'})]
    assert values(instance_costs.idle(found, {'i-2', 'i-gone'})) == {'cost.idle_hourly_usd': 2}
    assert values(instance_costs.idle(found, set())) == {'cost.idle_hourly_usd': 0}
    assert values(instance_costs.idle_by_tag(found, {'i-2'}, TEAM)) == {('cost.idle_by_tag_hourly_usd.team', 'ml'): 2}


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
    found = storage_costs.monthly(
        [
            (volume(100), GP3),
            (volume(50, state='available', attached_to=(), tags={'team': 'ML'}), GP3),
            (volume(25, attached_to=('i-stopped',)), GP3),
            (volume(25, volume_type='new'), None),
        ]
    )
    assert values(storage_costs.by_tag(found, TEAM)) == {
        ('cost.ebs_by_tag_monthly_usd.team', 'ml'): pytest.approx(4),
        ('cost.ebs_by_tag_monthly_usd.team', 'none'): pytest.approx(10),
    }
    assert values(storage_costs.volumes(found, {'i-stopped'})) == {
        'cost.ebs_monthly_usd': pytest.approx(14),
        'cost.unattached_ebs_monthly_usd': pytest.approx(4),
        'cost.stopped_ebs_monthly_usd': pytest.approx(2),
        'cost.ebs_price_coverage_pct': pytest.approx(87.5),
    }


def test_without_any_price_the_cost_of_volumes_is_absent():
    found = values(storage_costs.volumes(storage_costs.monthly([(volume(100), None)]), set()))
    assert found['cost.ebs_monthly_usd'] is None
    assert found['cost.unattached_ebs_monthly_usd'] == 0
    assert found['cost.ebs_price_coverage_pct'] == 0


def test_snapshots_need_every_price():
    assert values(storage_costs.snapshots([(20, 0.05), (10, 0.06)])) == {
        'cost.snapshots_monthly_usd': pytest.approx(1.0 + 0.6)
    }
    assert values(storage_costs.snapshots([(20, 0.05), (10, None)])) == {'cost.snapshots_monthly_usd': None}
    assert values(storage_costs.snapshots([])) == {'cost.snapshots_monthly_usd': 0}


# Properties.

PRICED = st.builds(
    priced,
    st.none() | st.floats(0.01, 100),
    lifecycle=st.sampled_from(['on_demand', 'spot', 'capacity_block']),
    instance_type=st.sampled_from(['m5.large', 'g6.12xlarge', 'trn1.2xlarge']),
    region=st.sampled_from(['us-east-1', 'us-west-2']),
    tags=st.dictionaries(st.just('team'), st.sampled_from(['ML', 'ml', 'M L', 'm-l', '', '__'])),
)


def by_name(found, name):
    return sum(value or 0 for key, value in found.items() if key[0] == name)


@given(st.lists(PRICED))
def test_parts_add_up(found):
    running = [one.instance for one in found]
    figures = values(
        [
            *instance_costs.measure(found, fleet(*running), NOW),
            *instance_costs.by_gpu_type(found, fleet(*running)),
            *instance_costs.by_tag(found, TEAM),
            *regions.hourly(found, {one.region: running for one in running}, ()),
        ]
    )
    hourly = figures['cost.running_hourly_estimate'] or 0
    assert by_name(figures, 'cost.by_tag_hourly_usd.team') == pytest.approx(hourly)
    assert by_name(figures, 'region.hourly_usd') == pytest.approx(hourly)
    assert by_name(figures, 'cost.by_gpu_type_hourly_usd') == pytest.approx(figures['cost.gpu_hourly_usd'] or 0)


@given(st.lists(PRICED, min_size=1))
def test_removing_an_instance_never_raises_the_cost(found):
    whole, rest = priced_fleet(*found), priced_fleet(*found[1:])
    for name in ('cost.running_hourly_estimate', 'cost.gpu_hourly_usd', 'cost.ondemand_equivalent_hourly_usd'):
        assert (rest[name] or 0) <= (whole[name] or 0) + 1e-9

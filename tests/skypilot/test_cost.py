"""Prices, costs and the option `prices`."""

from __future__ import annotations

import json

import pytest
from datadog_checks.base import ConfigurationError
from hypothesis import given
from hypothesis import strategies as st

from metta_checks.core import stored
from metta_checks.skypilot import price_list
from metta_checks.skypilot.kinds import Kinds
from metta_checks.skypilot.measures import cost as measures
from metta_checks.skypilot.measures.cost import RatedCluster
from metta_checks.skypilot.price_list import JobPrices, PriceList
from metta_checks.skypilot.resources import Machine
from metta_checks.skypilot.settings import gpu_prices

from .build import DAY, HOUR, NOW, before, bill, queue, record, values

pytestmark = pytest.mark.unit

# cloud, type, accelerator, count, vCPU, device memory, memory, price, spot price, region
ROWS = {
    'L4': [
        ['AWS', 'g6.12xlarge', 'L4', 4.0, 48.0, 22.0, 192.0, 4.6, 1.8, 'us-east-1'],
        ['AWS', 'g6.12xlarge', 'L4', 4.0, 48.0, 22.0, 192.0, 5.1, None, 'eu-west-1'],
        ['AWS', 'g6.xlarge', 'L4', 1.0, 4.0, 22.0, 16.0, 0.8, 0.3, 'us-east-1'],
    ],
    'broken': [['AWS'], None, 'x'],
}
G6 = ('aws', 'g6.12xlarge')
OPTION = {'l4': {'ondemand': 1.0, 'spot': 0.4}}


def rated(*bills, listed=None, option=None):
    return [RatedCluster(one, price_list.cluster_rate(one, listed or PriceList(), option or {})) for one in bills]


class TestRate:
    def test_the_bill_comes_first_and_includes_all_nodes(self):
        listed = PriceList.parse(ROWS, [G6])
        assert price_list.cluster_rate(bill(nodes=2), listed, OPTION) == pytest.approx(2.0)

    @pytest.mark.parametrize(('cost', 'duration'), [(0.0, 36000.0), (5.0, 0.0), (-1.0, 10.0)])
    def test_a_bill_of_nothing_has_no_price(self, cost, duration):
        assert price_list.cluster_rate(bill(total_cost=cost, duration=duration), PriceList(), {}) is None

    @pytest.mark.parametrize(
        ('region', 'market', 'expected'),
        [
            ('us-east-1', 'spot', 3.6),
            ('us-east-1', 'ondemand', 9.2),
            ('eu-west-1', 'spot', None),
            ('us-west-2', 'spot', None),
        ],
    )
    def test_then_the_price_list_of_exactly_this_region_and_market_times_nodes(self, region, market, expected):
        one = bill(total_cost=0.0, nodes=2, region=region, market=market)
        found = price_list.cluster_rate(one, PriceList.parse(ROWS, [G6]), {})
        assert found == (expected and pytest.approx(expected))

    def test_then_the_option_per_gpu(self):
        one = bill(total_cost=0.0, nodes=2)
        assert price_list.cluster_rate(one, PriceList(), OPTION) == pytest.approx(8 * 0.4)
        assert price_list.cluster_rate(bill(total_cost=0.0, market='unknown'), PriceList(), OPTION) is None
        assert price_list.cluster_rate(bill(total_cost=0.0, accelerators={'h100': 8}), PriceList(), OPTION) is None
        assert price_list.cluster_rate(bill(total_cost=0.0, accelerators={}), PriceList(), OPTION) is None

    def test_kubernetes_is_not_in_the_price_list(self):
        one = bill(total_cost=0.0, cloud='kubernetes', instance_type='cpus=4, mem=16')
        assert price_list.cluster_rate(one, PriceList(), OPTION) == pytest.approx(4 * 0.4)
        assert price_list.unbilled([one]) == set()

    def test_only_what_is_missing_is_asked_for(self):
        assert price_list.unbilled([bill(), bill(total_cost=0.0), bill(total_cost=0.0, instance_type=None)]) == {G6}

    def test_the_price_list_keeps_what_was_asked_and_survives_json(self):
        listed = PriceList.parse(ROWS, [G6])
        assert set(listed.by_machine) == {'aws/g6.12xlarge/us-east-1/l4:4', 'aws/g6.12xlarge/eu-west-1/l4:4'}
        assert stored.load(PriceList, json.loads(stored.dumps(listed))) == listed
        assert PriceList.parse(None, [G6]).by_machine == {}

    def test_a_job_has_the_price_of_such_machines(self):
        (job,) = queue(record(cluster_resources='2x[spot](gpus=L4:4, g6.12xlarge, ...)')).jobs
        task = job.current
        machine = Machine('aws', 'g6.12xlarge', 'us-east-1', 'spot', (('l4', 4.0),))
        assert price_list.billed_machine_prices([bill(nodes=2)]) == {machine: 1.0}
        assert JobPrices({}, {machine: 1.5}, PriceList(), {}).of_task(task) == 3.0
        assert JobPrices({}, {}, PriceList.parse(ROWS, [G6]), {}).of_task(task) == 3.6
        assert JobPrices({}, {}, PriceList(), OPTION).of_task(task) == pytest.approx(3.2)
        assert JobPrices({}, {}, PriceList(), {}).of_task(task) is None
        assert JobPrices({1: 9.5}, {machine: 1.5}, PriceList(), {}).of(job) == 9.5

    def test_a_job_without_machines_has_no_price(self):
        (job,) = queue(record(1, 'STARTING', cluster_resources='-', accelerators={})).jobs
        assert JobPrices({}, {}, PriceList.parse(ROWS, [G6]), OPTION).of(job) is None


class TestOption:
    def test_names_in_any_case(self):
        assert gpu_prices({'L4': {'spot': 1}}) == {'l4': {'spot': 1.0}}
        assert gpu_prices({}) == {}

    @pytest.mark.parametrize(
        ('option', 'message'),
        [
            ({'l4': 0.8}, 'option `prices`: l4 needs USD per GPU-hour as `ondemand`, `spot` or both'),
            ({'l4': {}}, 'l4 needs USD'),
            ({'l4': {'reserved': 1}}, 'l4 needs USD'),
            ({'l4': {'spot': 'cheap'}}, "the spot price of l4 must be an amount of USD, not 'cheap'"),
            ({'l4': {'ondemand': -1}}, 'the ondemand price of l4 must be an amount of USD, not -1'),
        ],
    )
    def test_mistakes_are_named(self, option, message):
        with pytest.raises(ConfigurationError, match=message):
            gpu_prices(option)


class TestCost:
    def test_unpriced_clusters_stay_out_of_the_sum_and_in_the_coverage(self):
        found = values(
            measures.cost(
                rated(
                    bill('a'),
                    bill('b', total_cost=0.0),
                    bill('pods', total_cost=0.0, cloud='kubernetes'),
                    bill('stopped', 'STOPPED', intervals=[]),
                ),
                NOW,
            )
        )
        assert found['cost.hourly_usd'] == pytest.approx(2.0)
        assert found['cost.unpriced_clusters'] == 2
        assert found['cost.price_coverage_pct'] == pytest.approx(100 / 3)

    def test_nothing_is_up(self):
        found = values(measures.cost(rated(bill('a', None, intervals=[(before(3 * DAY), before(2 * DAY))])), NOW))
        assert (found['cost.hourly_usd'], found['cost.spend_usd_24h'], found['cost.unpriced_clusters']) == (0, 0, 0)
        assert 'cost.price_coverage_pct' not in found

    def test_nothing_has_a_price(self):
        found = values(measures.cost(rated(bill(total_cost=0.0)), NOW))
        assert 'cost.hourly_usd' not in found
        assert 'cost.spend_usd_24h' not in found
        assert found['cost.price_coverage_pct'] == 0

    def test_spend_is_of_the_last_day_only_and_by_interval(self):
        # 2 USD per hour: up for 30 hours until 20 hours ago, again since 3 hours ago; 66 USD in its whole life.
        life = [(before(50 * HOUR), before(20 * HOUR)), (before(3 * HOUR), None)]
        one = bill(total_cost=66.0, duration=33 * HOUR, intervals=life)
        gone = bill('b', None, total_cost=10.0, duration=5 * HOUR, intervals=[(before(6 * HOUR), before(HOUR))])
        found = values(measures.cost(rated(one, gone), NOW))
        assert found['cost.spend_usd_24h'] == pytest.approx(2 * (4 + 3) + 2 * 5)
        assert found['cost.hourly_usd'] == pytest.approx(2.0)

    def test_the_breakdown_adds_up(self):
        some = rated(
            bill('a'),
            bill('b', market='ondemand', total_cost=50.0),
            bill('c', accelerators={}, total_cost=1.0),
            bill('d', total_cost=0.0),
            bill('e', 'STOPPED'),
        )
        found = values(measures.breakdown(some, Kinds((), {'a-hash', 'c-hash'}, complete=True)))
        assert found == {
            'cost.breakdown_hourly_usd cluster aws spot l4': pytest.approx(2.0),
            'cost.breakdown_hourly_usd replica aws ondemand l4': pytest.approx(5.0),
            'cost.breakdown_hourly_usd cluster aws spot none': pytest.approx(0.1),
        }
        assert sum(found.values()) == pytest.approx(values(measures.cost(some, NOW))['cost.hourly_usd'])

    @given(st.lists(st.tuples(st.floats(0, 60), st.floats(0, 60)), max_size=5))
    def test_nobody_spends_more_than_a_day_per_interval(self, pairs):
        intervals = [(before(max(pair) * HOUR), before(min(pair) * HOUR)) for pair in pairs]
        spent = values(measures.cost(rated(bill('a', None, intervals=intervals)), NOW))['cost.spend_usd_24h']
        assert 0 <= spent <= 2.0 * 24 * len(pairs) + 1e-6

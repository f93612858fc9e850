"""Relations that hold between figures, whatever AWS answers."""

from __future__ import annotations

import random
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sandbox
from metta_checks.core.errors import SourceError
from metta_checks.ec2 import client as requests
from metta_checks.ec2 import idle_search
from metta_checks.ec2.capacity import Reservation
from metta_checks.ec2.client import Client
from metta_checks.ec2.measures import accelerators, capacity, idle, instance_costs, instances, regions, storage_costs
from metta_checks.ec2.prices import VolumePrices
from metta_checks.ec2.records import (
    COMPLETE,
    IdleRecommendation,
    MetricValues,
    Reading,
    RecommendationError,
    Utilization,
)
from metta_checks.ec2.settings import IdleSettings
from metta_checks.ec2.tag_keys import TagKey
from metta_checks.testing import Driver
from sandbox.every_option import EVERY_OPTION
from sandbox.server import Running

from .builders import NOW, ago, fleet, instance, priced, values, volume

TEAM = TagKey('team', 'team', 'team')
TAGS = st.dictionaries(st.just('team'), st.sampled_from(['ML', 'ml', '', 'research']))
# AWS describes the first three types, see builders.TYPES.
KINDS = st.sampled_from(['m5.large', 'g6.12xlarge', 'trn1.2xlarge', 'x99.large'])
LIFECYCLES = st.sampled_from(['on_demand', 'spot', 'capacity_block'])
STATES = st.sampled_from(['pending', 'running', 'running', 'stopped'])
INSTANCES = st.lists(
    st.builds(instance, KINDS, STATES, lifecycle=LIFECYCLES, tags=TAGS, launched=st.sampled_from([ago(days=3), NOW])),
    max_size=40,
)
VOLUMES = st.lists(
    st.tuples(
        st.builds(
            volume,
            st.integers(1, 999),
            state=st.sampled_from(['in-use', 'available', 'error']),
            attached_to=st.sampled_from([(), ('i-stopped',), ('i-other',), ('i-stopped', 'i-other')]),
            tags=TAGS,
        ),
        st.none() | st.just(VolumePrices(0.08, (0.005, None, None), 0.04)),
    )
)
BUSY, QUIET = Utilization(50.0, 1e9), Utilization(1.0, 10.0)
READINGS = st.sampled_from([Reading(BUSY), Reading(QUIET), Reading(QUIET), Reading(None), Reading(None, 'Failed')])
ERRORS = (RecommendationError('i-none', 'x', concerns_instances=True),)
HOURLY = 'cost.running_hourly_estimate'


class FakeClient:
    """Answers for each instance with a reading, or with what Compute Optimizer makes of it."""

    def __init__(self, readings: dict[str, Reading]) -> None:
        self.readings = readings

    def utilization(self, _: str, ids: Any, __: Any) -> dict[str, Reading]:
        return {one: self.readings[one] for one in ids}

    def idle_recommendations(self, _: str) -> Any:
        yield from ERRORS
        for one, reading in self.readings.items():
            if reading.failure:
                yield RecommendationError(one, reading.failure, concerns_instances=True)
            elif reading.utilization is QUIET:
                yield IdleRecommendation(one, is_idle=True)


def by_name(found: dict[Any, float | None], name: str) -> float:
    return sum(value or 0 for key, value in found.items() if name in (key, key[0]))


@given(INSTANCES, st.data(), st.sampled_from(['cloudwatch', 'compute_optimizer']), st.integers(1, 50))
def test_idle_instances_are_part_of_the_running_ones(drawn, data, source, most):
    owned = fleet(*drawn)
    client = cast(Client, FakeClient({one.instance_id: data.draw(READINGS) for one in drawn}))
    rule = IdleSettings(source=source, max_instances=most)
    try:
        found = idle_search.search(client, owned, ['us-east-1'], rule, NOW)
    except SourceError:
        # Too many failed.
        assert source == 'cloudwatch'
        return
    remembered = found.of_known_type(owned.types)
    # Some of the instances have ended since the search.
    later = fleet(*data.draw(st.lists(st.sampled_from(drawn), unique_by=id)) if drawn else [])
    shown, unknown = remembered.running(later)
    assert len(shown) + (unknown or 0) <= len(later.running)
    figures = values(idle.measure(shown, later.types, unknown))
    assert by_name(figures, 'instances.idle') + by_name(figures, 'instances.gpu_idle') == len(shown)
    paid = [priced(1.0, instance_type=one.instance_type, instance_id=one.instance_id) for one in later.running]
    cost = values(instance_costs.idle(paid, remembered.ids))['cost.idle_hourly_usd'] or 0
    assert cost == len(shown) <= by_name(values(instance_costs.measure(paid, later, NOW)), HOURLY)


@given(INSTANCES)
def test_gpus_by_lifecycle_and_tag_add_up(drawn):
    owned = fleet(*drawn)
    figures = values(
        [
            *accelerators.measure(owned),
            *accelerators.by_lifecycle(owned),
            *accelerators.by_tag(owned, TEAM),
        ]
    )
    total = by_name(figures, 'instances.gpus')
    assert by_name(figures, 'gpus.running') == by_name(figures, 'gpus.by_tag.team') == total
    known = figures.get('instances.gpu_count')
    # The three are absent together, while too many types are not known.
    assert known is not None or total == 0
    if known is not None:
        parts = (known, figures['instances.cpu_count'], figures['instances.unknown_type'])
        assert sum(part or 0 for part in parts) == len(owned.running)


@given(VOLUMES)
def test_the_cost_of_volumes_adds_up(drawn):
    paid = storage_costs.monthly(drawn)
    figures = values([*storage_costs.volumes(paid, {'i-stopped'}), *storage_costs.by_tag(paid, TEAM)])
    total = figures['cost.ebs_monthly_usd'] or 0
    assert by_name(figures, 'cost.ebs_by_tag_monthly_usd.team') == pytest.approx(total)
    rest = values(storage_costs.volumes(paid[1:], {'i-stopped'}))
    for name in ('cost.ebs_monthly_usd', 'cost.unattached_ebs_monthly_usd', 'cost.stopped_ebs_monthly_usd'):
        assert (rest[name] or 0) <= (figures[name] or 0) + 1e-9
        assert (figures[name] or 0) <= total + 1e-9


@given(st.lists(st.tuples(KINDS, st.integers(0, 9), st.integers(0, 9))), st.integers(1, 4))
def test_unused_capacity_is_part_of_the_reserved_one(drawn, most):
    found = [Reservation(kind, used + unused, unused) for kind, used, unused in drawn]
    figures = values(capacity.reserved(found, ['p5.48xlarge'], max_types=most))
    for (name, kind), count in figures.items():
        if name == 'capacity.unused_instances':
            assert (count or 0) <= (figures['capacity.reserved_instances', kind] or 0)
    assert by_name(figures, 'capacity.reserved_instances') == sum(one.instances for one in found)


@given(INSTANCES, st.randoms(use_true_random=False))
def test_the_order_of_a_list_does_not_matter(drawn, dice):
    def figures(some: list[Any]) -> dict[Any, Any]:
        owned = fleet(*some)
        paid = [priced(0.1 * len(one.tags) + 0.1, instance_type=one.instance_type, tags=one.tags) for one in some]
        return values(
            [
                *instances.measure(owned, NOW, max_types=3),
                *accelerators.measure(owned),
                *accelerators.by_lifecycle(owned),
                *instance_costs.measure(paid, owned, NOW),
                *instance_costs.by_tag(paid, TEAM),
                *regions.hourly(paid, {'us-east-1': owned.running}, ()),
            ]
        )

    shuffled = dice.sample(drawn, len(drawn))
    assert figures(shuffled) == pytest.approx(figures(drawn))


@given(
    st.lists(st.tuples(st.lists(st.floats(0, 100), max_size=9), st.sampled_from([COMPLETE, 'PartialData'])), min_size=1)
)
def test_values_on_several_pages_are_those_of_one(drawn):
    pages = [MetricValues('q', tuple(some), status) for some, status in drawn]
    whole = pages[0]
    for later in pages[1:]:
        whole = whole.joined(later)
    assert whole.values == tuple(value for some, _ in drawn for value in some)
    assert whole.status == drawn[-1][1]


# Over sockets.


@pytest.fixture(scope='module')
def service():
    situations = ['capacity', 'interruptions', 'commitments', 'zones']
    with Running(sandbox.service('ec2', scale=0.05, situations=situations)) as started:
        yield started


@pytest.fixture(scope='module')
def plain(service):
    return Driver.of(service).run().figures()


@pytest.mark.integration
@pytest.mark.parametrize(('option', 'value'), EVERY_OPTION['ec2'].items(), ids=lambda one: str(one))
def test_an_option_changes_only_its_own_figures(service, plain, option, value):
    found = Driver.of(service, **{option: value}).run().figures()
    assert found.keys() > plain.keys()
    assert {key: found[key] for key in plain} == plain


@pytest.mark.integration
def test_the_size_of_pages_does_not_matter(service, monkeypatch):
    whole = Driver.of(service, **EVERY_OPTION['ec2']).run().figures()
    for name in ('INSTANCES', 'VOLUMES', 'SNAPSHOTS', 'IMAGES', 'REQUESTS', 'RESERVATIONS', 'SPOT_PRICES'):
        monkeypatch.setattr(requests, f'{name}_PER_PAGE', random.Random(name).randint(5, 9))
    monkeypatch.setattr(requests, 'TYPES_PER_CALL', 5)
    monkeypatch.setattr(requests, 'QUERIES_PER_CALL', 9)
    monkeypatch.setattr(service.json_services, 'datapoints', 100)
    assert Driver.of(service, **EVERY_OPTION['ec2']).run().figures() == pytest.approx(whole)

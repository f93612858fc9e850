"""The truth of the sandbox on small estates, computed by hand from the prices of the tariff."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sandbox.ec2.cost_explorer import COMPUTE, BillRow, Commitment, CostExplorer
from sandbox.ec2.estate import GIB, Capacity, Copy, Disk, Estate, Image, Machine, SpotRequest
from sandbox.ec2.truth import Truth

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
ACCOUNT, OTHER = '123456789012', '555566667777'
EAST, WEST = 'us-east-1', 'us-west-2'


def ago(**delta: float) -> datetime:
    return NOW - timedelta(**delta)


def machine(kind: str = 'm5.large', **what) -> Machine:
    given = {'id': f'i-{id(what)}', 'region': EAST, 'zone': f'{EAST}a', 'state': 'running', 'created': ago(days=10)}
    return Machine(kind=kind, **{**given, 'started': ago(days=5), **what})


def disk(size: int, **what) -> Disk:
    given = {'id': f'vol-{id(what)}', 'region': EAST, 'kind': 'gp3', 'state': 'available', 'created': ago(days=40)}
    return Disk(size=size, **{**given, 'iops': 3000, 'throughput': 125, **what})


def copy(name: str, size: int, full: int | None, **what) -> Copy:
    given = {'region': EAST, 'state': 'completed', 'disk': 'vol-gone', 'begun': ago(days=5)}
    return Copy(id=name, size=size, full_bytes=full and full * GIB, **{**given, **what})


def truth(*, explorer: CostExplorer | None = None, options=None, **resources) -> dict[str, float]:
    """Return the figures by name, or by name and the values of their tags."""
    bill = explorer or CostExplorer(ACCOUNT, OTHER, ())
    found = Truth(Estate(**resources), (EAST, WEST), NOW, bill, options).figures()
    return {
        ' '.join([one.name.removeprefix('metta.ec2.'), *(tag.partition(':')[2] for tag in one.tags)]): one.value
        for one in found
    }


def some(figures: dict[str, float], *prefixes: str) -> dict[str, float]:
    return {name: value for name, value in figures.items() if name.startswith(prefixes)}


def test_a_place_has_its_own_price_and_an_outpost_none():
    figures = truth(
        machines=[
            machine(),
            machine(region=WEST, zone='us-west-2-lax-1a'),
            machine(zone='us-east-1-wl1-bos-wlz-1'),
            machine(zone='us-east-1-mia-2a'),
            machine(on_outpost=True),
        ],
        disks=[disk(100), disk(100, region=WEST, zone='us-west-2-lax-1a'), disk(50, on_outpost=True)],
    )
    # 0.096 in the region, 1.25 and 1.4 times as much at the edge, nothing for the unlisted zone and the Outpost.
    hourly = 0.096 + 0.12 + 0.1344
    assert figures['cost.running_hourly_estimate'] == pytest.approx(hourly)
    assert figures['region.hourly_usd us-west-2'] == pytest.approx(0.12)
    # Three of four: the Outpost does not count.
    assert figures['cost.price_coverage_pct'] == 75
    assert figures['instances.running'] == 5
    assert figures['cost.ebs_monthly_usd'] == pytest.approx(100 * 0.08 + 100 * 0.08 * 1.25)
    assert figures['cost.ebs_price_coverage_pct'] == 100
    assert figures['ebs.volumes.size_gb'] == 250


def test_only_outposts_cost_nothing_and_have_no_coverage():
    figures = truth(machines=[machine(on_outpost=True)])
    assert figures['cost.running_hourly_estimate'] == 0
    assert 'cost.price_coverage_pct' not in figures


def test_a_capacity_block_is_paid_in_advance():
    figures = truth(machines=[machine('p5.48xlarge', lifecycle='capacity-block'), machine()])
    assert figures['cost.running_hourly_estimate'] == pytest.approx(0.096)
    assert figures['cost.ondemand_equivalent_hourly_usd'] == pytest.approx(55.04 + 0.096)
    assert figures['cost.price_coverage_pct'] == 50
    # There is such an instance, and none has a price.
    assert 'cost.gpu_hourly_usd' not in figures
    assert figures['instances.gpu_count'] == 1


def test_idle_needs_23_hours_of_each_metric():
    loads = ('idle', 'gap', 'gaps', 'deaf', 'silent', 'busy', 'chatty', 'spiky')
    figures = truth(
        machines=[machine(load=load) for load in loads]
        + [machine('g5.xlarge', load='gap'), machine(load='gaps', started=ago(hours=23))]
    )
    assert some(figures, 'instances.idle', 'instances.gpu_idle') == {
        'instances.idle': 2,
        'instances.gpu_idle': 1,
        'instances.idle_unknown': 3,
    }
    assert figures['cost.idle_hourly_usd'] == pytest.approx(2 * 0.096 + 1.006)


def test_accelerators_that_are_not_gpus():
    figures = truth(
        machines=[machine(kind) for kind in ('trn1.2xlarge', 'f2.12xlarge', 'vt1.6xlarge', 'dl2q.24xlarge', 'm5.large')]
    )
    assert figures['instances.accelerators'] == 1 + 2 + 2 + 8
    assert (figures['instances.gpu_count'], figures['instances.cpu_count']) == (4, 1)
    costs = some(figures, 'cost.by_gpu_type_hourly_usd')
    assert sum(costs.values()) == pytest.approx(figures['cost.gpu_hourly_usd'])
    assert costs['cost.by_gpu_type_hourly_usd trainium'] == pytest.approx(1.3438)


@pytest.mark.parametrize(('described', 'known'), [(9, True), (8, False)])
def test_a_tenth_of_the_types_may_be_unknown(described, known):
    figures = truth(machines=[machine() for _ in range(described)] + [machine('cg1.4xlarge')])
    assert figures['instances.unknown_type'] == 1
    assert ('instances.cpu_count' in figures) is known
    assert figures.get('instances.cpu_count', 9) == 9
    # It has a price all the same.
    assert figures['cost.running_hourly_estimate'] == pytest.approx(described * 0.096 + 2.1)


def test_gpus_by_lifecycle_and_their_cost():
    figures = truth(
        machines=[
            machine('g5.xlarge'),
            machine('g5.xlarge', lifecycle='scheduled'),
            machine('g6f.large'),
            machine('p4d.24xlarge', state='stopped', stopped=ago(days=1)),
        ]
    )
    assert some(figures, 'gpus.running', 'cost.by_gpu') == pytest.approx(
        {
            'gpus.running a10g on_demand': 1,
            'gpus.running a10g scheduled': 1,
            'gpus.running l4 on_demand': 0.125,
            'cost.by_gpu_type_hourly_usd a10g': 2 * 1.006,
            'cost.by_gpu_type_hourly_usd l4': 0.202,
        }
    )


def test_tags_as_datadog_stores_them():
    figures = truth(
        machines=[
            machine(team='Data Science', load='idle'),
            machine(team='data_science'),
            machine('g5.xlarge', team='Équipe 7'),
            machine(team='!!'),
            machine(tags={'Team': 'no such key'}),
        ],
        disks=[disk(100, tags={'team': 'DATA  science'}), disk(50)],
        options={'tag_by': ['team']},
    )
    assert some(figures, 'cost.by_tag', 'cost.idle_by', 'cost.ebs_by', 'gpus.by_tag') == pytest.approx(
        {
            'cost.by_tag_hourly_usd.team data_science': 0.192,
            'cost.by_tag_hourly_usd.team équipe_7': 1.006,
            'cost.by_tag_hourly_usd.team none': 0.192,
            'cost.idle_by_tag_hourly_usd.team data_science': 0.096,
            'cost.ebs_by_tag_monthly_usd.team data_science': 8,
            'cost.ebs_by_tag_monthly_usd.team none': 4,
            'gpus.by_tag.team équipe_7': 1,
        }
    )
    assert figures['cost.untagged_pct.team'] == pytest.approx(100 * 0.192 / (0.192 + 1.006 + 0.192))


def test_snapshots_of_images_and_in_the_archive():
    copies = [
        copy('snap-1', 100, 40),
        copy('snap-2', 100, None),
        copy('snap-3', 100, 60, archived=True),
        copy('snap-4', 100, 80, archived=True, restored_until=ago(days=-1)),
        copy('snap-5', 100, 80, archived=True, restored_until=ago(days=1)),
        copy('snap-6', 100, 20, region=WEST, zone='us-west-2-lax-1a'),
        copy('snap-7', 100, 20, on_outpost=True),
        copy('snap-8', 100, 20, state='error'),
        copy('snap-9', 100, 20, disk='vol-ffffffff'),
    ]
    images = [
        Image('ami-1', EAST, ('snap-1',)),
        Image('ami-2', EAST, ('snap-2',), 'disabled'),
        Image('ami-3', EAST, ('snap-3',), 'deregistered'),
    ]
    figures = truth(copies=copies, images=images)
    # Not 1 and 2, which images need, not 8, which is not complete, and not 9, which never had a volume.
    assert figures['ebs.snapshots.orphaned'] == 5
    assert figures['ebs.snapshots.total'] == 8
    standard, archive = 0.05, 0.0125
    assert figures['cost.snapshots_monthly_usd'] == pytest.approx(
        40 * standard
        + 100 * standard
        + 60 * archive
        + 80 * (standard + archive)
        + 80 * archive
        + 20 * standard * 1.25
        + 20 * standard
    )
    assert 'ebs.snapshots.orphaned' not in truth(copies=copies, options={'read_images': False})
    assert some(truth(copies=copies, options={'read_snapshots': False}), 'ebs.snapshots') == {}


def test_volumes_by_state():
    states = ['creating', 'error', 'error', 'available', 'in-use', 'deleting']
    figures = truth(disks=[disk(10, state=state) for state in states])
    assert some(figures, 'ebs.volumes.by_state') == {
        'ebs.volumes.by_state creating': 1,
        'ebs.volumes.by_state available': 1,
        'ebs.volumes.by_state in-use': 1,
        'ebs.volumes.by_state error': 2,
    }
    assert figures['ebs.volumes.total'] == 5


def test_capacity_of_the_account_itself():
    figures = truth(
        capacities=[
            Capacity('cr-1', EAST, 'p5.48xlarge', 4, 3),
            Capacity('cr-2', WEST, 'p5.48xlarge', 2, 0, block=True),
            Capacity('cr-3', EAST, 'm5.large', 7, 7, state='expired'),
            Capacity('cr-4', EAST, 'm5.large', 6, 6, owner=OTHER),
        ]
    )
    assert some(figures, 'capacity.') == {
        'capacity.reserved_instances p5.48xlarge': 6,
        'capacity.unused_instances p5.48xlarge': 3,
    }


def test_interruptions_by_aws_in_a_day():
    def request(hours, code):
        return SpotRequest(f'sir-{hours}', EAST, 'g5.xlarge', 'closed', code, ago(hours=hours))

    figures = truth(
        requests=[
            request(1, 'instance-terminated-no-capacity'),
            request(23, 'instance-stopped-by-price'),
            request(25, 'instance-terminated-by-price'),
            request(2, 'instance-terminated-by-user'),
            request(3, 'marked-for-termination'),
        ]
    )
    assert some(figures, 'spot.') == {'spot.interruptions_24h g5.xlarge': 2}


def test_the_bill_is_that_of_the_account_without_credits():
    explorer = CostExplorer(ACCOUNT, OTHER, ())
    explorer.rows = [
        BillRow(ACCOUNT, COMPUTE, 'Usage', 100, 70),
        BillRow(ACCOUNT, 'EC2 - Other', 'Usage', 10, 10),
        BillRow(ACCOUNT, COMPUTE, 'Credit', -50, -50),
        BillRow(ACCOUNT, COMPUTE, 'Refund', -5, -5),
        BillRow(ACCOUNT, 'AWS Lambda', 'Usage', 3, 3),
        BillRow(OTHER, COMPUTE, 'Usage', 1000, 900),
    ]
    assert some(truth(explorer=explorer), 'cost.billed', 'cost.amortized') == {
        'cost.billed_yesterday_usd': 110,
        'cost.amortized_yesterday_usd': 80,
    }
    explorer.without_data.add('GetCostAndUsage')
    assert some(truth(explorer=explorer), 'cost.billed', 'cost.amortized') == {}


def test_commitments():
    explorer = CostExplorer(ACCOUNT, OTHER, ())
    explorer.commitments[ACCOUNT] = Commitment(30, 90, 50, 45, 12, 48, 16, 0.8)
    assert some(truth(explorer=explorer), 'commitments.') == {
        'commitments.coverage_pct savings_plan': 25,
        'commitments.utilization_pct savings_plan': 90,
        'commitments.unused_yesterday_usd savings_plan': 5,
        'commitments.coverage_pct reservation': 25,
        'commitments.utilization_pct reservation': 75,
        'commitments.unused_yesterday_usd reservation': 0.8,
    }
    # An account without commitments: a coverage of 0 of its hours, and nothing else.
    assert some(truth(), 'commitments.') == {'commitments.coverage_pct reservation': 0}

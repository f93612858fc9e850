"""The truth about figures that an option switches on, beside those of cost: bill, commitments, GPUs, capacity, spot."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from . import tariff
from .cost_explorer import NOTHING, CostExplorer
from .truth_facts import Facts, Row

DAY = timedelta(days=1)
LIFECYCLES = {'': 'on_demand', 'spot': 'spot', 'scheduled': 'scheduled', 'capacity-block': 'capacity_block'}
# AWS itself interrupted the instance: it needed the capacity, the price rose, or the launch group broke.
INTERRUPTED = (
    'instance-terminated-by-price',
    'instance-terminated-no-capacity',
    'instance-terminated-capacity-oversubscribed',
    'instance-terminated-launch-group-constraint',
    'instance-stopped-by-price',
    'instance-stopped-no-capacity',
    'instance-stopped-capacity-oversubscribed',
)


def rows(facts: Facts, options: Mapping[str, Any], cost_explorer: CostExplorer) -> Iterator[Row]:
    """Yield the figures of the options that are set."""
    if options.get('cost_explorer') and 'GetCostAndUsage' not in cost_explorer.without_data:
        day = _complete_day(facts.now)
        yield 'cost.billed_yesterday_usd', cost_explorer.billed(day)
        yield 'cost.amortized_yesterday_usd', cost_explorer.amortized(day)
    if options.get('commitments'):
        yield from _commitments(cost_explorer)
    if options.get('gpu_breakdown'):
        yield from _gpus(facts)
    if options.get('capacity_reservations'):
        yield from _capacity(facts)
    if options.get('spot_interruptions'):
        yield from _interruptions(facts)


def _complete_day(now: datetime) -> date:
    """Return the last day that has been over for 36 hours."""
    day = now.date()
    while now - datetime(day.year, day.month, day.day, tzinfo=UTC) < timedelta(hours=24 + 36):
        day -= timedelta(days=1)
    return day


def _commitments(cost_explorer: CostExplorer) -> Iterator[Row]:
    own = cost_explorer.commitments.get(cost_explorer.account, NOTHING)
    lacking = cost_explorer.without_data
    plans, reservation = 'type:savings_plan', 'type:reservation'
    # Cost Explorer has no data about Savings Plans of an account without them.
    if own.committed and 'GetSavingsPlansCoverage' not in lacking:
        yield 'commitments.coverage_pct', 100 * own.covered / (own.covered + own.on_demand), plans
    if own.committed and 'GetSavingsPlansUtilization' not in lacking:
        yield 'commitments.utilization_pct', 100 * own.used / own.committed, plans
        yield 'commitments.unused_yesterday_usd', own.committed - own.used, plans
    if own.running_hours and 'GetReservationCoverage' not in lacking:
        yield 'commitments.coverage_pct', 100 * own.reserved_hours / own.running_hours, reservation
    if own.purchased_hours and 'GetReservationUtilization' not in lacking:
        yield 'commitments.utilization_pct', 100 * own.reserved_hours / own.purchased_hours, reservation
        yield 'commitments.unused_yesterday_usd', own.unused_cost, reservation


def _gpus(facts: Facts) -> Iterator[Row]:
    if not facts.knows_types:
        return
    numbers: dict[tuple[str, str], float] = defaultdict(float)
    for machine in facts.running:
        kind = tariff.KINDS[machine.kind]
        if kind.gpus:
            numbers[kind.gpu, LIFECYCLES.get(machine.lifecycle, 'other')] += kind.gpus
    costs: dict[str, float] = defaultdict(float)
    for machine, price in facts.priced():
        kind = tariff.KINDS[machine.kind]
        if kind.described and kind.accelerated:
            costs[kind.gpu or kind.device] += price
    for (model, lifecycle), number in numbers.items():
        yield 'gpus.running', number, f'gpu_type:{model}', f'lifecycle:{lifecycle}'
    for model, cost in costs.items():
        yield 'cost.by_gpu_type_hourly_usd', cost, f'gpu_type:{model}'


def _capacity(facts: Facts) -> Iterator[Row]:
    total: dict[str, int] = defaultdict(int)
    unused: dict[str, int] = defaultdict(int)
    for one in facts.estate.capacities:
        # A reservation of another account has an owner here.
        if one.region in facts.regions and one.state == 'active' and not one.owner:
            total[one.kind] += one.total
            unused[one.kind] += one.available
    for kind, number in total.items():
        yield 'capacity.reserved_instances', number, f'instance_type:{kind}'
        yield 'capacity.unused_instances', unused[kind], f'instance_type:{kind}'


def _interruptions(facts: Facts) -> Iterator[Row]:
    found: dict[str, int] = defaultdict(int)
    for one in facts.estate.requests:
        age = facts.now - one.changed.replace(microsecond=0)
        if one.region in facts.regions and one.code in INTERRUPTED and age < DAY:
            found[one.kind] += 1
    for kind, number in found.items():
        yield 'spot.interruptions_24h', number, f'instance_type:{kind}'

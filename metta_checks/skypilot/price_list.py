"""Hourly prices of clusters and jobs: from the server's bill, else from its price list, else from option `prices`.

There is no default price: machines without a price in all three stay without one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from statistics import median
from typing import Any

from ..core.fields import items, mapping, number, text
from ..core.stored import stored
from . import resources
from .cluster_records import Bill
from .records import Job, Task
from .resources import ON_DEMAND, SPOT, Machine, Resources, parse_accelerators
from .settings import GpuPrices

HOUR = 3600
# Not in the list: the machines are the user's own. A bill has a price for them where the server's configuration has
# one (`kubernetes.pricing`, `slurm.pricing`).
CLOUDS_NOT_LISTED = frozenset({'kubernetes', 'ssh', 'slurm'})
# Positions in a row of /list_accelerators.
_CLOUD, _TYPE, _NAME, _COUNT, _PRICE, _SPOT_PRICE, _REGION = 0, 1, 2, 3, 7, 8, 9


@stored
class PriceList:
    """A part of the server's list of prices, kept because the list is large and hardly changes.

    Attributes:
        by_machine: USD per hour of a machine, by `cloud/instance type/region/accelerators` and market
        asked: the clouds and instance types that it was read for; those that are not in `by_machine` have no price
    """

    by_machine: dict[str, dict[str, float]] = field(default_factory=dict)
    asked: frozenset[tuple[str, str]] = frozenset()

    @classmethod
    def parse(cls, answer: Any, asked: Iterable[tuple[str, str]]) -> PriceList:
        """Return the prices in the answer of /list_accelerators, which has rows by accelerator name.

        Rows of another form are left out.
        """
        asked = frozenset(asked)
        prices: dict[str, dict[str, float]] = {}
        for row in _rows(answer):
            cloud, instance_type = str(row[_CLOUD]).lower(), text(row[_TYPE])
            if instance_type is not None and (cloud, instance_type) in asked:
                machine = Machine.of(
                    cloud, text(row[_REGION]), Resources(), parse_accelerators({str(row[_NAME]): row[_COUNT]})
                )
                prices[_key(machine._replace(instance_type=instance_type))] = _by_market(row)
        return cls(prices, asked)

    def price(self, machine: Machine) -> float | None:
        """Return USD per hour of one machine of exactly this type, region and market, with these accelerators."""
        return self.by_machine.get(_key(machine), {}).get(machine.market)


def unbilled(bills: Iterable[Bill]) -> set[tuple[str, str]]:
    """Return the clouds and instance types of the clusters that have no price in their bill."""
    return listable(bill.machine for bill in bills if billed_rate(bill) is None)


def listable(machines: Iterable[Machine]) -> set[tuple[str, str]]:
    """Return the clouds and instance types that the price list may contain."""
    return {
        (machine.cloud, machine.instance_type)
        for machine in machines
        if machine.instance_type and machine.cloud not in CLOUDS_NOT_LISTED
    }


def billed_rate(bill: Bill) -> float | None:
    """Return USD per hour for all nodes, as the server bills it. None where the server has no price, written as 0."""
    if bill.total_cost <= 0 or bill.duration <= 0:
        return None
    return bill.total_cost / bill.duration * HOUR


def cluster_rate(bill: Bill, price_list: PriceList, gpu_prices: GpuPrices) -> float | None:
    """Return USD per hour of a cluster for all nodes: billed, else listed, else by the option `prices`."""
    billed = billed_rate(bill)
    if billed is not None:
        return billed
    price = price_list.price(bill.machine)
    if price is not None:
        return price * bill.nodes
    return gpu_rate(bill.accelerators, bill.nodes, bill.market, gpu_prices)


def billed_machine_prices(bills: Iterable[Bill]) -> dict[Machine, float]:
    """Return USD per hour of one machine of each kind that has a price in some bill.

    Prices of one kind differ a little between zones and times: the median of them is taken.
    """
    prices: dict[Machine, list[float]] = defaultdict(list)
    for bill in bills:
        if (rate := billed_rate(bill)) is not None and bill.machine.instance_type:
            prices[bill.machine].append(rate / bill.nodes)
    return {machine: median(found) for machine, found in prices.items()}


class JobPrices:
    """The prices of live jobs.

    Parameters:
        own: USD per hour by the id of a job whose clusters are in the cost report; None where these have no price
        billed: USD per hour of one machine by its kind, from other bills
        listed: the server's price list
        gpu_prices: the option `prices`
    """

    def __init__(
        self,
        own: Mapping[int, float | None],
        billed: Mapping[Machine, float],
        listed: PriceList,
        gpu_prices: GpuPrices,
    ) -> None:
        self._own = own
        self._billed = billed
        self._listed = listed
        self._gpu_prices = gpu_prices

    def of(self, job: Job) -> float | None:
        """Return USD per hour of the machines that a job holds: of its own clusters, else of such machines."""
        holding = [task for task in job.tasks if task.is_live and not task.asks]
        if holding and job.id in self._own:
            return self._own[job.id]
        known = [rate for task in holding if (rate := self.of_task(task)) is not None]
        return sum(known) if known else None

    def of_task(self, task: Task) -> float | None:
        """Return USD per hour of the machines that a task holds, priced like a cluster of the same machines."""
        if not resources.is_stated(task.launched) or task.accelerators is None:
            return None
        price = self._billed.get(task.machine, self._listed.price(task.machine))
        if price is not None:
            return price * task.nodes * task.share
        return gpu_rate(task.accelerators, task.nodes * task.share, task.market, self._gpu_prices)


def gpu_rate(accelerators: Mapping[str, float], nodes: float, market: str, gpu_prices: GpuPrices) -> float | None:
    """Return USD per hour by the option `prices`; None unless it has a price for every GPU in this market."""
    rates = []
    for name, count in accelerators.items():
        price = gpu_prices.get(name, {}).get(market)
        if price is None:
            return None
        rates.append(count * price)
    return nodes * sum(rates) if rates else None


def _rows(answer: Any) -> Iterator[list[Any]]:
    for listed in (mapping(answer) or {}).values():
        rows = map(items, items(listed) or ())
        yield from (row for row in rows if row is not None and len(row) > _REGION)


def _by_market(row: list[Any]) -> dict[str, float]:
    prices = {ON_DEMAND: number(row[_PRICE]), SPOT: number(row[_SPOT_PRICE])}
    return {market: price for market, price in prices.items() if price is not None and price > 0}


def _key(machine: Machine) -> str:
    accelerators = ','.join(f'{name}:{count:g}' for name, count in machine.accelerators)
    return f'{machine.cloud}/{machine.instance_type}/{machine.region}/{accelerators}'

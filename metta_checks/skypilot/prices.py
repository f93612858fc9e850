"""What a cluster costs per hour: from the server's own bill, else its catalog, else the option `prices`.

There is no default price: what nobody knows stays unpriced.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any

from datadog_checks.base import ConfigurationError

from ..core.accelerators import gpu_of_catalog
from ..core.fields import amount, items, mapping, number, text
from ..core.stored import stored
from . import resources
from .records import Bill, Machine, Row
from .resources import ON_DEMAND, SPOT

HOUR = 3600
# Machines there belong to somebody already: SkyPilot has no prices for them.
CLOUDS_WITHOUT_PRICES = frozenset({'kubernetes', 'ssh', 'slurm'})
# Positions in a row of /list_accelerators.
_CLOUD, _TYPE, _PRICE, _SPOT_PRICE, _REGION = 0, 1, 7, 8, 9

# USD per GPU-hour by GPU type and market.
GpuPrices = Mapping[str, Mapping[str, float]]


@stored
class Catalog:
    """A part of the server's list of prices, kept because the list is large and hardly changes.

    Attributes:
        prices: USD per hour of a machine, by `cloud/instance type/region` and market
        asked: the clouds and instance types that it was read for; those without a price have none
    """

    prices: dict[str, dict[str, float]] = field(default_factory=dict)
    asked: frozenset[tuple[str, str]] = frozenset()

    @classmethod
    def parse(cls, answer: Any, asked: Iterable[tuple[str, str]]) -> Catalog:
        """Return the prices in the answer of /list_accelerators, which has rows by accelerator name.

        Rows of another form are left out.
        """
        asked = frozenset(asked)
        prices: dict[str, dict[str, float]] = {}
        for row in _rows(answer):
            cloud, kind = str(row[_CLOUD]).lower(), text(row[_TYPE])
            if kind is None or (cloud, kind) not in asked:
                continue
            found = {ON_DEMAND: number(row[_PRICE]), SPOT: number(row[_SPOT_PRICE])}
            known = {market: price for market, price in found.items() if price is not None and price > 0}
            prices[_key(cloud, kind, row[_REGION])] = known
        return cls(prices, asked)

    def price(self, machine: Machine) -> float | None:
        """USD per hour of one machine, exactly this one in exactly this region."""
        key = _key(machine.cloud, machine.instance_type, machine.region)
        return self.prices.get(key, {}).get(machine.market)


def gaps(bills: Iterable[Bill]) -> set[tuple[str, str]]:
    """Clouds and instance types of the clusters that the bill has no price for."""
    return askable(bill.machine for bill in bills if billed_rate(bill) is None)


def askable(machines: Iterable[Machine]) -> set[tuple[str, str]]:
    """Clouds and instance types that the catalog can be asked for."""
    return {
        (machine.cloud, machine.instance_type)
        for machine in machines
        if machine.instance_type and machine.cloud not in CLOUDS_WITHOUT_PRICES
    }


def billed_rate(bill: Bill) -> float | None:
    """USD per hour as the server bills it, for all nodes. None where it has no price: it writes 0 then."""
    if bill.total_cost <= 0 or bill.duration <= 0:
        return None
    return bill.total_cost / bill.duration * HOUR


def rate(bill: Bill, catalog: Catalog, gpu_prices: GpuPrices) -> float | None:
    """USD per hour of a cluster, all nodes, from the first source that knows it."""
    billed = billed_rate(bill)
    if billed is not None or bill.cloud in CLOUDS_WITHOUT_PRICES:
        return billed
    price = catalog.price(bill.machine)
    if price is not None:
        return price * bill.nodes
    return gpu_rate(bill.accelerators, bill.nodes, bill.market, gpu_prices)


def machine_prices(rated: Iterable[tuple[Bill, float | None]]) -> dict[Machine, float]:
    """USD per hour of one machine of each kind that some cluster has a price for."""
    return {bill.machine: rate / bill.nodes for bill, rate in rated if rate is not None and bill.machine.instance_type}


def row_rate(row: Row, known: Mapping[Machine, float], catalog: Catalog, gpu_prices: GpuPrices) -> float | None:
    """USD per hour of the machines that a live row of a job holds: as for a cluster of the same machines."""
    if not resources.is_stated(row.launched) or (row.cloud or '').lower() in CLOUDS_WITHOUT_PRICES:
        return None
    price = known.get(row.machine, catalog.price(row.machine))
    if price is not None:
        return price * row.nodes
    return gpu_rate(row.accelerators, row.nodes, row.market, gpu_prices)


def gpu_rate(accelerators: Mapping[str, float], nodes: int, market: str, gpu_prices: GpuPrices) -> float | None:
    """USD per hour by the option `prices`; None unless it has a price for every GPU in this market."""
    rates = []
    for name, count in accelerators.items():
        price = gpu_prices.get(name, {}).get(market)
        if price is None:
            return None
        rates.append(count * price)
    return nodes * sum(rates) if rates else None


def parse_option(option: Mapping[str, Any]) -> GpuPrices:
    """Read the option `prices`: {gpu_type: {ondemand: USD, spot: USD}}. Raises ConfigurationError naming the entry."""
    result: dict[str, dict[str, float]] = {}
    for gpu_type, markets in option.items():
        if not mapping(markets) or set(markets) - {ON_DEMAND, SPOT}:
            raise ConfigurationError(
                f'option `prices`: {gpu_type} needs USD per GPU-hour as `ondemand`, `spot` or both, and nothing else'
            )
        for market, price in markets.items():
            if amount(price) is None:
                raise ConfigurationError(
                    f'option `prices`: the {market} price of {gpu_type} is no amount: {price!r:.40}'
                )
        result[gpu_of_catalog(str(gpu_type))] = {market: float(price) for market, price in markets.items()}
    return result


def _rows(answer: Any) -> Iterable[list[Any]]:
    for rows in (mapping(answer) or {}).values():
        for row in items(rows) or ():
            if isinstance(row, list) and len(row) > _REGION:
                yield row


def _key(cloud: str, instance_type: Any, region: Any) -> str:
    return f'{cloud}/{instance_type}/{region}'

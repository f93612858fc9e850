"""Prices of running instances: the price list, a file or a table as option `prices` says, and the spot market."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from .account import Account
from .price_list import one_price

TENANCY = {'default': 'Shared', 'dedicated': 'Dedicated', 'host': 'Host'}
LINUX = 'RunInstances'


class InstancePrices:
    """The prices of one account, each asked for once."""

    def __init__(self, account: Account) -> None:
        self._account = account
        options = account.option('prices', {})
        self._source = options.get('source') or 'auto'
        self._table: dict[str, float] = options.get('table') or {}
        self._reads_spot_market = options.get('spot', True)
        self._known: dict[tuple[str, ...], float | None] = {}
        self._file = _read(options.get('file')) if self._reads('file') else []

    def _reads(self, source: str) -> bool:
        return self._source in ('auto', source)

    def price(self, region: str, machine: Any) -> float | None:
        """Return USD per hour: the spot price of a spot instance, the list price of any other; None if unknown.

        A capacity block is paid in advance, so it has no price per hour.
        """
        if machine.instance_lifecycle == 'capacity-block' or on_outpost(machine):
            return None
        if machine.instance_lifecycle == 'spot':
            return self.spot_price(region, machine)
        return self.list_price(region, machine)

    def list_price(self, region: str, machine: Any) -> float | None:
        """Return the on-demand price in USD per hour; None if no source has one.

        AWS lists instances of a dedicated host at 0, since it bills the host; only a table has a price for them.
        """
        place = self._account.place(region, machine.placement.get('AvailabilityZone'))
        if place is None or on_outpost(machine):
            return None
        operation = getattr(machine, 'usage_operation', None) or LINUX
        tenancy = TENANCY[machine.placement.get('Tenancy', 'default')]
        key = ('list', region, place, machine.instance_type, operation, tenancy)
        if key not in self._known:
            self._known[key] = self._ask_list(*key[1:])
        return self._known[key]

    def _ask_list(self, region: str, place: str, kind: str, operation: str, tenancy: str) -> float | None:
        price = None
        if self._reads('api'):
            price = one_price(
                self._account,
                region,
                'Hrs',
                regionCode=place,
                instanceType=kind,
                operation=operation,
                tenancy=tenancy,
                capacitystatus='Used',
                marketoption='OnDemand',
            )
        if price is None and operation == LINUX and tenancy == 'Shared':
            rows = (row for row in self._file if row['InstanceType'] == kind and row['Region'] == place)
            price = next((float(row['Price']) for row in rows if row.get('Price')), None)
        if price is None and self._reads('table'):
            price = self._table.get(kind)
        return price

    def spot_price(self, region: str, machine: Any) -> float | None:
        """Return the spot price in force in USD per hour; None if no source has one."""
        product = getattr(machine, 'platform_details', None) or 'Linux/UNIX'
        key = ('spot', region, machine.placement['AvailabilityZone'], machine.instance_type, product)
        if key not in self._known:
            self._known[key] = self._ask_spot(*key[1:])
        return self._known[key]

    def _ask_spot(self, region: str, zone: str, kind: str, product: str) -> float | None:
        if self._reads_spot_market:
            history = self._account.client('ec2', region).describe_spot_price_history(
                InstanceTypes=[kind],
                ProductDescriptions=[product, f'{product} (Amazon VPC)'],
                AvailabilityZone=zone,
                StartTime=self._account.now,
                EndTime=self._account.now,
            )['SpotPriceHistory']
            if history:
                return float(max(history, key=lambda change: change['Timestamp'])['SpotPrice'])
        if product != 'Linux/UNIX':
            return None
        rows = (row for row in self._file if row['InstanceType'] == kind and row['AvailabilityZone'] == zone)
        return next((float(row['SpotPrice']) for row in rows if row.get('SpotPrice')), None)


def on_outpost(thing: Any) -> bool:
    """Return whether an instance, volume or snapshot is on an Outpost, which AWS bills as a whole."""
    return bool(getattr(thing, 'outpost_arn', None))


def _read(path: str | None) -> list[dict[str, str]]:
    if not path:
        return []
    with Path(path).open(encoding='utf-8', newline='') as file:
        return list(csv.DictReader(file))

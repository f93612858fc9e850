"""Figures of the cost report."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from .. import Figure, NoSeries
from .machines import (
    chips,
    cluster_gpus,
    cluster_name,
    described,
    has_machines,
    kinds,
    market,
    named,
    never_got_machines,
    row_market,
)
from .queue import DAY, HOUR, Job
from .reading import Reading, Row, breakdown, figure, figure_of

BILLED = ('UP', 'AUTOSTOPPING', 'INIT')


class Costs:
    """The clusters of the cost report with their prices."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.bills = reading.bills
        self.now = reading.now.timestamp()
        self.own_prices = {name.lower(): prices for name, prices in (reading.instance.get('prices') or {}).items()}
        never_up = {one['cluster_hash'] for one in reading.clusters if one.get('cluster_ever_up') is False}
        self.without_machines = {
            bill['cluster_hash'] for bill in self.bills if bill['cluster_hash'] in never_up or never_got_machines(bill)
        }
        self.present = [
            bill
            for bill in self.bills
            if bill['status'] in BILLED and bill['cluster_hash'] not in self.without_machines
        ]
        self.priced = [(bill, rate) for bill in self.present if (rate := self.rate(bill)) is not None]

    @cached_property
    def kinds(self) -> dict[str, str]:
        """The use of each cluster, by its hash."""
        return kinds(self.bills, self.reading.clusters, self.reading.rows or ())

    def figures(self, jobs: list[Job] | None) -> Iterator[Figure | NoSeries]:
        """Yield the costs, without those by user, workspace and job."""
        has_sum = bool(self.priced or not self.present)
        yield figure_of('cost.hourly_usd', sum(rate for _, rate in self.priced) if has_sum else None)
        yield figure('cost.unpriced_clusters', len(self.present) - len(self.priced))
        coverage = 100 * len(self.priced) / len(self.present) if self.present else None
        yield figure_of('cost.price_coverage_pct', coverage)
        keys = ('kind', 'cloud', 'market', 'gpu_type')
        yield from breakdown(
            'cost.breakdown_hourly_usd', keys, [(self.place(bill), rate) for bill, rate in self.priced]
        )
        used = [bill for bill in self.bills if self.hours(bill)]
        spent = [cost for bill in used if (cost := self.spent(bill)) is not None]
        growth = sum((self.rate(bill) or 0.0) * self.growth(bill) for bill in used)
        yield figure_of('cost.spend_usd_24h', sum(spent) if spent or not used else None, per_second=growth)
        gpus = [(bill, (name,), count) for bill in used for name, count in self.gpus(bill).items()]
        yield from breakdown(
            'gpus.hours_24h',
            ['gpu_type'],
            [(key, count * self.hours(bill)) for bill, key, count in gpus],
            [(key, count * self.growth(bill)) for bill, key, count in gpus],
        )
        if jobs is not None:
            yield from self.failures(jobs)

    def place(self, bill: Row) -> tuple[str, ...]:
        """Return kind, cloud, market and GPU type of a cluster."""
        gpu_type = next(iter(self.gpus(bill)), 'none')
        return self.kinds[bill['cluster_hash']], bill['cloud'], market(bill['resources_str']), gpu_type

    @staticmethod
    def gpus(bill: Row) -> dict[str, float]:
        """Return the GPUs of a cluster by type."""
        return cluster_gpus(bill, 'num_nodes')

    def failures(self, jobs: list[Job]) -> Iterator[Figure | NoSeries]:
        """Yield the cost of the whole lives of the jobs that failed in the last day."""
        of_jobs = [bill for bill in self.bills if self.kinds[bill['cluster_hash']] == 'job']
        failed = [job for job in jobs if job.has_failed and (job.ended_at or 0) >= self.now - DAY]
        names = {cluster_name(task) for job in failed for task in job.tasks if not task.get('pool')}
        wasted = [bill for bill in of_jobs if bill['name'] in names]
        costs = [rate * bill['duration'] / HOUR for bill in wasted if (rate := self.rate(bill)) is not None]
        is_known = of_jobs and (costs or not wasted)
        yield figure_of('cost.failed_jobs_usd_24h', sum(costs) if is_known else None)

    def hours(self, bill: Row) -> float:
        """Return the hours of the last day in which a cluster had machines."""
        if bill['cluster_hash'] in self.without_machines:
            return 0.0
        seconds = 0.0
        for start, end in bill.get('usage_intervals') or ():
            inside = min(self.now if end is None else end, self.now) - max(start, self.now - DAY)
            seconds += max(0.0, inside)
        return seconds / HOUR

    def growth(self, bill: Row) -> float:
        """Return by how much these hours grow per second."""
        return 1 / HOUR if any(end is None for _, end in bill.get('usage_intervals') or ()) else 0.0

    def spent(self, bill: Row) -> float | None:
        """Return USD of the last day; None without a price, and without machines in that time."""
        hours, rate = self.hours(bill), self.rate(bill)
        return None if rate is None or not hours else hours * rate

    # Prices.

    def rate(self, bill: Row) -> float | None:
        """Return USD per hour for all nodes; None without a price."""
        billed = self.billed(bill)
        if billed is not None:
            return billed
        node = self.listed(bill['cloud'], bill['region'], bill['resources_str_full'], named(bill['accelerators']))
        if node is None:
            node = self.own(named(bill['accelerators']), market(bill['resources_str']))
        return None if node is None else node * bill['num_nodes']

    @staticmethod
    def billed(bill: Row) -> float | None:
        """Return USD per hour for all nodes by the server's bill; None without a price in it."""
        total, seconds = bill.get('total_cost'), bill.get('duration')
        return float(total) / (seconds / HOUR) if total and seconds else None

    def listed(self, cloud: Any, region: Any, text: str, accelerators: dict[str, float]) -> float | None:
        """Return USD per node and hour by the price list, for one type of machine with its accelerators."""
        parts = set(_inside(text))
        for name, instance_type, accelerator, count, *_, ondemand, spot, place in self.reading.catalog:
            if (name.lower(), place) != (str(cloud).lower(), region) or instance_type not in parts:
                continue
            price = spot if market(text) == 'spot' else ondemand
            if price and accelerators == {accelerator.lower(): count}:
                return float(price)
        return None

    def own(self, accelerators: dict[str, float], offer: str) -> float | None:
        """Return USD per node and hour by the option `prices`; None unless it has every accelerator of the node."""
        counts = chips(accelerators)
        if not counts or any(offer not in self.own_prices.get(name, {}) for name in counts):
            return None
        return sum(count * float(self.own_prices[name][offer]) for name, count in counts.items())

    # Single jobs.

    def task_rate(self, row: Row) -> float | None:
        """Return USD per hour of the machines of a task: of its own cluster, else of machines like them."""
        text = described(row)
        if not has_machines(row) or row['status'] == 'RECOVERING' or text is None:
            return None
        own = [bill for bill in self.present if bill['name'] == cluster_name(row)]
        if own:
            return self.rate(own[0])
        nodes = int(text.partition('x')[0])
        accelerators = named(row['accelerators'])
        for bill in self.bills:
            same_place = (bill['cloud'], bill['region']) == (row['cloud'], row['region'])
            full = bill['resources_str_full']
            same = market(full) == market(text) and _inside(full) == _inside(text)
            if same_place and same and (billed := self.billed(bill)) is not None:
                return billed / float(bill['num_nodes']) * nodes
        node = self.listed(row['cloud'], row['region'], text, accelerators)
        if node is None:
            node = self.own(accelerators, row_market(row))
        return None if node is None else node * nodes


def _inside(text: str) -> list[str]:
    """Return the parts of a description such as `2x[spot](gpus=L4:4, cpus=48, mem=192, g6.12xlarge, disk=256)`.

    Disks are left out: they have prices of their own.
    """
    inside = re.search(r'\((.*)\)', text)
    parts = inside[1].split(', ') if inside else []
    return [part for part in parts if not part.startswith('disk')]

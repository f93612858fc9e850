"""The figures that the check should report: plain sums over the sandbox's own data and tariff."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from ..every_option import EVERY_OPTION
from ..server import Figure
from . import tariff, truth_costs, truth_options, truth_storage
from .cost_explorer import CostExplorer
from .estate import Estate
from .truth_facts import Facts, Row


class Truth:
    """The truth at one moment for an instance of the check with some options. Figures have no tag `account`."""

    def __init__(
        self,
        estate: Estate,
        regions: tuple[str, ...],
        now: datetime,
        cost_explorer: CostExplorer,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.facts = Facts(estate, regions, now)
        self.cost_explorer = cost_explorer
        self.options = EVERY_OPTION['ec2'] if options is None else options

    def figures(self) -> Iterator[Figure]:
        """Compute all figures."""
        facts, options = self.facts, self.options
        for part in (
            _instances(facts),
            _ages(facts),
            _hardware(facts),
            _idle(facts),
            truth_storage.rows(facts, options),
            truth_costs.rows(facts, options),
            truth_options.rows(facts, options, self.cost_explorer),
        ):
            for name, value, *tags in part:
                yield Figure(f'metta.ec2.{name}', value, tuple(sorted(tags)))


def _instances(facts: Facts) -> Iterator[Row]:
    lifecycles = Counter(m.lifecycle for m in facts.running)
    yield 'instances.total', len(facts.listed)
    yield 'instances.running', len(facts.running)
    yield 'instances.stopped', len(facts.stopped)
    yield 'instances.spot', lifecycles['spot']
    yield 'instances.ondemand', lifecycles['']
    known = {'': 'on_demand', 'spot': 'spot', 'scheduled': 'scheduled', 'capacity-block': 'capacity_block'}
    for lifecycle, name in known.items():
        yield 'instances.by_lifecycle', lifecycles[lifecycle], f'lifecycle:{name}'
    others = sum(number for lifecycle, number in lifecycles.items() if lifecycle not in known)
    yield 'instances.by_lifecycle', others, 'lifecycle:other'
    for kind, number in Counter(m.kind for m in facts.running).items():
        yield 'instances.by_type', number, f'instance_type:{kind}'
    for region in facts.regions:
        yield 'region.instances_running', sum(m.region == region for m in facts.running), f'region:{region}'
    week = facts.now - timedelta(days=7)
    yield 'instances.stopped_over_7d', sum(m.stopped is not None and m.stopped < week for m in facts.listed)


def _ages(facts: Facts) -> Iterator[Row]:
    if facts.running:
        ages = [(facts.now - m.created.replace(microsecond=0)) / timedelta(days=1) for m in facts.running]
        starts = [(facts.now - m.started.replace(microsecond=0)) / timedelta(days=1) for m in facts.running]
        yield 'instances.avg_age_days', sum(ages) / len(ages)
        yield 'instances.oldest_age_days', max(ages)
        yield 'instances.avg_uptime_days', sum(starts) / len(starts)


def _hardware(facts: Facts) -> Iterator[Row]:
    kinds = [kind for m in facts.running if (kind := tariff.KINDS[m.kind]).described]
    yield 'instances.unknown_type', len(facts.running) - len(kinds)
    # AWS reports the cores of every instance here.
    yield 'instances.vcpus', sum(m.cpu[0] * m.cpu[1] if m.cpu else tariff.KINDS[m.kind].vcpus for m in facts.running)
    if not facts.knows_types:
        return
    yield 'instances.gpu_count', sum(kind.accelerated for kind in kinds)
    yield 'instances.cpu_count', sum(not kind.accelerated for kind in kinds)
    yield 'instances.accelerators', sum(kind.devices for kind in kinds)
    gpus: dict[str, float] = defaultdict(float)
    for kind in kinds:
        gpus[kind.gpu] += kind.gpus
    for model, number in gpus.items():
        if model:
            yield 'instances.gpus', number, f'gpu_type:{model}'


def _idle(facts: Facts) -> Iterator[Row]:
    idle = [tariff.KINDS[m.kind] for m in facts.running if facts.is_idle(m)]
    yield 'instances.idle', sum(not kind.accelerated for kind in idle)
    yield 'instances.gpu_idle', sum(kind.accelerated for kind in idle)
    yield 'instances.idle_unknown', sum(map(facts.lacks_data, facts.running))

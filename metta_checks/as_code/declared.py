"""Metrics that queries may name: those of all catalogs, as Datadog shows them, with their tags."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from metta_checks.check import SOURCES
from metta_checks.core import catalog
from metta_checks.core.catalog import HISTOGRAM_SERIES

# Set by the configuration of every instance, not by a source.
INSTANCE_TAGS = ('env',)


@dataclass(frozen=True, slots=True)
class Declared:
    """A metric that a query may name. `type` is gauge, count or rate; `tags` include base and instance tags."""

    name: str
    source: str
    type: str
    unit: str
    per_unit: str
    orientation: int
    tags: tuple[str, ...]
    # True if values of several series may be added up, but not over a tag in `overlapping`.
    additive: bool
    overlapping: tuple[str, ...]
    description: str
    # Option that enables the metric; empty for core metrics.
    option: str
    # True if the configuration adds tags with keys that are not known in advance.
    open_tags: bool

    def carries(self, tag: str) -> bool:
        """Return whether a query may filter or group the metric by this tag key."""
        return self.open_tags or tag in self.tags


class Catalogs(Mapping[str, Declared]):
    """All metrics by full name; names with `*` match the metrics that the configuration derives from them."""

    def __init__(self, metrics: Mapping[str, Declared]) -> None:
        self.all = metrics
        self._exact = {name: metric for name, metric in metrics.items() if '*' not in name}
        self._patterns = [
            (re.compile(re.escape(name).replace(r'\*', '[a-z0-9_]+')), metric)
            for name, metric in metrics.items()
            if '*' in name
        ]

    def __getitem__(self, name: str) -> Declared:
        if name in self._exact:
            return self._exact[name]
        for pattern, metric in self._patterns:
            if pattern.fullmatch(name):
                return metric
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._exact)

    def __len__(self) -> int:
        return len(self._exact)


@cache
def declared() -> Catalogs:
    """Return the metrics of the six sources and of the collector."""
    found: dict[str, Declared] = {}
    for source in ('collector', *SOURCES):
        found |= of_catalog(catalog.load(source), source)
    return Catalogs(found)


def of_catalog(source_catalog: catalog.Catalog, source: str) -> dict[str, Declared]:
    """Return the metrics of a metrics.yaml by full name."""
    found: dict[str, Declared] = {}
    for metric in source_catalog.metrics:
        fixed = tuple(tag for tag in metric.tags if tag != '*')
        series = HISTOGRAM_SERIES.items() if metric.type == 'histogram' else (('', metric.type),)
        for suffix, kind in series:
            rate = suffix == 'count'
            name = source_catalog.full_name(metric.name) + (f'.{suffix}' if suffix else '')
            found[name] = Declared(
                name=name,
                source=source,
                type=kind,
                unit='' if rate else metric.unit,
                per_unit='' if rate else metric.per_unit,
                orientation=metric.orientation,
                tags=(*source_catalog.base_tags, *fixed, *INSTANCE_TAGS),
                additive=metric.additive or kind != 'gauge',
                overlapping=tuple(tag for tag in fixed if source_catalog.tags[tag].overlapping),
                description=' '.join(metric.description.split()),
                option=metric.option,
                open_tags='*' in metric.tags,
            )
    return found

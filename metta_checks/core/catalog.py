"""The metric catalog: the metrics that a source may emit, read from its metrics.yaml.

metrics.yaml is the single source of truth: metadata.csv and docs/metrics are generated from it, and a sample with an
undeclared name, block or tag is not emitted.

A name may contain `*` as one whole part (`summary.*.last`) if the configuration supplies that part. A list of tags may
contain `*` if the configuration supplies further keys. Both are documented, but are not in metadata.csv.

Each tag key, base tags included, has a bound on its values under `tags`, because Datadog bills each value as further
series.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import yaml

from .errors import SHAPE_ERRORS
from .text import one_line

TYPES = ('gauge', 'count', 'histogram')
# The series that the Agent submits for a histogram with its default settings: suffix and type in metadata.csv.
HISTOGRAM_SERIES = {'avg': 'gauge', 'count': 'rate', 'max': 'gauge', 'median': 'gauge', '95percentile': 'gauge'}
_NAME = re.compile(r'[a-z][a-z0-9_]*(\.([a-z0-9][a-z0-9_]*|\*))*')


class UndeclaredMetric(Exception):
    """Raised for a sample that metrics.yaml does not declare. It is a defect of the source, not of the service."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of metrics.yaml. `name` lacks the source's prefix; `tags` lack the source's base tags."""

    name: str
    block: str
    description: str
    type: str = 'gauge'
    unit: str = ''
    per_unit: str = ''
    orientation: int = 0
    # The gauge is a number or an amount of things: values of several series may be added up. Counts always may.
    additive: bool = False
    tags: tuple[str, ...] = ()
    # The instance option that switches the metric on; empty for core metrics.
    option: str = ''
    # The metric has a name from the first system, kept under the prefix.
    seed: bool = False
    short_name: str = ''


@dataclass(frozen=True, slots=True)
class Tag:
    """The bound on the values of a tag. It holds per subject (repository, project), else per instance.

    Attributes:
        key: the tag key; `*` for the keys that the configuration supplies
        description: meaning of the values
        values: all values or, with a limit, those that the service documents
        limit: number of values, in addition to `values`; figures of further ones are shown under the value `other`
        option: the option that lists the values or limits their number
        one_per: the thing that has exactly one value
        overlapping: one thing may have several values, so values of a metric by this tag do not add up to a whole
    """

    key: str
    description: str
    values: tuple[str, ...] = ()
    limit: int = 0
    option: str = ''
    one_per: str = ''
    overlapping: bool = False


def name_pattern(name: str) -> re.Pattern[str]:
    """Return the pattern of the names that a declared name stands for: `*` is a part without a dot."""
    return re.compile(re.escape(name).replace(r'\*', '[a-z0-9_]+'))


class Catalog:
    """The metrics of one source, by name."""

    def __init__(
        self, source: str, prefix: str, base_tags: Iterable[str], tags: Iterable[Tag], metrics: Iterable[Metric]
    ) -> None:
        self.source = source
        self.prefix = prefix
        self.base_tags = tuple(base_tags)
        self.tags = {tag.key: tag for tag in tags}
        self.metrics = tuple(metrics)
        self._by_name = {metric.name: metric for metric in self.metrics if '*' not in metric.name}
        self._patterns = [(name_pattern(metric.name), metric) for metric in self.metrics if '*' in metric.name]

    def full_name(self, name: str) -> str:
        """Return the name as Datadog shows it."""
        return self.prefix + name

    def names_of(self, block: str) -> frozenset[str]:
        """Return the names of the metrics of a block."""
        return frozenset(metric.name for metric in self.metrics if metric.block == block)

    def metric(self, name: str, block: str, tags: Iterable[str]) -> Metric:
        """Return the declaration of a sample. Raises UndeclaredMetric when name, block or a tag key is not declared."""
        metric = self._by_name.get(name)
        if metric is None:
            metric = next((metric for pattern, metric in self._patterns if pattern.fullmatch(name)), None)
            if metric is None:
                raise UndeclaredMetric(f'{self.prefix}{name} is not declared in the metrics.yaml of {self.source}')
            self._by_name[name] = metric
        if metric.block != block:
            raise UndeclaredMetric(f'{self.prefix}{name} belongs to block {metric.block}, not to {block}')
        if '*' not in metric.tags:
            unknown = [key for key in tags if key not in metric.tags]
            if unknown:
                raise UndeclaredMetric(f'{self.prefix}{name} has undeclared tags: {", ".join(unknown)}')
        return metric

    def can_add_up(self, metric: Metric) -> bool:
        """Return whether values of a gauge with different values of its own tags add up to a number of things."""
        return metric.additive and not any(self.tags[tag].overlapping for tag in metric.tags if tag in self.tags)

    def has_gauge(self, full_name: str, block: str, tags: Iterable[str]) -> bool:
        """Return whether a gauge is declared, from its full name and its tags, base tags included, as `key:value`."""
        if not full_name.startswith(self.prefix):
            return False
        keys = {tag.partition(':')[0] for tag in tags}
        try:
            return self.metric(full_name[len(self.prefix) :], block, keys.difference(self.base_tags)).type == 'gauge'
        except UndeclaredMetric:
            return False


def parse(text: str) -> Catalog:
    """Return the catalog in the text of a metrics.yaml. Raises ValueError, which names the first bad row."""
    try:
        document = yaml.safe_load(text)
        source, prefix = str(document['source']), str(document['prefix'])
        base_tags, rows = tuple(map(str, document.get('base_tags', ()))), list(document['metrics'])
        tag_rows = dict(document.get('tags', {}))
    except (yaml.YAMLError, *SHAPE_ERRORS) as error:
        raise ValueError(f'not a catalog: {one_line(str(error), 200)}') from error
    metrics = [_metric(row) for row in rows]
    duplicates = {metric.name for metric in metrics if sum(other.name == metric.name for other in metrics) > 1}
    if duplicates:
        raise ValueError(f'declared more than once: {", ".join(sorted(duplicates))}')
    tags = [_tag(key, row) for key, row in tag_rows.items()]
    used = {*base_tags, *(key for metric in metrics for key in metric.tags)}
    unbounded = used.symmetric_difference(tag.key for tag in tags)
    if unbounded:
        raise ValueError(f'tags without a bound, or with a bound but not used: {", ".join(sorted(unbounded))}')
    return Catalog(source, prefix, base_tags, tags, metrics)


def _tag(key: Any, row: Mapping[str, Any]) -> Tag:
    try:
        tag = Tag(str(key), **{**row, 'values': tuple(map(str, row.get('values', ())))})
    except SHAPE_ERRORS as error:
        raise ValueError(f'tag {one_line(repr(key), 100)}: {one_line(str(error), 100)}') from error
    if not isinstance(tag.limit, int) or tag.limit < 0:
        raise ValueError(f'tag {tag.key}: limit must be a number of values')
    if sum(map(bool, (tag.values or tag.limit, tag.option, tag.one_per))) != 1:
        raise ValueError(f'tag {tag.key}: set `values`, `limit` or both, or `option`, or `one_per`')
    return tag


def _metric(row: Mapping[str, Any]) -> Metric:
    try:
        metric = Metric(**{**row, 'tags': tuple(row.get('tags', ())), 'description': row['description'].strip()})
    except SHAPE_ERRORS as error:
        raise ValueError(f'{one_line(repr(row), 100)}: {one_line(str(error), 100)}') from error
    if not isinstance(metric.name, str) or not _NAME.fullmatch(metric.name):
        raise ValueError(f'{metric.name!r} is not a metric name')
    if metric.type not in TYPES:
        raise ValueError(f'{metric.name}: type must be one of {", ".join(TYPES)}')
    if metric.orientation not in (-1, 0, 1):
        raise ValueError(f'{metric.name}: orientation must be -1, 0 or 1')
    if metric.additive and metric.type != 'gauge':
        raise ValueError(f'{metric.name}: additive is for gauges')
    return metric


@cache
def load_package(package: str) -> Catalog:
    """Return the catalog in the metrics.yaml of a package."""
    return parse(resources.files(package).joinpath('metrics.yaml').read_text(encoding='utf-8'))


def load(source: str) -> Catalog:
    """Return the catalog of a source, or of the self-metrics that all sources share (`collector`)."""
    return load_package('metta_checks.core' if source == 'collector' else f'metta_checks.{source}')

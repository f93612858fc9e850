"""Listings that the commands print."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from metta_checks.core.catalog import Catalog, Metric
from metta_checks.core.diagnosis import Finding
from metta_checks.core.points import Point
from metta_checks.testing import SELF_METRICS
from metta_checks.verify import FigurePair

from .collecting import Collected
from .headlines import headlines
from .listing import Listing


def headlines_listing(collected: Collected, instance_tags: Iterable[str]) -> Listing:
    """Return the headline figures of one instance."""
    hidden = set(instance_tags)
    listing = Listing(collected.label, grouped=True)
    for name, points, others in headlines(collected.source, collected.points):
        for point in points:
            listing.add(name, _own_tags(point, hidden), point.value)
        if others:
            listing.add(name, f'... {others} more series', '')
    return listing


def points_listing(collected: Collected, instance_tags: Iterable[str]) -> Listing:
    """Return all values of one instance, the self-metrics last."""
    hidden = set(instance_tags)
    listing = Listing(collected.label, grouped=True)
    for point in sorted(collected.points, key=lambda one: (one.name.startswith(SELF_METRICS), one.name, one.tags)):
        listing.add(point.name, _own_tags(point, hidden), point.value)
    return listing


def _own_tags(point: Point, hidden: set[str]) -> str:
    return ' '.join(tag for tag in point.tags if tag not in hidden)


def summary_listing(runs: Iterable[Collected], title: str = '') -> Listing:
    """Return one line per instance."""
    listing = Listing(title, ('instance', 'status', 'series', 'requests', 'KiB', 'seconds', 'errors'))
    for one in runs:
        errors = sum(point.value for point in one.points if point.name == f'{SELF_METRICS}errors')
        listing.add(
            one.label,
            one.status or 'critical',
            one.series,
            one.requests,
            round(one.bytes / 1024),
            round(one.seconds, 1),
            errors or (1 if one.error else 0),
        )
    return listing


def findings_listing(label: str, findings: Iterable[Finding]) -> Listing:
    """Return doctor's findings for one instance."""
    listing = Listing(label)
    for finding in findings:
        remedy = f'to do: {finding.remedy}' if finding.remedy and finding.status != 'ok' else ''
        listing.add(finding.status, finding.name, finding.message, detail=remedy)
    return listing


def comparison_listing(label: str, comparisons: Iterable[FigurePair], *, everything: bool) -> Listing:
    """Return our figures beside the recomputed ones: only differences, or everything on request."""
    listing = Listing(label, ('metric', 'tags', 'ours', 'theirs', 'difference'))
    for one in comparisons:
        if one.agrees and not everything:
            continue
        difference = one.ours - one.theirs if one.ours is not None and one.theirs is not None else None
        listing.add(one.name, ' '.join(one.tags), one.ours, one.theirs, difference, style='' if one.agrees else 'red')
    return listing


def left_out_listing(label: str, left_out: Mapping[str, str]) -> Listing:
    """Return the metrics that are not compared, each with its reason."""
    listing = Listing(label, ('not compared', 'reason'))
    for name, reason in left_out.items():
        listing.add(name, reason)
    return listing


def catalog_listing(source_catalog: Catalog, metrics: Iterable[Metric]) -> Listing:
    """Return some metrics of a catalog."""
    listing = Listing(source_catalog.source, ('metric', 'type', 'unit', 'tags', 'definition'), named=False)
    for metric in metrics:
        listing.add(
            source_catalog.full_name(metric.name),
            metric.type,
            f'{metric.unit}/{metric.per_unit}' if metric.per_unit else metric.unit,
            ', '.join((*source_catalog.base_tags, *metric.tags)),
            ' '.join(_definition(metric)),
        )
    return listing


def _definition(metric: Metric) -> Iterator[str]:
    yield ' '.join(metric.description.split())
    if metric.option:
        yield f'(option `{metric.option}`)'

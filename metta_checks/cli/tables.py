"""Tables that the commands print."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.table import Table

from metta_checks.core.catalog import Catalog
from metta_checks.core.diagnosis import Finding
from metta_checks.core.points import Point
from metta_checks.testing import SELF_METRICS
from metta_checks.verify import FigurePair

from .collecting import Collected
from .terminal import cell

STYLES = {'ok': 'green', 'warning': 'yellow', 'critical': 'red', 'fail': 'red'}
# Series of one name that are listed; a line counts the others.
MAX_SERIES = 8


def number(value: float | None) -> str:
    """Return a value for display: whole numbers as such, others with significant digits; `-` for None."""
    if value is None:
        return '-'
    if float(value).is_integer():
        return f'{int(value):,}'
    return f'{value:,.2f}' if abs(value) >= 1 else f'{value:.4g}'


def points_table(collected: Collected, instance_tags: Iterable[str], *, everything: bool) -> Table:
    """Return the values of one instance, self-metrics on request."""
    hidden = set(instance_tags)
    table = Table(title=cell(collected.label), title_justify='left', title_style='bold')
    table.add_column('metric', overflow='fold')
    table.add_column('tags', overflow='fold', style='dim')
    table.add_column('value', justify='right')
    shown = [point for point in collected.points if everything or not point.name.startswith(SELF_METRICS)]
    for name, points in _by_name(shown).items():
        limit = len(points) if everything else MAX_SERIES
        for index, point in enumerate(points[:limit]):
            tags = ' '.join(tag for tag in point.tags if tag not in hidden)
            table.add_row('' if index else cell(name), cell(tags), number(point.value))
        if len(points) > limit:
            table.add_row('', f'... {len(points) - limit} more', '')
    return table


def _by_name(points: Iterable[Point]) -> dict[str, list[Point]]:
    """Return the points by metric, sorted by name and tags."""
    by_name: dict[str, list[Point]] = {}
    for point in sorted(points, key=lambda point: (point.name, point.tags)):
        by_name.setdefault(point.name, []).append(point)
    return by_name


def summary_table(runs: Iterable[Collected]) -> Table:
    """Return one line per instance."""
    table = Table('instance', 'status', title='Summary', title_justify='left', title_style='bold')
    for column in ('series', 'requests', 'KiB', 'seconds', 'errors'):
        table.add_column(column, justify='right')
    for one in runs:
        status = one.status or 'critical'
        errors = sum(point.value for point in one.points if point.name == f'{SELF_METRICS}errors')
        table.add_row(
            cell(one.label),
            f'[{STYLES[status]}]{status}[/]',
            number(one.series),
            number(one.requests),
            number(round(one.bytes / 1024)),
            f'{one.seconds:.1f}',
            number(errors or (1 if one.error else 0)),
        )
    return table


def findings_table(label: str, findings: Iterable[Finding]) -> Table:
    """Return doctor's findings for one instance."""
    table = Table('', 'about', 'finding', title=cell(label), title_justify='left', title_style='bold')
    for finding in findings:
        message = cell(finding.message)
        if finding.remedy and finding.status != 'ok':
            message += f'\n[bold]to do:[/] {cell(finding.remedy)}'
        table.add_row(f'[{STYLES[finding.status]}]{finding.status}[/]', cell(finding.name), message)
    return table


def comparison_table(label: str, comparisons: Iterable[FigurePair], *, everything: bool) -> Table:
    """Return our figures beside the recomputed ones: only differences, or everything on request."""
    table = Table('metric', 'tags', title=cell(label), title_justify='left', title_style='bold')
    for column in ('ours', 'theirs', 'difference'):
        table.add_column(column, justify='right')
    for one in comparisons:
        if one.agrees and not everything:
            continue
        difference = one.ours - one.theirs if one.ours is not None and one.theirs is not None else None
        row = (cell(one.name), cell(' '.join(one.tags)), number(one.ours), number(one.theirs), number(difference))
        table.add_row(*row, style='' if one.agrees else 'red')
    return table


def left_out_table(label: str, left_out: Mapping[str, str]) -> Table:
    """Return the metrics that are not compared, each with its reason."""
    table = Table('not compared', 'reason', title=cell(label), title_justify='left', title_style='bold')
    for name, reason in left_out.items():
        table.add_row(cell(name), cell(reason))
    return table


def catalog_table(source_catalog: Catalog) -> Table:
    """Return the metrics of a source."""
    title = f'{source_catalog.source} ({source_catalog.prefix}*)'
    table = Table('metric', 'type', 'unit', 'tags', 'definition', title=title, title_justify='left', title_style='bold')
    for metric in source_catalog.metrics:
        unit = f'{metric.unit}/{metric.per_unit}' if metric.per_unit else metric.unit
        option = f' (option `{metric.option}`)' if metric.option else ''
        description = ' '.join(metric.description.split()) + option
        table.add_row(metric.name, metric.type, unit, ', '.join(metric.tags), cell(description))
    return table

"""`metta-checks metrics`."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated

import typer

from metta_checks.check import SOURCES
from metta_checks.core import catalog
from metta_checks.core.catalog import Catalog, Metric

from .. import tables
from ..arguments import SETTINGS, JsonOption, completed
from ..documents import document
from ..examples import epilog
from ..exit_codes import EXIT_USAGE
from ..terminal import fail, print_json, show

COLLECTOR = 'collector'

FiltersArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar='FILTER',
        autocompletion=completed(*SOURCES, COLLECTOR),
        help=f'A source ({", ".join(SOURCES)}, or {COLLECTOR} for the self-metrics), a part of a name, or a pattern '
        'such as "*.cost.*"; several narrow the list. Default: everything.',
    ),
]

app = typer.Typer(**SETTINGS)


@app.command(epilog=epilog('metrics'))
def metrics(
    filters: FiltersArgument = None,
    as_json: JsonOption = False,
) -> None:
    """Print the catalog: every metric with type, unit, tags and definition."""
    names = (*SOURCES, COLLECTOR)
    sources = [one for one in filters or () if one in names]
    patterns = [one.lower() for one in filters or () if one not in (*names, 'all')]
    catalogs = [catalog.load(name) for name in sources or names]
    found = [(one, list(_matching(one, patterns))) for one in catalogs]
    if not any(rows for _, rows in found):
        fail(f'no metric matches {" and ".join(patterns)}', EXIT_USAGE)
    if as_json:
        rows = (
            {
                'source': one.source,
                **asdict(metric),
                'name': one.full_name(metric.name),
                'tags': [*one.base_tags, *metric.tags],
            }
            for one, chosen in found
            for metric in chosen
        )
        print_json(document('metrics', rows))
    else:
        for one, chosen in found:
            show(tables.catalog_listing(one, chosen))


def _matching(source_catalog: Catalog, patterns: list[str]) -> Iterator[Metric]:
    """Yield the metrics whose full name matches all patterns, as a glob or as a part of it."""
    for metric in source_catalog.metrics:
        name = source_catalog.full_name(metric.name)
        if all(pattern in name or fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
            yield metric

"""`metta-checks metrics`."""

from __future__ import annotations

from dataclasses import asdict

import typer

from metta_checks.check import SOURCES
from metta_checks.core import catalog

from .. import tables
from ..arguments import SETTINGS, JsonOption, SourceArgument
from ..terminal import console, print_json

app = typer.Typer(**SETTINGS)


@app.command()
def metrics(source: SourceArgument = 'all', as_json: JsonOption = False) -> None:
    """Print the catalog: every metric with type, unit, tags and definition."""
    catalogs = [catalog.load(name) for name in (SOURCES if source == 'all' else (source,))]
    if source == 'all':
        catalogs.append(catalog.load('collector'))
    if as_json:
        rows = [
            {**asdict(metric), 'name': one.full_name(metric.name), 'tags': [*one.base_tags, *metric.tags]}
            for one in catalogs
            for metric in one.metrics
        ]
        print_json(rows)
    else:
        for one in catalogs:
            console.print(tables.catalog_table(one))

"""Further catalogs of metrics: a metrics.yaml of this project's form, or the metadata.csv of a Datadog integration."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

from metta_checks.core import catalog
from metta_checks.core.errors import SHAPE_ERRORS

from .asset import AssetError
from .declared import Catalogs, Declared, declared, of_catalog

ORIENTATIONS = {'-1': -1, '0': 0, '1': 1}


def with_further(paths: Iterable[Path]) -> Catalogs:
    """Return the metrics of all sources and those of these files. Raises AssetError for a file of another form."""
    found = {name: metric for path in paths for name, metric in _read(path).items()}
    return Catalogs({**declared().all, **found})


def _read(path: Path) -> dict[str, Declared]:
    try:
        text = path.read_text(encoding='utf-8-sig')
        if path.suffix == '.csv':
            return {metric.name: metric for metric in _of_metadata(path, text)}
        read = catalog.parse(text)
        return of_catalog(read, read.source)
    except OSError as error:
        raise AssetError(f'{path}: cannot be read: {error.strerror}') from error
    except (*SHAPE_ERRORS, ValueError, yaml.YAMLError, csv.Error) as error:
        reason = ' '.join(str(error).split())
        raise AssetError(f'{path}: not a metrics.yaml or metadata.csv: {type(error).__name__}: {reason}') from error


def _of_metadata(path: Path, text: str) -> Iterator[Declared]:
    """Yield the metrics of a metadata.csv, which does not say which tags they have."""
    rows = csv.DictReader(text.splitlines())
    if 'metric_name' not in (rows.fieldnames or ()):
        raise ValueError('no column metric_name')
    for row in rows:
        yield Declared(
            name=row['metric_name'],
            source=row.get('integration') or path.parent.name,
            type=row['metric_type'],
            unit=row.get('unit_name') or '',
            per_unit=row.get('per_unit_name') or '',
            orientation=ORIENTATIONS.get(row.get('orientation') or '', 0),
            tags=(),
            # The file does not say it.
            additive=True,
            overlapping=(),
            description=row.get('description') or '',
            option='',
            open_tags=True,
        )

"""Catalog for Jsonnet: `m.github.prs.open` has name, unit, type and tags; a misspelled metric fails the build."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from metta_checks.as_code.declared import Declared, declared

TARGET = Path('dashboards') / 'lib' / 'catalog.libsonnet'
HEADER = '// Generated from the metrics.yaml files; do not edit.\n'
PREFIX = 'metta.'


def generated(root: Path) -> Iterator[tuple[Path, str]]:
    """Return the file with its text. Raises ValueError when a part of a name hides an attribute of a metric."""
    tree: dict[str, Any] = {}
    for metric in declared().values():
        node = tree
        for part in metric.name.removeprefix(PREFIX).split('.'):
            node = node.setdefault(part, {})
        attributes = _attributes(metric)
        clash = attributes.keys() & node.keys()
        if clash:
            raise ValueError(f'{metric.name}: a metric below it is called {", ".join(sorted(clash))}')
        node.update(attributes)
    yield root / TARGET, HEADER + _object(tree, 0) + '\n'


def _attributes(metric: Declared) -> dict[str, Any]:
    return {
        'name': metric.name,
        'unit': metric.unit,
        'per_unit': metric.per_unit,
        'type': metric.type,
        'tags': list(metric.tags),
        'better': {1: 'higher', -1: 'lower', 0: ''}[metric.orientation],
    }


def _object(node: dict[str, Any], depth: int) -> str:
    indent = '  ' * (depth + 1)
    lines = ['{']
    for key, value in node.items():
        name = key if key.isidentifier() else f"'{key}'"
        text = _object(value, depth + 1) if isinstance(value, dict) else _literal(value)
        lines.append(f'{indent}{name}: {text},')
    return '\n'.join([*lines, '  ' * depth + '}'])


def _literal(value: Any) -> str:
    return json.dumps(value).replace('"', "'")

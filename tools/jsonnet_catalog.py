"""Catalog for Jsonnet: `m.github.prs.open` has name, unit, type, tags and the first sentence of its definition.

A misspelled metric fails the build.
"""

from __future__ import annotations

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
        'about': _first_sentence(metric.description),
    }


def _first_sentence(definition: str) -> str:
    sentence, dot, _ = definition.partition('. ')
    return sentence + dot.strip()


def _object(node: dict[str, Any], depth: int) -> str:
    indent = '  ' * (depth + 1)
    lines = ['{']
    for key, value in node.items():
        name = key if key.isidentifier() else f"'{key}'"
        text = _object(value, depth + 1) if isinstance(value, dict) else _literal(value)
        lines.append(f'{indent}{name}: {text},')
    return '\n'.join([*lines, '  ' * depth + '}'])


def _literal(value: Any) -> str:
    if isinstance(value, list):
        return f'[{", ".join(map(_literal, value))}]'
    return "'{}'".format(value.replace('\\', r'\\').replace("'", r'\''))

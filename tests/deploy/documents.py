"""Files under deploy/, read in the same way as by their users."""

from __future__ import annotations

import copy
import importlib.util
import json
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / 'deploy'
ENVIRONMENTS = ('staging', 'production')


def text(path: str) -> str:
    """A file under deploy/."""
    return (DEPLOY / path).read_text(encoding='utf-8')


def document(path: str) -> Any:
    """The one YAML or JSON document of a file under deploy/."""
    return yaml.safe_load(text(path))


def documents(path: str) -> list[Any]:
    """The YAML documents of a file under deploy/."""
    return [one for one in yaml.safe_load_all(text(path)) if one is not None]


def merged(below: Any, above: Any) -> Any:
    """Values as Helm merges them: mappings by key, everything else replaced, null removes a key."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return copy.deepcopy(above)
    result = copy.deepcopy(below)
    for key, value in above.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def values(environment: str) -> dict[str, Any]:
    """The values of an environment: the common file with the overlay on it."""
    return merged(document('helm/values.yaml'), document(f'helm/values-{environment}.yaml'))


def sources(chart_values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The sources' files inside of values, parsed, by name of the file."""
    files = chart_values['clusterAgent']['advancedConfd']['metta_checks.d']
    return {name: yaml.safe_load(content) for name, content in files.items()}


def versions() -> dict[str, str]:
    """The pinned versions."""
    lines = (line for line in text('versions.env').splitlines() if line and not line.startswith('#'))
    pinned = dict(line.split('=', 1) for line in lines)
    return {name: value for name, value in pinned.items() if name.endswith('_VERSION')}


def policy(name: str) -> dict[str, Any]:
    """A policy under deploy/iam."""
    return json.loads(text(f'iam/{name}.json'))


@cache
def script(path: str) -> ModuleType:
    """A Python program under deploy/, imported: they are not a package, so that they can be copied alone."""
    name = f'deploy_{Path(path).stem}'
    spec = importlib.util.spec_from_file_location(name, DEPLOY / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def leaves(tree: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every leaf of a mapping with its path; an empty mapping is a leaf."""
    if isinstance(tree, dict) and tree:
        for key, value in tree.items():
            yield from leaves(value, (*path, key))
    else:
        yield path, tree

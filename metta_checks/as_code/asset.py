"""An asset: one dashboard, monitor or SLO, as a JSON file of this project or as Datadog holds it."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Kinds, in the order in which they are created, with the directory under assets/ that holds them.
KINDS = {'slo': 'slos', 'monitor': 'monitors', 'dashboard': 'dashboards'}


class AssetError(Exception):
    """An asset cannot be read, built or found; one line that says which and why."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One asset. `document` is the content of its file; what the API takes is `body`."""

    kind: str
    # Unique within its kind: the file's name without `.json`, never the title.
    key: str
    document: dict[str, Any]

    @property
    def name(self) -> str:
        """The asset in messages and on the command line: `dashboard/system_health`."""
        return f'{self.kind}/{self.key}'

    @property
    def file(self) -> str:
        """Where it lies, relative to the directory of all assets."""
        return f'{KINDS[self.kind]}/{self.key}.json'

    @property
    def body(self) -> dict[str, Any]:
        """What the Datadog API takes. A monitor's file wraps it in `definition`, as integrations do."""
        return self.document['definition'] if self.kind == 'monitor' else self.document

    @property
    def title(self) -> str:
        """The title that people see."""
        return str(self.document.get('name' if self.kind == 'slo' else 'title', self.key))


def dump(document: dict[str, Any]) -> str:
    """The text of an asset's file."""
    return json.dumps(document, indent=2, ensure_ascii=False) + '\n'


def load(directory: Path) -> list[Asset]:
    """All assets of a directory with `dashboards`, `monitors` and `slos`, by kind and key. Raises AssetError."""
    return [_read(kind, path) for kind, folder in KINDS.items() for path in sorted((directory / folder).glob('*.json'))]


def _read(kind: str, path: Path) -> Asset:
    try:
        document = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise AssetError(f'{path}: not JSON: {error}') from error
    if not isinstance(document, dict):
        raise AssetError(f'{path}: holds {type(document).__name__}, expected an object')
    if kind == 'monitor' and not isinstance(document.get('definition'), dict):
        raise AssetError(f'{path}: definition: missing')
    return Asset(kind, path.stem, document)


def select(assets: Iterable[Asset], patterns: Iterable[str]) -> list[Asset]:
    """Those that a pattern names (key or `kind/key`, globs allowed); all without patterns.

    Raises AssetError for a pattern that names nothing.
    """
    known = list(assets)
    wanted = list(patterns)
    for pattern in wanted:
        if not any(matches(asset, pattern) for asset in known):
            raise AssetError(f'no asset is called {pattern!r}; `metta-checks assets list --local` shows the keys')
    return [asset for asset in known if not wanted or any(matches(asset, pattern) for pattern in wanted)]


def matches(asset: Asset, pattern: str) -> bool:
    """Whether a pattern of the command line names the asset."""
    return fnmatch.fnmatchcase(asset.key, pattern) or fnmatch.fnmatchcase(asset.name, pattern)


def walk_widgets(dashboard: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every widget of a dashboard with its path (`widgets[0].definition.widgets[2]`), groups before their children."""
    stack = [(f'widgets[{index}]', widget) for index, widget in enumerate(dashboard.get('widgets') or ())]
    for path, widget in stack:
        yield path, widget
        for index, child in enumerate(widget.get('definition', {}).get('widgets') or ()):
            yield f'{path}.definition.widgets[{index}]', child

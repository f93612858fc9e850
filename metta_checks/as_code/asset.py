"""An asset: a dashboard, monitor or SLO, as a JSON file of this project or as stored in Datadog."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Kinds in the order of creation, with the directory under assets/ of each.
KINDS = {'slo': 'slos', 'monitor': 'monitors', 'dashboard': 'dashboards'}


class AssetError(Exception):
    """An asset cannot be read, built or found; one line that names it and the reason."""


@dataclass(frozen=True, slots=True)
class Asset:
    """A dashboard, monitor or SLO. `document` is the content of its file; `body` is the part that the API accepts."""

    kind: str
    # Unique within the kind: the file's name without `.json`, never the title.
    key: str
    document: dict[str, Any]

    @property
    def name(self) -> str:
        """Name in messages and on the command line: `dashboard/system_health`."""
        return f'{self.kind}/{self.key}'

    @property
    def file(self) -> str:
        """Path of the file, relative to the directory of all assets."""
        return f'{KINDS[self.kind]}/{self.key}.json'

    @property
    def body(self) -> dict[str, Any]:
        """Body for the Datadog API. A monitor's file wraps it in `definition`, as integrations do."""
        return self.document['definition'] if self.kind == 'monitor' else self.document

    @property
    def title(self) -> str:
        """Title as shown in Datadog."""
        return str(self.document.get('name' if self.kind == 'slo' else 'title', self.key))


def dump(document: dict[str, Any]) -> str:
    """Return the text of an asset's file."""
    # Half of a surrogate pair is not UTF-8; JSON has a notation for it.
    return json.dumps(document, indent=2, ensure_ascii=False).encode('utf-8', 'backslashreplace').decode() + '\n'


def load(directory: Path) -> list[Asset]:
    """Return all assets of a directory with `dashboards`, `monitors` and `slos`, by kind and key. Raises AssetError."""
    return [_read(kind, path) for kind, folder in KINDS.items() for path in sorted((directory / folder).glob('*.json'))]


def _read(kind: str, path: Path) -> Asset:
    try:
        document = json.loads(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise AssetError(f'{path}: cannot be read: {error.strerror}') from error
    except (ValueError, RecursionError) as error:
        raise AssetError(f'{path}: not JSON: {error}') from error
    if not isinstance(document, dict):
        raise AssetError(f'{path}: holds {type(document).__name__}, expected an object')
    if kind == 'monitor' and not isinstance(document.get('definition'), dict):
        raise AssetError(f'{path}: definition: missing')
    return Asset(kind, path.stem, document)


def select(assets: Iterable[Asset], patterns: Iterable[str]) -> list[Asset]:
    """Return the assets that match a pattern (key or `kind/key`, globs allowed); without patterns all of them.

    Raises AssetError for a pattern that matches nothing.
    """
    known = list(assets)
    wanted = list(patterns)
    for pattern in wanted:
        if not any(matches(asset, pattern) for asset in known):
            raise AssetError(f'no asset is called {pattern!r}; `metta-checks assets list --local` shows the keys')
    return [asset for asset in known if not wanted or any(matches(asset, pattern) for pattern in wanted)]


def matches(asset: Asset, pattern: str) -> bool:
    """Return whether a pattern of the command line matches the asset."""
    return fnmatch.fnmatchcase(asset.key, pattern) or fnmatch.fnmatchcase(asset.name, pattern)


def walk_widgets(dashboard: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every widget of a dashboard with its path (`widgets[0].definition.widgets[2]`), parents first."""
    stack = [(f'widgets[{index}]', widget) for index, widget in enumerate(dashboard.get('widgets') or ())]
    for path, widget in stack:
        yield path, widget
        for index, child in enumerate(widget.get('definition', {}).get('widgets') or ()):
            yield f'{path}.definition.widgets[{index}]', child

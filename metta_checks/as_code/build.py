"""Build dashboards, monitors and SLOs from Jsonnet into canonical JSON files.

A source directory holds one `*.jsonnet` per dashboard, `monitors.jsonnet` and `slos.jsonnet` (functions of the
environment that return an object of documents by key), and `lib/`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import files
from .asset import KINDS, Asset, AssetError, dump

# Files that build several documents at once, and the kind of these documents.
COLLECTIONS = {'monitors': 'monitor', 'slos': 'slo'}
ENVIRONMENTS = ('production', 'staging')


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that could not be built: its path and the reason, with line and column where Jsonnet reports them."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Built:
    """Result of building a source directory. Files that failed are missing among the assets."""

    assets: tuple[Asset, ...]
    failures: tuple[Failure, ...]


def build(source: Path, env: str = '', docs: str = '') -> Built:
    """Build everything under a source directory, in memory.

    With an empty `env`, return the shipped assets: dashboards, monitors of all environments, SLOs of production. With
    one of ENVIRONMENTS, return the monitors and SLOs of that environment, with its thresholds; dashboards are the same
    in all environments, which they tell apart by a template variable. `docs` is the address of the documentation that
    dashboards link to; they have no such links without it. Raises AssetError when there is nothing to build.
    """
    files = sorted(source.glob('*.jsonnet'))
    if not files:
        raise AssetError(f'{source}: no *.jsonnet file; name the directory of the sources with --source')
    assets: list[Asset] = []
    failures: list[Failure] = []
    for path in files:
        if env and path.stem not in COLLECTIONS:
            continue
        try:
            assets += _evaluate(path, env, docs)
        except AssetError as error:
            failures.append(Failure(path, str(error)))
    order = list(KINDS)
    assets.sort(key=lambda asset: (order.index(asset.kind), asset.key))
    return Built(tuple(assets), tuple(failures))


def _evaluate(path: Path, env: str, docs: str) -> Iterator[Asset]:
    try:
        import _gojsonnet
    except ModuleNotFoundError:
        raise AssetError('Jsonnet is missing: pip install "datadog-metta-checks[dashboards]"') from None
    kind = COLLECTIONS.get(path.stem, 'dashboard')
    arguments = {'tla_vars': {'env': env}} if kind != 'dashboard' else {'ext_vars': {'docs': docs}}
    try:
        document = json.loads(_gojsonnet.evaluate_file(str(path), **arguments))
    except RuntimeError as error:
        raise AssetError(_first_words(str(error))) from None
    if not isinstance(document, dict):
        raise AssetError(f'returns {type(document).__name__}, expected an object')
    if kind == 'dashboard':
        yield Asset(kind, files.check_key(path.stem), document)
        return
    for key, one in document.items():
        if not isinstance(one, dict):
            raise AssetError(f'{key}: {type(one).__name__}, expected an object')
        yield Asset(kind, files.check_key(key), one)


# Locations in Jsonnet's messages: `file:3:7`, `file:3:7-12` or `file:(3:1)-(5:2)`.
_PLACE = re.compile(r'(?P<file>[^\s:]+sonnet):(?P<place>[\d:()-]+)')


def _first_words(text: str) -> str:
    """Return Jsonnet's message with the innermost location; the rest of the stack does not help a reader."""
    lines = [line.strip() for line in text.strip().splitlines()]
    message = lines[0].removeprefix('RUNTIME ERROR: ')
    found = _PLACE.match(message)
    if found:
        # A syntax error begins with its location.
        message = message[found.end() :].strip()
    else:
        found = next((place for line in lines[1:] if (place := _PLACE.match(line))), None)
    return f'{message} (at {Path(found["file"]).name}:{found["place"]})' if found else message


@dataclass(frozen=True, slots=True)
class Drift:
    """A file that differs from the build: `missing`, `differs`, or `left over` without a source."""

    path: Path
    what: str


def drift(built: Built, directory: Path) -> list[Drift]:
    """Return the differences between the files under a directory and the build."""
    wanted = {directory / asset.file: dump(asset.document) for asset in built.assets}
    found: list[Drift] = []
    for path, text in wanted.items():
        if not path.is_file():
            found.append(Drift(path, 'missing'))
        elif path.read_text(encoding='utf-8') != text:
            found.append(Drift(path, 'differs'))
    found += [Drift(path, 'left over') for path in _existing(directory) if path not in wanted]
    return found


def write(built: Built, directory: Path) -> list[Path]:
    """Write the built files; return the changed paths. Files without a source go, unless a build failed.

    Raises AssetError and OSError as `files.write`.
    """
    changed: list[Path] = []
    wanted = {asset.file: dump(asset.document) for asset in built.assets}
    for name, text in wanted.items():
        path = directory / name
        if path.is_symlink() or not path.is_file() or path.read_text(encoding='utf-8') != text:
            changed.append(files.write(directory, name, text.encode()))
    if not built.failures:
        for path in _existing(directory):
            name = path.relative_to(directory).as_posix()
            if name not in wanted:
                changed.append(files.remove(directory, name))
    return changed


def _existing(directory: Path) -> Iterator[Path]:
    for folder in KINDS.values():
        yield from sorted((directory / folder).glob('*.json'))


def manifest_assets(assets: tuple[Asset, ...]) -> dict[str, Any]:
    """Return the sections `dashboards` and `monitors` of manifest.json: title to path."""
    return {
        KINDS[kind]: {asset.title: f'assets/{asset.file}' for asset in assets if asset.kind == kind}
        for kind in ('dashboard', 'monitor')
    }

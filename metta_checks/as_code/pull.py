"""Objects in Datadog as asset files: in a folder of their own, or back in the source."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from metta_checks.core.errors import SHAPE_ERRORS

from . import files, plan
from .asset import KINDS, Asset, AssetError, dump, load, matches
from .canonical import canonical
from .changes import Change, changes
from .merge import merge
from .remote import Datadog, Live, RemoteError


@dataclass(frozen=True, slots=True)
class Pulled:
    """An object as an asset, or the reason why it cannot become one."""

    kind: str
    key: str
    live: Live
    asset: Asset | None = None
    error: str = ''
    # Differences from the file in the target directory; empty without one.
    changes: tuple[Change, ...] = ()
    # True if the target directory has no such file yet.
    new: bool = True

    @property
    def name(self) -> str:
        """Kind and key: `dashboard/system_health`."""
        return f'{self.kind}/{self.key}'

    @property
    def differs(self) -> bool:
        """True if the object can be written and is not what the target directory holds."""
        return self.asset is not None and (self.new or bool(self.changes))

    def document(self) -> dict[str, Any]:
        """Return the result for JSON output."""
        said = {'error': self.error, 'changes': [change.document() for change in self.changes]}
        fields = {'kind': self.kind, 'key': self.key, 'id': self.live.id, 'title': self.live.title, 'new': self.new}
        return fields | {name: value for name, value in said.items() if value}


def choose(
    objects: Iterable[Live], namespace: str, patterns: Iterable[str], *, everything: bool = False
) -> tuple[list[tuple[str, Live]], list[str]]:
    """Return the objects to pull, each with the key of its file, and the patterns that match nothing.

    A pattern is a key of the namespace, `kind/key`, a glob of either, or the id of any object. Without patterns, return
    all objects of the namespace; with `everything`, all of the organization.
    """
    wanted = list(patterns)
    missing = set(wanted)
    # Objects of the namespace come first: their keys are fixed, those of the others avoid them.
    chosen: list[tuple[str, Live]] = []
    taken: set[tuple[str, str]] = set()
    known = sorted(objects, key=lambda live: (_managed_by(live, namespace) is None, live.marker is None))
    for live in known:
        key = _managed_by(live, namespace)
        hits = {pattern for pattern in wanted if _hits(pattern, live, key)}
        missing -= hits
        if hits or everything or (not wanted and key is not None):
            # Two managed objects with one key keep that key: a mistake to report.
            name = files.file_key(key or _free(live, taken))
            taken.add((live.kind, name))
            chosen.append((name, live))
    return chosen, sorted(missing)


def pull(remote: Datadog, chosen: Iterable[tuple[str, Live]], into: Path | None = None) -> list[Pulled]:
    """Read the objects and return them as assets; with `into`, compare them with its files and keep their notation.

    Raises AssetError when a file there cannot be read.
    """
    present = {asset.name: asset for asset in load(into)} if into is not None else {}
    pairs = list(chosen)
    found = []
    for key, live in pairs:
        one = Pulled(live.kind, key, live)
        same_key = [other for name, other in pairs if (name, other.kind) == (key, live.kind)]
        if len(same_key) > 1:
            found.append(replace(one, error=plan.duplicates(one.name, same_key)))
            continue
        try:
            found.append(_pulled(one, remote.body(live), present.get(one.name)))
        except (RemoteError, AssetError) as error:
            found.append(replace(one, error=str(error)))
        except SHAPE_ERRORS as error:
            found.append(replace(one, error=f'not the form of a {one.kind} ({type(error).__name__})'))
    return found


def write(directory: Path, pulled: Iterable[Pulled]) -> tuple[list[Path], dict[str, str]]:
    """Write the assets. Returns the written files, and by name the reasons why others could not be written.

    A file without a change is not written.
    """
    written: list[Path] = []
    failed: dict[str, str] = {}
    for one in pulled:
        if one.asset is None or not one.differs:
            continue
        try:
            written.append(files.write(directory, one.asset.file, dump(one.asset.document).encode()))
        except AssetError as error:
            failed[one.name] = str(error)
        except OSError as error:
            failed[one.name] = f'{directory / one.asset.file}: cannot be written: {error.strerror}'
    return written, failed


def _managed_by(live: Live, namespace: str) -> str | None:
    return live.marker.key if live.marker is not None and live.marker.namespace == namespace else None


def _hits(pattern: str, live: Live, key: str | None) -> bool:
    """Return whether a pattern is the id of an object, or matches its key in the namespace."""
    return pattern == live.id or (key is not None and matches(Asset(live.kind, key, {}), pattern))


def _free(live: Live, taken: set[tuple[str, str]]) -> str:
    """Return a key for an object without one here: its title as a file name, with its id if that is taken."""
    plain = unicodedata.normalize('NFKD', live.title).encode('ascii', 'ignore').decode()
    key = re.sub(r'[^a-z0-9]+', '_', plain.lower()).strip('_')[:80] or live.kind
    return key if (live.kind, key) not in taken else f'{key}_{live.id}'


def _pulled(one: Pulled, body: dict[str, Any], source: Asset | None) -> Pulled:
    if source is None:
        return replace(one, asset=Asset(one.kind, one.key, _fresh(one.live, canonical(one.kind, body))))
    found = tuple(changes(canonical(one.kind, source.body), canonical(one.kind, body)))
    merged = merge(one.kind, source.body, body)
    document = {**source.document, 'definition': merged} if one.kind == 'monitor' else merged
    if one.kind == 'monitor' and found and one.live.modified:
        document['last_updated_at'] = one.live.modified[:10]
    return replace(one, asset=Asset(one.kind, one.key, document), changes=found, new=False)


def _fresh(live: Live, body: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a new file. Fields of a monitor's file that Datadog does not hold stay empty."""
    if live.kind != 'monitor':
        return body
    created = str((live.body or {}).get('created') or live.modified)[:10]
    return {
        'version': 2,
        'created_at': created,
        'last_updated_at': live.modified[:10],
        'title': live.title,
        'description': '',
        'tags': body.get('tags', []),
        'definition': body,
    }


def all_objects(remote: Datadog, kinds: Iterable[str] = KINDS) -> list[Live]:
    """Return all objects of these kinds. Raises RemoteError."""
    return [live for kind in kinds for live in remote.objects(kind)]

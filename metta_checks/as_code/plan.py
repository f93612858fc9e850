"""Differences between the files and Datadog, object by object, as steps."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from . import marker, recipients
from .asset import KINDS, Asset, AssetError, matches
from .canonical import canonical, writable
from .changes import Change, changes
from .marker import Marker
from .remote import Datadog, Live, Refused, RemoteError, Unavailable

CREATE, UPDATE, SAME, DELETE, ERROR = 'create', 'update', 'same', 'delete', 'error'


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a plan: the action for one object."""

    kind: str
    key: str
    title: str
    action: str
    asset: Asset | None = None
    live: Live | None = None
    changes: tuple[Change, ...] = ()
    # Remarks for the user about this step.
    notes: tuple[str, ...] = ()
    # Reason why it cannot be done; with action `error`.
    error: str = ''
    # An unmanaged object with the same title, a candidate for adoption; with action `error`.
    candidate: Live | None = None
    # The object must be deleted and created again, because Datadog cannot change it in place.
    replace: bool = False

    @property
    def name(self) -> str:
        """Kind and key: `dashboard/system_health`."""
        return f'{self.kind}/{self.key}'

    def document(self) -> dict[str, Any]:
        """Return the step for JSON output, without fields that do not apply."""
        fields = {
            'id': self.live.id if self.live else '',
            'changes': [change.document() for change in self.changes],
            'notes': list(self.notes),
            'error': self.error,
            'candidate': self.candidate.id if self.candidate else '',
            'replace': self.replace,
        }
        said = {name: value for name, value in fields.items() if value}
        return {'kind': self.kind, 'key': self.key, 'title': self.title, 'action': self.action, **said}


@dataclass(frozen=True, slots=True)
class Plan:
    """All steps, and the number of objects of the organization outside this namespace."""

    namespace: str
    steps: tuple[Step, ...]
    unmanaged: Mapping[str, int] = field(default_factory=dict)

    def having(self, *actions: str) -> list[Step]:
        """Return the steps with one of these actions."""
        return [step for step in self.steps if step.action in actions]

    @property
    def different(self) -> bool:
        """True if files and Datadog differ, deletions included."""
        return bool(self.having(CREATE, UPDATE, DELETE))

    def counts(self) -> dict[str, int]:
        """Number of steps by action."""
        found = Counter(step.action for step in self.steps)
        return {action: found[action] for action in (CREATE, UPDATE, SAME, DELETE, ERROR)}

    def summary(self) -> dict[str, Any]:
        """Return the numbers of steps and of other objects for JSON output."""
        return {'namespace': self.namespace, **self.counts(), 'unmanaged': dict(self.unmanaged)}


@dataclass(frozen=True, slots=True)
class Decisions:
    """Decisions of the command line about objects that are not managed yet."""

    # By `kind/key`: the id of the object to adopt.
    adopt: Mapping[str, str] = field(default_factory=dict)
    # Names to create although an unmanaged object has the same title.
    new: Collection[str] = ()


def decisions(adopt: Iterable[str], new: Iterable[str], assets: Iterable[Asset]) -> Decisions:
    """Return the decisions from `KEY=ID` and `KEY`, each of which must name one asset. Raises AssetError."""
    known = list(assets)
    adopted: dict[str, str] = {}
    for one in adopt:
        key, equals, identifier = one.partition('=')
        if not equals or not identifier:
            raise AssetError(f'--adopt {one}: expected KEY=ID')
        adopted[_single(key, known, '--adopt')] = identifier
    if len(set(adopted.values())) != len(adopted):
        raise AssetError('--adopt: two keys cannot have the same object')
    return Decisions(adopted, {_single(key, known, '--new') for key in new})


def _single(key: str, assets: list[Asset], option: str) -> str:
    found = [asset.name for asset in assets if matches(asset, key)]
    if len(found) != 1:
        raise AssetError(
            f'{option} {key}: ' + (f'name one of {", ".join(found)}' if found else 'no asset has this key')
        )
    return found[0]


def make(
    remote: Datadog,
    selected: Iterable[Asset],
    everything: Iterable[Asset],
    *,
    namespace: str = marker.DEFAULT_NAMESPACE,
    decided: Decisions | None = None,
) -> Plan:
    """Compare the selected assets with Datadog.

    Objects of the namespace without a file are steps, too, when all assets are selected. A problem with a single object
    (no permission to read it, two objects with one key) is a step with action `error`. Raises RemoteError when the
    objects cannot be listed, AssetError for a namespace or key that a marker cannot hold.
    """
    marker.check_name('namespace', namespace)
    wanted, source = list(selected), list(everything)
    for asset in wanted:
        marker.check_name(f'{KINDS[asset.kind]}: key', asset.key)
    steps: list[Step] = []
    unmanaged: dict[str, int] = {}
    for kind in KINDS:
        objects = remote.objects(kind)
        managed = by_key(objects, namespace)
        unmanaged[kind] = sum(1 for live in objects if live.marker is None or live.marker.namespace != namespace)
        planner = _Planner(remote, namespace, objects, managed, decided or Decisions())
        steps += [planner.step(asset) for asset in wanted if asset.kind == kind]
        if len(wanted) == len(source):
            steps += gone(kind, managed, source)
    return Plan(namespace, tuple(steps), unmanaged)


def by_key(objects: Iterable[Live], namespace: str) -> dict[str, list[Live]]:
    """Return the objects of the namespace by key; several objects under one key are a mistake to report."""
    found: dict[str, list[Live]] = defaultdict(list)
    for live in objects:
        if live.marker is not None and live.marker.namespace == namespace:
            found[live.marker.key].append(live)
    return found


def gone(kind: str, managed: Mapping[str, list[Live]], source: Iterable[Asset]) -> list[Step]:
    """Yield the steps that delete managed objects without a file."""
    kept = {asset.key for asset in source if asset.kind == kind}
    return [
        Step(
            kind,
            key,
            live.title,
            DELETE,
            live=live,
            notes=('no longer in the source files; `assets prune` deletes it',),
        )
        for key, objects in sorted(managed.items())
        if key not in kept
        for live in objects
    ]


def duplicates(name: str, objects: list[Live]) -> str:
    """Return the message about several objects with one key."""
    ids = ', '.join(live.id for live in objects)
    return f'{len(objects)} objects carry the marker of {name}: {ids}; delete all but one, or the marker in them'


@dataclass(frozen=True, slots=True)
class _Planner:
    remote: Datadog
    namespace: str
    objects: list[Live]
    managed: Mapping[str, list[Live]]
    decided: Decisions

    def step(self, asset: Asset) -> Step:
        """Return the step for one asset."""
        found = self.managed.get(asset.key, [])
        try:
            if len(found) > 1:
                return self._error(asset, duplicates(asset.name, found))
            if found:
                wish = self.decided.adopt.get(asset.name)
                if wish not in (None, found[0].id):
                    return self._error(asset, f'already manages {found[0].id}, cannot adopt {wish}')
                return self._update(asset, found[0])
            if asset.name in self.decided.adopt:
                return self._adopt(asset, self.decided.adopt[asset.name])
            return self._create(asset)
        except (RemoteError, AssetError) as error:
            return self._error(asset, str(error))

    @staticmethod
    def _error(asset: Asset, message: str, candidate: Live | None = None) -> Step:
        return Step(asset.kind, asset.key, asset.title, ERROR, asset, error=message, candidate=candidate)

    def _create(self, asset: Asset) -> Step:
        title = asset.body.get('title' if asset.kind == 'dashboard' else 'name')
        alike = [live for live in self.objects if live.marker is None and live.title == title]
        if alike and asset.name not in self.decided.new:
            ids = ', '.join(live.id for live in alike)
            return self._error(
                asset,
                f'an unmanaged {asset.kind} has the same title: {ids}; `push --adopt {asset.name}={alike[0].id}` '
                f'adopts it, `push --new {asset.name}` creates another',
                alike[0] if len(alike) == 1 else None,
            )
        return self._checked(Step(asset.kind, asset.key, asset.title, CREATE, asset))

    def _adopt(self, asset: Asset, identifier: str) -> Step:
        live = next((live for live in self.objects if live.id == identifier), None)
        if live is None:
            return self._error(asset, f'there is no {asset.kind} {identifier} to adopt')
        if live.marker is not None:
            return self._error(asset, f'{identifier} is managed already, as {live.marker.namespace}/{live.marker.key}')
        return self._update(asset, live, ('adopted: it gets the marker',))

    def _update(self, asset: Asset, live: Live, notes: tuple[str, ...] = ()) -> Step:
        body = self.remote.body(live)
        added = recipients.added(asset, body)
        theirs, ours = (recipients.without(one, added) for one in (body, asset.body)) if added else (body, asset.body)
        found = tuple(changes(canonical(asset.kind, theirs), canonical(asset.kind, ours)))
        if notes:
            marked = str(Marker(self.namespace, asset.key))
            found += (Change(f'{marker.FIELDS[asset.kind]} (last line)', '', marked),)
        if not found:
            return Step(asset.kind, asset.key, asset.title, SAME, asset, live)
        if added:
            asset = recipients.with_additions(asset, added)
            handles = ', '.join(dict.fromkeys(handle for _, handle in added))
            notes += (f'keeps recipients that were added in Datadog: {handles}',)
        replace = asset.kind == 'dashboard' and any(change.path == 'layout_type' for change in found)
        if replace:
            notes += (
                'layout_type cannot be changed: the dashboard is deleted and created again, with a new id and link',
            )
        step = Step(asset.kind, asset.key, asset.title, UPDATE, asset, live, found, notes, replace=replace)
        return self._checked(step)

    def _checked(self, step: Step) -> Step:
        """Return the step, as an error when Datadog rejects the monitor."""
        if step.asset is None or step.kind != 'monitor':
            return step
        body = marker.attach('monitor', writable('monitor', step.asset.body), Marker(self.namespace, step.key))
        try:
            objection = self.remote.validate_monitor(body, step.live.id if step.live else '')
        except (Refused, Unavailable) as error:
            # Planning needs no permission to write; `push` reports a missing one.
            return replace(step, notes=(*step.notes, f'not validated: {error}'))
        return self._error(step.asset, f'not valid: {objection}') if objection else step

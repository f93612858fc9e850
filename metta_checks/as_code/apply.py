"""Apply a plan to Datadog, one step at a time. A failed step does not stop the others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from metta_checks.core.errors import SHAPE_ERRORS

from . import marker
from .asset import Asset, AssetError, walk_widgets
from .canonical import canonical, default_of, writable
from .changes import ABSENT, Change, changes
from .declared import Declared
from .marker import Marker
from .plan import CREATE, ERROR, UPDATE, Plan, Step
from .remote import Datadog, Live, Missing, RemoteError

# Dashboards come first, because they refer to monitors and SLOs.
DELETE_ORDER = ('dashboard', 'slo', 'monitor')


@dataclass(frozen=True, slots=True)
class Result:
    """Result of a step. `error` is empty when the step succeeded."""

    kind: str
    key: str
    title: str
    action: str
    id: str = ''
    error: str = ''
    # Paths at which Datadog stored another value than the one sent.
    unlike: tuple[Change, ...] = ()

    @property
    def name(self) -> str:
        """Kind and key: `dashboard/system_health`."""
        return f'{self.kind}/{self.key}'

    def document(self) -> dict[str, Any]:
        """Return the result for JSON output."""
        unlike = [change.document() for change in self.unlike]
        said = {'id': self.id, 'error': self.error, 'unlike': unlike}
        fields = {'kind': self.kind, 'key': self.key, 'title': self.title, 'action': self.action}
        return fields | {name: value for name, value in said.items() if value}


def push(remote: Datadog, plan: Plan, starting: Callable[[Step], None] = lambda _: None) -> Iterator[Result]:
    """Create and update objects in the order of the plan: SLOs, monitors, dashboards. Delete nothing.

    `starting` is called with each step before it is tried. Yields a result for each step that changes something; a step
    that the plan marked as an error yields a failed result.
    """
    for step in plan.having(CREATE, UPDATE, ERROR):
        starting(step)
        yield _tried(remote, plan.namespace, step)


def delete(remote: Datadog, objects: Iterable[Live]) -> Iterator[Result]:
    """Delete objects, dashboards first and monitors last; yield the result of each."""
    for live in sorted(objects, key=lambda live: DELETE_ORDER.index(live.kind)):
        key = live.marker.key if live.marker else ''
        try:
            remote.ensure_unchanged(live)
            remote.delete(live.kind, live.id)
        except Missing:
            yield Result(live.kind, key, live.title, 'delete', live.id)
        except RemoteError as error:
            yield Result(live.kind, key, live.title, 'delete', live.id, str(error))
        else:
            yield Result(live.kind, key, live.title, 'delete', live.id)


def describe(remote: Datadog, metrics: Iterable[Declared]) -> Iterator[tuple[str, str]]:
    """Send unit, type and description of metrics to Datadog; yield each name with its error, empty on success."""
    for metric in metrics:
        fields = {'type': metric.type, 'unit': metric.unit, 'per_unit': metric.per_unit}
        fields['description'] = metric.description
        try:
            remote.describe_metric(metric.name, {name: value for name, value in fields.items() if value})
        except RemoteError as error:
            yield metric.name, str(error)
        else:
            yield metric.name, ''


def _tried(remote: Datadog, namespace: str, step: Step) -> Result:
    identifier = step.live.id if step.live else ''
    if step.asset is None or step.action == ERROR:
        return Result(step.kind, step.key, step.title, ERROR, identifier, step.error)
    body = marker.attach(step.kind, writable(step.kind, step.asset.body), Marker(namespace, step.key))
    try:
        live = _done(remote, step, body)
    except RemoteError as error:
        message = str(error)
        if error.uncertain:
            message += '; it may exist now; push again: an existing object is found by its marker'
        return Result(step.kind, step.key, step.title, step.action, identifier, message)
    except SHAPE_ERRORS as error:
        # Before anything was sent: widgets are matched with the live ones.
        message = f'not the form of a {step.kind} ({type(error).__name__}); see `metta-checks assets lint`'
        return Result(step.kind, step.key, step.title, step.action, identifier, message)
    unlike = _unlike(step.asset, live)
    return Result(step.kind, step.key, step.title, step.action, live.id, unlike=unlike)


def _done(remote: Datadog, step: Step, body: dict[str, Any]) -> Live:
    if step.live is None:
        return remote.create(step.kind, body)
    remote.ensure_unchanged(step.live)
    if step.replace:
        # In this order: if the second call fails, the reverse order would leave two objects with one key.
        remote.delete(step.kind, step.live.id)
        return remote.create(step.kind, body)
    body = with_widget_ids(body, remote.body(step.live)) if step.kind == 'dashboard' else _with_resets(step, body)
    return remote.update(step.kind, step.live.id, body)


def _unlike(asset: Asset, live: Live) -> tuple[Change, ...]:
    """Return the differences between the stored object and the file, which the next plan would show again."""
    if live.body is None:
        return ()
    try:
        return tuple(changes(canonical(asset.kind, asset.body), canonical(asset.kind, live.body)))
    except AssetError:
        return ()


def _with_resets(step: Step, body: dict[str, Any]) -> dict[str, Any]:
    """Return the body with explicit defaults for fields that Datadog holds and the file omits.

    An update of a monitor or SLO replaces the fields that are sent and keeps the others, so omitting a field would
    never remove it. Within a field, for example the options of a monitor, Datadog drops everything that is not sent.
    """
    gone = [change.path for change in step.changes if change.new is ABSENT]
    # Deeper paths are never keys of the live body.
    resets = {field: default_of(step.kind, field) for field in gone if step.live and field in (step.live.body or {})}
    return resets | body


def with_widget_ids(body: dict[str, Any], live: dict[str, Any]) -> dict[str, Any]:
    """Return the dashboard with the live widgets' ids, matched by group and widget titles: links stay valid."""
    known: dict[tuple[str, str, str], list[Any]] = defaultdict(list)
    for place, widget in _placed(live):
        known[place].append(widget.get('id'))
    copy: dict[str, Any] = _copied(body)
    for place, widget in _placed(copy):
        ids = known.get(place)
        if ids and (identifier := ids.pop(0)) is not None:
            widget['id'] = identifier
    return copy


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value


def _placed(dashboard: dict[str, Any]) -> Iterator[tuple[tuple[str, str, str], dict[str, Any]]]:
    """Yield widgets by group title, kind and title; one without a title is identified by kind and position."""
    groups: dict[str, str] = {}
    for path, widget in walk_widgets(dashboard):
        definition = widget.get('definition', {})
        parent = path.rpartition('.definition.widgets[')[0]
        title, kind = str(definition.get('title') or ''), str(definition.get('type') or '')
        groups[path] = title
        yield (groups.get(parent, ''), kind, title), widget

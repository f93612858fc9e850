"""Makes Datadog what the files say, step by step of a plan. One that fails does not keep the others from being done."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from . import marker
from .asset import Asset, walk_widgets
from .canonical import ABSENT, Change, canonical, changes, default_of, writable
from .declared import Declared
from .marker import Marker
from .plan import CREATE, ERROR, UPDATE, Plan, Step
from .remote import Datadog, Live, Missing, RemoteError

# Dashboards first, because they refer to the others.
DELETE_ORDER = ('dashboard', 'slo', 'monitor')


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a step. `error` is empty when it was done."""

    kind: str
    key: str
    title: str
    action: str
    id: str = ''
    error: str = ''
    # Where Datadog stored something else than it was sent.
    unlike: tuple[Change, ...] = ()

    @property
    def name(self) -> str:
        """The kind and the key: `dashboard/system_health`."""
        return f'{self.kind}/{self.key}'

    def document(self) -> dict[str, Any]:
        """For JSON output."""
        unlike = [change.document() for change in self.unlike]
        said = {'id': self.id, 'error': self.error, 'unlike': unlike}
        fields = {'kind': self.kind, 'key': self.key, 'title': self.title, 'action': self.action}
        return fields | {name: value for name, value in said.items() if value}


def push(remote: Datadog, plan: Plan, starting: Callable[[Step], None] = lambda _: None) -> Iterator[Result]:
    """Create and update, in the order of the plan: SLOs, monitors, dashboards. Deletes nothing that left the source.

    `starting` is told of each step before it is tried. Yields a result for every step that is not done already; what
    the plan could not settle is a failure, too.
    """
    for step in plan.having(CREATE, UPDATE, ERROR):
        starting(step)
        yield _tried(remote, plan.namespace, step)


def delete(remote: Datadog, objects: Iterable[Live]) -> Iterator[Result]:
    """Delete objects, dashboards first, monitors last."""
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
    """Send unit, type and description of metrics to Datadog. Yields each name with its error, empty when done."""
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
            message += '; it may exist now: push again, which finds it by its marker'
        return Result(step.kind, step.key, step.title, step.action, identifier, message)
    unlike = _unlike(step.asset, live)
    return Result(step.kind, step.key, step.title, step.action, live.id, unlike=unlike)


def _done(remote: Datadog, step: Step, body: dict[str, Any]) -> Live:
    if step.live is None:
        return remote.create(step.kind, body)
    remote.ensure_unchanged(step.live)
    if step.replace:
        # In this order: the other one would leave two with one key behind should it fail half-way.
        remote.delete(step.kind, step.live.id)
        return remote.create(step.kind, body)
    body = with_widget_ids(body, remote.body(step.live)) if step.kind == 'dashboard' else _with_resets(step, body)
    return remote.update(step.kind, step.live.id, body)


def _unlike(asset: Asset, live: Live) -> tuple[Change, ...]:
    """Where the stored object differs from the file: the next plan would show it again."""
    if live.body is None:
        return ()
    return tuple(changes(canonical(asset.kind, asset.body), canonical(asset.kind, live.body)))


def _with_resets(step: Step, body: dict[str, Any]) -> dict[str, Any]:
    """The body with explicit defaults for what Datadog holds and the file does not.

    Updating a monitor or SLO replaces the fields that are sent and leaves alone the others, so leaving one out would
    never remove it. Within a field, the options of a monitor for example, what is not sent is gone.
    """
    gone = [change.path for change in step.changes if change.new is ABSENT]
    # Deeper paths are never keys of the live body.
    resets = {field: default_of(step.kind, field) for field in gone if step.live and field in (step.live.body or {})}
    return resets | body


def with_widget_ids(body: dict[str, Any], live: dict[str, Any]) -> dict[str, Any]:
    """The dashboard with the ids of the live one's widgets, by title of group and widget, so that links stay valid."""
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
    """Widgets with group title, kind and title; without a title, a widget is known by its kind and order."""
    groups: dict[str, str] = {}
    for path, widget in walk_widgets(dashboard):
        definition = widget.get('definition', {})
        parent = path.rpartition('.definition.widgets[')[0]
        title, kind = str(definition.get('title') or ''), str(definition.get('type') or '')
        groups[path] = title
        yield (groups.get(parent, ''), kind, title), widget

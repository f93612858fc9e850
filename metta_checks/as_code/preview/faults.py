"""Parts of a dashboard that the API would refuse, each replaced so that the rest of the page can be drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..schema import violations

# Key of a definition that stands for a faulty one, with the reason.
FAULT = 'fault'
_PLACE = ('x', 'y', 'width', 'height')
# The parts of a dashboard around a widget that is looked at alone.
_AROUND = {'title': 'x', 'description': '', 'layout_type': 'ordered', 'template_variables': []}


def drawable(dashboard: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return a copy that can be drawn, and the faults that were replaced, one line each.

    A widget that the API would refuse becomes a labeled box in the same place; a group keeps its other widgets.
    Template variables and presets that the API would refuse are left out.
    """
    faults: list[str] = []
    outside = _errors({**dashboard, 'widgets': []})
    faults += [f'{path}: {message}' for path, message in outside]
    document = dict(dashboard)
    for key in ('template_variables', 'template_variable_presets'):
        if any(path.startswith(key) for path, _ in outside):
            document[key] = []
    document['widgets'] = _widgets(dashboard.get('widgets'), 'widgets', faults)
    return document, faults


def _errors(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (path, message) of what the API would refuse; keys that its client does not know are accepted."""
    found = violations('dashboard', document, unknown='warning')
    return [(one.path, one.message) for one in found if one.level == 'error']


def _widgets(widgets: Any, path: str, faults: list[str]) -> list[dict[str, Any]]:
    found = widgets if isinstance(widgets, list) else []
    return [_widget(one, f'{path}[{index}]', faults) for index, one in enumerate(found)]


def _widget(widget: Any, path: str, faults: list[str]) -> dict[str, Any]:
    outer = widget if isinstance(widget, dict) else {}
    definition = outer.get('definition')
    known = definition if isinstance(definition, dict) else {}
    if known.get('type') == 'group' and isinstance(known.get('widgets'), list):
        inside = {**known, 'widgets': _widgets(known['widgets'], f'{path}.definition.widgets', faults)}
        return {'definition': inside} | _layout(outer)
    errors = _errors({**_AROUND, 'widgets': [widget]})
    if not errors:
        return outer
    place, message = errors[0]
    reason = f'{place.removeprefix("widgets[0]").lstrip(".")}: {message}'
    faults.append(f'{path}.{reason}')
    stand_in = {'type': str(known.get('type') or 'widget'), 'title': str(known.get('title') or ''), FAULT: reason}
    return {'definition': stand_in} | _layout(outer)


def _layout(widget: Mapping[str, Any]) -> dict[str, Any]:
    """Return the position of a widget where it has one."""
    layout = widget.get('layout')
    placed = isinstance(layout, dict) and all(type(layout.get(key)) is int for key in _PLACE)
    return {'layout': layout} if placed else {}

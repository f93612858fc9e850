"""Canonical form: documents with the same meaning become equal, so that each difference is a change that somebody made.

Datadog returns more than it was sent: ids, times, authors, defaults, another order. `canonical` removes what is
read-only or equal to the default, and sorts lists whose order has no meaning; `changes` compares two canonical forms by
path.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from metta_checks.core.errors import SHAPE_ERRORS

from . import marker
from .asset import AssetError

# Keys that hold a list, or nothing.
_LISTS = {
    'dashboard': ('widgets', 'template_variables', 'template_variable_presets', 'tags', 'notify_list'),
    'monitor': ('tags',),
    'slo': ('tags', 'thresholds', 'monitor_tags', 'monitor_ids'),
}

ABSENT: Any = type('Absent', (), {'__repr__': lambda _: '(absent)', '__bool__': lambda _: False})()

_READ_ONLY = {
    'dashboard': {
        'id', 'author_handle', 'author_name', 'created_at', 'modified_at', 'deleted_at', 'url', 'experience_type',
        # Deprecated for restricted_roles, but still returned by Datadog.
        'is_read_only', 'restricted',
    },
    'monitor': {
        'id', 'created', 'created_at', 'creator', 'deleted', 'modified', 'multi', 'overall_state',
        'overall_state_modified', 'org_id', 'state', 'matching_downtimes', 'restriction_policy', 'restricted',
        'permissions',
    },
    'slo': {
        'id', 'created_at', 'modified_at', 'creator', 'org_id', 'type_id', 'status', 'overall_status',
        'configured_alert_ids', 'restricted',
    },
}  # fmt: skip
# Defaults that Datadog fills in, by the path from which they are omitted.
_DEFAULTS: dict[str, dict[str, Any]] = {
    'dashboard': {
        'notify_list': [], 'restricted_roles': [], 'pause_auto_refresh': False, 'reflow_type': 'auto', 'tags': [],
        'tabs': [], 'template_variables': [], 'template_variable_presets': [], 'description': '',
    },
    'monitor': {
        'restricted_roles': [], 'draft_status': 'published', 'assets': [], 'tags': [], 'message': '', 'options': {},
    },
    'monitor asset': {'template_variables': {}, 'options': {}},
    'options': {
        'notify_audit': False, 'include_tags': True, 'locked': False, 'silenced': {}, 'renotify_interval': 0,
        'evaluation_delay': 0, 'escalation_message': '', 'new_host_delay': 300, 'require_full_window': False,
        'notify_no_data': False, 'timeout_h': 0, 'on_missing_data': 'default', 'groupby_simple_monitor': False,
        'enable_logs_sample': False, 'enable_samples': False, 'threshold_windows': {}, 'variables': [],
        'notification_preset_name': 'show_all',
    },
    # Of a service check: the number of statuses in a row, for each level.
    'status counts': {'ok': 1, 'warning': 1, 'critical': 1},
    'time slice': {'query_interval_seconds': 300},
    'slo': {'description': '', 'groups': [], 'monitor_ids': [], 'monitor_tags': [], 'tags': []},
    'template variable': {'defaults': ['*'], 'available_values': []},
    'layout': {'is_column_break': False},
    'widget': {
        'title': '', 'title_size': '16', 'title_align': 'left', 'time': {}, 'custom_links': [], 'markers': [],
        'events': [], 'legend_size': '0', 'legend_layout': 'auto', 'yaxis': {}, 'right_yaxis': {}, 'xaxis': {},
    },
    'note': {
        'background_color': 'white', 'font_size': '14', 'text_align': 'left', 'vertical_align': 'top',
        'show_tick': False, 'tick_pos': '50%', 'tick_edge': 'left', 'has_padding': True,
    },
    'group': {'show_title': True},
    'axis': {'include_zero': True, 'label': '', 'scale': 'linear', 'min': 'auto', 'max': 'auto'},
    'request': {'style': {}, 'on_right_yaxis': False, 'conditional_formats': []},
    'style': {'palette': 'dog_classic', 'line_type': 'solid', 'line_width': 'normal'},
    'formula': {'conditional_formats': [], 'style': {}},
}  # fmt: skip
# Read-only fields within a monitor's options.
_READ_ONLY_OPTIONS = {'aggregation', 'device_ids', 'avalanche_window'}


@dataclass(frozen=True, slots=True)
class Change:
    """A difference between two documents. `old` or `new` is ABSENT where there is no value."""

    path: str
    old: Any
    new: Any

    def document(self) -> dict[str, Any]:
        """Return the change for JSON output, without `old` or `new` where there is no value."""
        sides = {'old': self.old, 'new': self.new}
        return {'path': self.path, **{side: value for side, value in sides.items() if value is not ABSENT}}


def canonical(kind: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return the body of an object, local or live, in the form that is compared and written, without the marker.

    Raises AssetError for a body that is not one of this kind, for example with an object in place of a list.
    """
    _check_form(kind, body)
    try:
        form = writable(kind, _plain(body))
        form = {'dashboard': _dashboard, 'monitor': _monitor, 'slo': _slo}[kind](form)
        return _without(form, kind)
    except SHAPE_ERRORS as error:
        raise AssetError(
            f'not the form of a {kind} ({type(error).__name__}); see `metta-checks assets lint`'
        ) from error


def _check_form(kind: str, body: dict[str, Any]) -> None:
    for key in _LISTS[kind]:
        if not isinstance(body.get(key) or [], list):
            raise AssetError(f'not the form of a {kind}: {key}: expected a list; see `metta-checks assets lint`')
    if kind == 'dashboard':
        _check_widgets(body.get('widgets') or [])


def _check_widgets(widgets: list[Any]) -> None:
    """Raise AssetError unless each widget, also within groups, is an object with a definition."""
    pending = list(enumerate(widgets))
    for index, widget in pending:
        definition = widget.get('definition') if isinstance(widget, dict) else None
        children = (definition.get('widgets') or []) if isinstance(definition, dict) else None
        if not isinstance(children, list):
            raise AssetError(f'not the form of a dashboard: widgets[{index}]; see `metta-checks assets lint`')
        pending += enumerate(children)


def writable(kind: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return the body as written: without marker and read-only fields, with defaults and order unchanged."""
    form = {key: value for key, value in body.items() if key not in _READ_ONLY[kind] and not key.endswith('_display')}
    field = marker.FIELDS[kind]
    if isinstance(form.get(field), str):
        form[field] = marker.strip(form[field])
    return form


def default_of(kind: str, field: str) -> Any:
    """Return the value that resets a field which Datadog holds and the file omits: its default, else null."""
    return _DEFAULTS[kind].get(field)


def same(one: Any, other: Any) -> bool:
    """Return whether two canonical values are equal; unlike in Python, true is not 1."""
    return _text(one) == _text(other)


def changes(old: Any, new: Any, path: str = '') -> list[Change]:
    """Return the differences between two canonical forms, by path (`widgets[0].definition.title`)."""
    return list(_compare(old, new, path))


# Canonical form.


def _plain(value: Any) -> Any:
    """Return a copy without nulls, which Datadog treats as absent, and with whole floats as integers."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    # Above 2^53 a float is not an exact integer; more digits would be invented.
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def _without(form: dict[str, Any], place: str) -> dict[str, Any]:
    """Return the document without values that equal the default at this path."""
    defaults = _DEFAULTS[place]
    return {key: value for key, value in form.items() if key not in defaults or not same(value, defaults[key])}


def _each(form: dict[str, Any], key: str, function: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Apply a function to the object, or to each object of the list, under a key."""
    value = form.get(key)
    if isinstance(value, dict):
        form[key] = function(value)
    elif isinstance(value, list):
        form[key] = [function(item) if isinstance(item, dict) else item for item in value]


def _ordered(form: dict[str, Any], *keys: str) -> None:
    """Sort lists whose order has no meaning."""
    for key in keys:
        if isinstance(form.get(key), list):
            form[key] = sorted(form[key], key=_text)


def _dashboard(form: dict[str, Any]) -> dict[str, Any]:
    _ordered(form, 'tags', 'restricted_roles', 'notify_list')
    _each(form, 'template_variables', _template_variable)
    _each(form, 'template_variable_presets', _preset)
    _each(form, 'widgets', _widget)
    return form


def _template_variable(form: dict[str, Any]) -> dict[str, Any]:
    default = form.pop('default', None)
    if default is not None and 'defaults' not in form:
        form['defaults'] = [default]
    return _without(form, 'template variable')


def _preset(form: dict[str, Any]) -> dict[str, Any]:
    _each(form, 'template_variables', _preset_value)
    return form


def _preset_value(form: dict[str, Any]) -> dict[str, Any]:
    value = form.pop('value', None)
    if value is not None and 'values' not in form:
        form['values'] = [value]
    return form


def _widget(form: dict[str, Any]) -> dict[str, Any]:
    form.pop('id', None)
    form.pop('is_read_only', None)
    _each(form, 'definition', _definition)
    _each(form, 'layout', lambda value: _without(value, 'layout'))
    return form


def _definition(form: dict[str, Any]) -> dict[str, Any]:
    _each(form, 'widgets', _widget)
    for axis in ('yaxis', 'right_yaxis'):
        _each(form, axis, lambda value: _without(value, 'axis'))
    _each(form, 'requests', _request)
    _ordered(form, 'conditional_formats')
    form = _without(form, 'widget')
    kind = form.get('type')
    return _without(form, kind) if kind in ('note', 'group') else form


def _request(form: dict[str, Any]) -> dict[str, Any]:
    _each(form, 'style', lambda value: _without(value, 'style'))
    _each(form, 'formulas', _formula)
    _ordered(form, 'conditional_formats')
    return _without(form, 'request')


def _formula(form: dict[str, Any]) -> dict[str, Any]:
    _ordered(form, 'conditional_formats')
    return _without(form, 'formula')


def _monitor(form: dict[str, Any]) -> dict[str, Any]:
    _ordered(form, 'tags', 'restricted_roles')
    for key in ('query', 'name'):
        if isinstance(form.get(key), str):
            form[key] = form[key].strip()
    if form.get('type') == 'metric alert':
        # Datadog replaces each of the two spellings by the other.
        form['type'] = 'query alert'
    _each(form, 'assets', _monitor_asset)
    _each(form, 'options', _options)
    if form.get('type') == 'service check':
        _each(form, 'options', _status_counts)
    return form


def _monitor_asset(form: dict[str, Any]) -> dict[str, Any]:
    form.pop('monitor_id', None)
    return _without(form, 'monitor asset')


def _options(form: dict[str, Any]) -> dict[str, Any]:
    return _without({key: value for key, value in form.items() if key not in _READ_ONLY_OPTIONS}, 'options')


def _status_counts(options: dict[str, Any]) -> dict[str, Any]:
    _each(options, 'thresholds', lambda value: _without(value, 'status counts'))
    return {key: value for key, value in options.items() if (key, value) != ('thresholds', {})}


def _slo(form: dict[str, Any]) -> dict[str, Any]:
    _ordered(form, 'tags', 'groups', 'monitor_ids', 'monitor_tags')
    _each(form, 'thresholds', lambda item: {key: value for key, value in item.items() if not key.endswith('_display')})
    thresholds = [item for item in form.get('thresholds') or () if isinstance(item, dict)]
    _ordered(form, 'thresholds')
    specification = form.get('sli_specification')
    if isinstance(specification, dict):
        _each(specification, 'time_slice', lambda value: _without(value, 'time slice'))
        if 'count' in specification:
            # The older form of the same, derived by Datadog.
            form.pop('query', None)
    _drop_repeated_targets(form, thresholds)
    return form


def _drop_repeated_targets(form: dict[str, Any], thresholds: list[dict[str, Any]]) -> None:
    """Remove the target and the warning of the primary time frame where its threshold states the same."""
    only = thresholds[0] if len(thresholds) == 1 else {}
    primary = form.get('timeframe') or only.get('timeframe')
    repeated = next((item for item in thresholds if item.get('timeframe') == primary), None)
    if repeated is None:
        return
    for key, of_threshold in (('target_threshold', 'target'), ('warning_threshold', 'warning')):
        # An update of the threshold may leave this field behind.
        if of_threshold not in repeated or same(form.get(key), repeated[of_threshold]):
            form.pop(key, None)
    if only:
        # With a single threshold, the primary time frame adds no information.
        form.pop('timeframe', None)


# Comparison.


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=repr)


def _compare(old: Any, new: Any, path: str) -> Iterator[Change]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*new, *(key for key in old if key not in new)]:
            where = f'{path}.{key}' if path else key
            yield from _compare(old.get(key, ABSENT), new.get(key, ABSENT), where)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _compare_lists(old, new, path)
    elif not same(old, new):
        yield Change(path, old, new)


def _compare_lists(old: list[Any], new: list[Any], path: str) -> Iterator[Change]:
    pairs = align(old, new)
    for before, after in pairs:
        where = f'{path}[{before if after is None else after}]'
        was = ABSENT if before is None else old[before]
        yield from _compare(was, ABSENT if after is None else new[after], where)
    kept = [before for before, after in pairs if before is not None and after is not None]
    if kept != sorted(kept):
        yield Change(f'{path} (order)', _names(old, sorted(kept)), _names(old, kept))


def _names(items: list[Any], indices: Iterable[int]) -> list[str]:
    """Return the identity of each item at the indices; its index in brackets for an item without one."""
    return [_identity(items[index]) or f'[{index}]' for index in indices]


def align(old: list[Any], new: list[Any]) -> list[tuple[int | None, int | None]]:
    """Pair the items of two lists, in the order of the new list; removed items come last."""
    before, after = _identities(old), _identities(new)
    if before is not None and after is not None:
        return _paired_by_identity(before, after)
    if len(old) == len(new):
        return [(index, index) for index in range(len(new))]
    return _sequence(old, new)


def _paired_by_identity(before: dict[str, int], after: dict[str, int]) -> list[tuple[int | None, int | None]]:
    partner = {after[name]: index for name, index in before.items() if name in after}
    removed = [index for name, index in before.items() if name not in after]
    added = [index for name, index in after.items() if name not in before]
    if len(removed) == len(added):
        # As many items removed as added: renamed, not replaced.
        partner.update(zip(added, removed, strict=True))
        removed = []
    return [*((partner.get(index), index) for index in after.values()), *((index, None) for index in removed)]


def _sequence(old: list[Any], new: list[Any]) -> list[tuple[int | None, int | None]]:
    pairs: list[tuple[int | None, int | None]] = []
    gone: list[tuple[int | None, int | None]] = []
    matcher = SequenceMatcher(None, [_text(item) for item in old], [_text(item) for item in new], autojunk=False)
    for _, old_start, old_end, new_start, new_end in matcher.get_opcodes():
        common = min(old_end - old_start, new_end - new_start)
        pairs += [(old_start + step, new_start + step) for step in range(common)]
        pairs += [(None, index) for index in range(new_start + common, new_end)]
        gone += [(index, None) for index in range(old_start + common, old_end)]
    return pairs + gone


def _identities(items: Iterable[Any]) -> dict[str, int] | None:
    """Return the identity of each item; None when an item has none or two items share one."""
    names = [_identity(item) for item in items]
    if None in names or len(set(names)) != len(names):
        return None
    return {name: index for index, name in enumerate(names) if name is not None}


def _identity(item: Any) -> str | None:
    """Return the title of a widget, the name of a query or variable, or the time frame of a threshold."""
    if not isinstance(item, dict):
        return None
    definition = item.get('definition')
    if isinstance(definition, dict):
        title = definition.get('title')
        return f'{definition.get("type")}: {title}' if isinstance(title, str) else None
    for key in ('name', 'timeframe'):
        if isinstance(value := item.get(key), str):
            return value
    return None


# Merging back into a file.


def merge(kind: str, source: dict[str, Any], live: dict[str, Any]) -> dict[str, Any]:
    """Return the source with the changes of `live` applied; parts with the same meaning keep their notation.

    The result has the canonical form of `live`.
    """
    wanted = canonical(kind, live)
    merged = _merge(source, canonical(kind, source), wanted)
    return merged if same(canonical(kind, merged), wanted) else wanted


def _merge(raw: Any, ours: Any, theirs: Any) -> Any:
    """Return `raw` (as in the file, canonical form `ours`) with the changes that lead to `theirs`."""
    if same(ours, theirs):
        return raw
    sides = (raw, ours, theirs)
    if all(isinstance(side, dict) for side in sides):
        return _merge_objects(raw, ours, theirs)
    if all(isinstance(side, list) for side in sides) and len(raw) == len(ours):
        return _merge_lists(raw, ours, theirs)
    return theirs


def _merge_objects(raw: dict[str, Any], ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for key, value in raw.items():
        if key in theirs:
            merged[key] = _merge(value, ours[key], theirs[key]) if key in ours else theirs[key]
        elif key not in ours:
            # In neither: a default that is written out. In the file only: removed in Datadog.
            merged[key] = value
    merged |= {key: value for key, value in theirs.items() if key not in merged}
    # The older spelling is dropped: Datadog accepts one of the two.
    for older, newer in (('default', 'defaults'), ('value', 'values')):
        if newer in merged and older in raw and newer not in raw:
            merged.pop(older, None)
    return merged


def _merge_lists(raw: list[Any], ours: list[Any], theirs: list[Any]) -> list[Any]:
    if _reordered(raw, ours):
        return _merge_unordered(raw, theirs)
    return [
        theirs[after] if before is None else _merge(raw[before], ours[before], theirs[after])
        for before, after in align(ours, theirs)
        if after is not None
    ]


def _reordered(raw: list[Any], ours: list[Any]) -> bool:
    """Return whether the canonical form has another order of a list of plain values."""
    before, after = [_text(_plain(item)) for item in raw], [_text(item) for item in ours]
    return before != after and sorted(before) == sorted(after)


def _merge_unordered(raw: list[Any], theirs: list[Any]) -> list[Any]:
    """Return the items that stay, in the order of the source, followed by the new ones."""
    missing = [_text(item) for item in theirs]
    kept = []
    for item in raw:
        if (text := _text(_plain(item))) in missing:
            missing.remove(text)
            kept.append(item)
    return kept + [item for item in theirs if _text(item) in missing]

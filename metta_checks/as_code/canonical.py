"""Canonical form: documents with the same meaning become equal, so that each difference is a change that somebody made.

Datadog returns more than it was sent: ids, times, authors, defaults, another order. `canonical` removes what is
read-only or equal to the default, and sorts lists whose order has no meaning; changes.py compares two canonical forms.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from metta_checks.core.errors import SHAPE_ERRORS

from . import marker
from .asset import AssetError
from .changes import as_text, same

# Keys that hold a list, or nothing.
_LISTS = {
    'dashboard': ('widgets', 'template_variables', 'template_variable_presets', 'tags', 'notify_list'),
    'monitor': ('tags',),
    'slo': ('tags', 'thresholds', 'monitor_tags', 'monitor_ids'),
}

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
        'notification_preset_name': 'show_all', 'min_failure_duration': 0, 'min_location_failed': 1,
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


def canonical(kind: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return the body of an object, local or live, in the form that is compared and written, without the marker.

    Raises AssetError for a body that is not one of this kind, for example with an object in place of a list.
    """
    _check_form(kind, body)
    try:
        form = writable(kind, plain(body))
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


# Canonical form.


def plain(value: Any) -> Any:
    """Return a copy without nulls, which Datadog treats as absent, and with whole floats as integers."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [plain(item) for item in value]
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
            form[key] = sorted(form[key], key=as_text)


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

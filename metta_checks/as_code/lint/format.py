"""SCHEMA: documents that the API accepts, and known requirements beyond the API's own description."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

from metta_checks.as_code.schema import closest, violations

from .findings import Problem, rule
from .view import View, child, objects, text, texts

WRAPPER = ('version', 'created_at', 'last_updated_at', 'title', 'description', 'tags', 'definition')
SHIPPED = 'an id of one account; shipped assets find their objects by tag'


@rule('SCHEMA', kinds=('dashboard', 'monitor', 'slo'))
def schema(view: View) -> Iterator[Problem]:
    """Documents that the Datadog API accepts: known keys, types, allowed values, required keys (datadog-api-client)."""
    # The API is ahead of its description: it takes keys that the client does not know yet.
    for one in violations(view.kind, view.body, unknown='warning'):
        yield Problem(view.at(one.path), one.message, one.level)


@rule('SCHEMA')
def dashboard_form(view: View) -> Iterator[Problem]:
    """Template variables have their defaults in one form, and tags name a team."""
    body = view.body
    for index, one in objects(body, 'template_variables'):
        if 'default' in one and 'defaults' in one:
            yield Problem(f'template_variables[{index}].default', 'deprecated and cannot be combined with `defaults`')
    for index, tag in texts(body, 'tags'):
        if not tag.startswith('team:'):
            yield Problem(f'tags[{index}]', f'{tag!r}: dashboards accept only tags that begin with `team:`')


@rule('SCHEMA', own=True)
def shipped_form(view: View) -> Iterator[Problem]:
    """Shipped dashboards have the keys that ddev requires, and no id of an account."""
    for key in ('description', 'template_variables'):
        if key not in view.body:
            yield Problem(key, 'missing; integrations require it')
    for index, one in objects(view.body, 'template_variables'):
        if 'default' in one and 'defaults' not in one:
            yield Problem(f'template_variables[{index}].default', 'deprecated; use `defaults`, a list')
    for widget in view.every():
        if 'id' in widget.outer:
            yield Problem(f'{widget.path}.id', SHIPPED)
        for key in ('alert_id', 'slo_id', 'powerpack_id'):
            if widget.definition.get(key):
                yield Problem(f'{widget.inside}.{key}', SHIPPED)


@rule('SCHEMA', kinds=('monitor',), own=True)
def monitor_form(view: View) -> Iterator[Problem]:
    """The file around a monitor's definition has version 2 of the form that ddev validates (part 8)."""
    document = view.asset.document
    yield from _wrapper_keys(document)
    if 'version' in document and (document['version'] != 2 or isinstance(document['version'], bool)):
        yield Problem('version', f'must be 2, is {document["version"]!r}')
    for key in ('created_at', 'last_updated_at'):
        if key in document and not _is_date(document[key]):
            yield Problem(key, f'expected a date such as 2025-01-31, found {document[key]!r}')
    if 'title' in document and not text(document, 'title'):
        yield Problem('title', 'expected a string')
    if 'definition' in document and not isinstance(document['definition'], dict):
        yield Problem('definition', 'expected an object')
    if view.body.get('restricted_roles'):
        yield Problem('definition.restricted_roles', SHIPPED)


def _wrapper_keys(document: dict[str, Any]) -> Iterator[Problem]:
    for key in WRAPPER:
        if key not in document:
            yield Problem(key, 'missing')
    for key in document:
        if key not in WRAPPER:
            yield Problem(key, f'unknown key{closest(key, WRAPPER)}')


@rule('SCHEMA', kinds=('slo',))
def slo_form(view: View) -> Iterator[Problem]:
    """The type of an SLO agrees with its indicator, and its time frames are ones that an SLO can have."""
    kind, specification = text(view.body, 'type'), child(view.body, 'sli_specification')
    if kind == 'time_slice' and 'time_slice' not in specification:
        yield Problem('sli_specification.time_slice', 'missing; the type is time_slice')
    if kind == 'metric' and 'count' not in specification and 'query' not in view.body:
        yield Problem('sli_specification.count', 'missing; the type is metric')
    for place, timeframe in (
        ('timeframe', text(view.body, 'timeframe')),
        *((f'thresholds[{i}].timeframe', text(one, 'timeframe')) for i, one in objects(view.body, 'thresholds')),
    ):
        if timeframe == 'custom':
            yield Problem(place, '"custom" is only for history queries; expected one of 7d, 30d, 90d')


@rule('SCHEMA', kinds=('slo',), own=True)
def shipped_slo(view: View) -> Iterator[Problem]:
    """Shipped SLOs have no id of an account."""
    if view.body.get('monitor_ids'):
        yield Problem('monitor_ids', SHIPPED)


def _is_date(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(date.fromisoformat(value))
    except ValueError:
        return False

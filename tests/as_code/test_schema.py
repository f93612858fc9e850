"""The strict check against what the API takes."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from metta_checks.as_code.asset import load, walk_widgets
from metta_checks.as_code.lint import lint
from metta_checks.as_code.schema import violations
from tools import api_schema

VALID = Path(__file__).parent / 'valid'
ASSETS = load(VALID)
DASHBOARD = {
    'title': 'A',
    'layout_type': 'ordered',
    'widgets': [
        {
            'definition': {
                'type': 'group',
                'layout_type': 'ordered',
                'widgets': [
                    {
                        'definition': {
                            'type': 'timeseries',
                            'time': {'live_span': '1h'},
                            'requests': [
                                {
                                    'response_format': 'timeseries',
                                    'queries': [{'data_source': 'metrics', 'name': 'a', 'query': 'avg:x{*}'}],
                                    'style': {'line_type': 'solid', 'palette': 'cool'},
                                }
                            ],
                        },
                        'layout': {'x': 0, 'y': 0, 'width': 4, 'height': 2},
                    }
                ],
            }
        }
    ],
}
WIDGET = 'widgets[0].definition.widgets[0]'


def changed(path: str, value):
    """The dashboard with one value replaced; `...` deletes it."""
    document = copy.deepcopy(DASHBOARD)
    place: Any = document
    *parents, last = path.replace('[', '.').replace(']', '').split('.')
    for part in parents:
        place = place[int(part) if part.isdigit() else part]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return document


def only(kind, document, **options):
    (found,) = violations(kind, document, **options)
    return found


def test_the_table_is_what_the_client_says():
    ((path, text),) = api_schema.generated()
    assert path.read_text(encoding='utf-8') == text
    assert api_schema.main(['--check']) == 0


def test_a_table_out_of_step_is_reported(monkeypatch, tmp_path, capsys):
    stale = tmp_path / 'schema.json'
    stale.write_text('{}')
    monkeypatch.setattr(api_schema, 'TARGET', stale)
    monkeypatch.setattr(api_schema, 'ROOT', tmp_path)
    assert api_schema.main(['--check']) == 1
    assert 'schema.json is out of date; run python -m tools.api_schema' in capsys.readouterr().err
    assert api_schema.main([]) == 0
    assert json.loads(stale.read_text())['client']


def test_nothing_to_report():
    assert violations('dashboard', DASHBOARD) == []


@pytest.mark.parametrize(
    ('path', 'value', 'message'),
    [
        ('title', ..., 'missing'),
        ('layout_type', 'orderd', '"orderd" is not allowed; expected one of free, ordered'),
        ('descripton', 'x', 'unknown key; closest: description'),
        ('author_handle', 'x', 'set by Datadog itself; leave it out'),
        ('tags', ['a'] * 6, 'must have at most 5 items, has 6'),
        ('notify_list', 'a', 'expected a list or null, found "a"'),
        (f'{WIDGET}.layout.width', '4', 'expected an integer, found "4"'),
        (f'{WIDGET}.layout.width', True, 'expected an integer, found true'),
        (f'{WIDGET}.layout.width', 4.0, 'expected an integer, found 4.0'),
        (f'{WIDGET}.layout.width', None, 'expected an integer, found null'),
        (f'{WIDGET}.layout.x', -1, 'must be at least 0, is -1'),
        (f'{WIDGET}.layout', [], 'expected an object, found a list'),
        (f'{WIDGET}.definition.time.live_span', '2h', '"2h" is not allowed; expected one of 10m, 15m, 1d'),
        (f'{WIDGET}.definition.type', ..., 'missing; expected one of'),
        (f'{WIDGET}.definition.type', 'timeserie', '"timeserie" is not allowed; expected one of timeseries'),
        (f'{WIDGET}.definition.requests', {}, 'expected a list, found an object'),
        (f'{WIDGET}.definition.requests[0].style.palette', 3, 'expected a string, found 3'),
        (f'{WIDGET}.definition.requests[0].style.line_type', 'dottd', 'one of dashed, dotted, solid'),
        (f'{WIDGET}.definition.requests[0].queries[0].data_source', 'metric', '"metric" is not allowed'),
        (f'{WIDGET}.definition.requests[0].queries[0].query', ..., 'missing'),
        (f'{WIDGET}.definition.requests[0].queries[0].agregator', 'avg', 'unknown key; closest: aggregator'),
    ],
)
def test_the_exact_place_and_reason(path, value, message):
    found = only('dashboard', changed(path, value))
    assert found.path == path
    assert message in found.message
    assert found.level == 'error'


def test_what_datadog_holds_may_have_keys_that_the_client_does_not_know():
    document = changed(f'{WIDGET}.definition.requests[0].style.order_reverse', True) | {'id': 'abc', 'url': '/d'}
    found = violations('dashboard', document, unknown='warning')
    assert {one.path for one in found} == {f'{WIDGET}.definition.requests[0].style.order_reverse', 'id', 'url'}
    assert {one.level for one in found} == {'warning'}
    assert only('dashboard', changed('reflow_type', None), unknown='warning').level == 'warning'
    assert only('dashboard', changed('reflow_type', 'none'), unknown='warning').level == 'error'


def test_integers_count_as_numbers_and_booleans_do_not():
    slo: dict[str, Any] = {'name': 'a', 'type': 'metric', 'thresholds': [{'timeframe': '7d', 'target': 99}]}
    assert violations('slo', slo) == []
    slo['thresholds'][0]['target'] = True
    assert only('slo', slo).message == 'expected a number, found true'
    slo['thresholds'][0]['target'] = float('nan')
    assert only('slo', slo).path == 'thresholds[0].target'


def test_a_union_without_fixed_values_reports_what_was_meant():
    slo = next(asset for asset in ASSETS if asset.kind == 'slo' and asset.body['type'] == 'time_slice')
    document = copy.deepcopy(slo.body)
    document['sli_specification']['time_slice']['query_interval_seconds'] = 900
    found = only('slo', document)
    assert found.path == 'sli_specification.time_slice.query_interval_seconds'
    assert found.message == '900 is not allowed; expected one of 60, 300'


def test_a_map_is_checked_value_by_value():
    monitor = {'type': 'query alert', 'query': 'q', 'options': {'silenced': {'*': None, 'a:b': 'soon'}}}
    assert only('monitor', monitor).path == 'options.silenced.a:b'


def test_nesting_without_end_is_reported_not_followed():
    document = copy.deepcopy(DASHBOARD)
    for _ in range(400):
        document['widgets'] = [
            {'definition': {'type': 'group', 'layout_type': 'ordered', 'widgets': document['widgets']}}
        ]
    assert only('dashboard', document).message == 'nested more than 60 deep'


@pytest.mark.parametrize('document', [None, [], 'text', 3, {}])
@pytest.mark.parametrize('kind', ['dashboard', 'monitor', 'slo'])
def test_anything_may_be_asked_about(kind, document):
    assert violations(kind, document)


@pytest.mark.parametrize('asset', ASSETS, ids=lambda asset: asset.name)
def test_valid_assets_pass(asset):
    assert violations(asset.kind, asset.body) == []


def test_valid_assets_are_many_and_of_many_shapes():
    assert len(ASSETS) >= 18
    assert {asset.kind for asset in ASSETS} == {'dashboard', 'monitor', 'slo'}
    kinds = {
        widget['definition']['type']
        for asset in ASSETS
        if asset.kind == 'dashboard'
        for _, widget in walk_widgets(asset.body)
    }
    assert len(kinds) >= 25
    assert {'group', 'note', 'timeseries', 'query_value', 'toplist', 'query_table', 'check_status'} <= kinds
    assert {'slo_list', 'manage_status', 'change'} <= kinds


def test_queries_of_valid_assets_parse():
    assert [one.text for one in lint(ASSETS, complete=False) if one.rule == 'MC02' and one.level == 'error'] == []


def test_a_unit_of_unknown_kind_is_ambiguous():
    formulas = [{'formula': 'a', 'number_format': {'unit': {'unit_name': 'hour'}}}]
    found = only('dashboard', changed(f'{WIDGET}.definition.requests[0].formulas', formulas))
    assert found.path == f'{WIDGET}.definition.requests[0].formulas[0].number_format.unit.type'
    assert found.message == 'missing; expected one of canonical_unit, custom_unit_label'

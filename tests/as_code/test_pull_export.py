"""From Datadog into files, and from files into the forms of other tools."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from metta_checks.as_code import apply, export, marker, pull
from metta_checks.as_code.asset import Asset, AssetError, load
from metta_checks.as_code.canonical import canonical
from metta_checks.as_code.changes import changes
from metta_checks.as_code.marker import Marker
from metta_checks.as_code.plan import make
from metta_checks.as_code.remote import Datadog

from .documents import copied, dashboard, monitor, slo, three, timeseries, write
from .fake_datadog import FakeDatadog

SHIPPED = load(Path(__file__).parents[2] / 'assets')
everything = pytest.mark.parametrize('asset', [*three(), *SHIPPED], ids=lambda asset: asset.name)


def pushed(remote: Datadog, assets: list[Asset], namespace: str = 'default') -> None:
    list(apply.push(remote, make(remote, assets, assets, namespace=namespace)))


def pulled(remote: Datadog, *patterns: str, into: Path | None = None, **how) -> list[pull.Pulled]:
    chosen, missing = pull.choose(pull.all_objects(remote), 'default', patterns, **how)
    assert missing == []
    return pull.pull(remote, chosen, into)


# Pull.


@pytest.mark.integration
def test_a_pulled_folder_has_no_difference(remote: Datadog, tmp_path: Path) -> None:
    pushed(remote, three())
    written, _ = pull.write(tmp_path, pulled(remote))
    assert sorted(path.relative_to(tmp_path).as_posix() for path in written) == [
        'dashboards/test.json',
        'monitors/stale_prs_high.json',
        'slos/stale_prs.json',
    ]
    found = load(tmp_path)
    assert not make(remote, found, found).different
    assert 'managed by' not in ''.join(path.read_text() for path in written)
    for asset, before in zip(found, three(), strict=True):
        assert changes(canonical(asset.kind, asset.body), canonical(asset.kind, before.body)) == []


@pytest.mark.integration
def test_a_widget_edited_in_the_browser_comes_back(remote: Datadog, datadog: FakeDatadog, tmp_path: Path) -> None:
    write(tmp_path, three())
    pushed(remote, three())
    (identifier,) = datadog.dashboards
    widget = datadog.dashboards[identifier]['widgets'][1]['definition']['widgets'][0]['definition']
    widget['title'] = 'Waiting'
    found = load(tmp_path)
    path = 'widgets[1].definition.widgets[0].definition.title'
    (step,) = make(remote, found, found).having('update')
    assert [change.path for change in step.changes] == [path]

    changed = pulled(remote, into=tmp_path)
    assert [change.path for one in changed for change in one.changes] == [path]
    ((written,), _) = pull.write(tmp_path, changed)
    assert written == tmp_path / 'dashboards' / 'test.json'
    # All else is as it was written.
    expected = dashboard()
    expected['widgets'][1]['definition']['widgets'][0]['definition']['title'] = 'Waiting'
    assert json.loads(written.read_text()) == expected
    found = load(tmp_path)
    assert not make(remote, found, found).different


@pytest.mark.integration
def test_a_monitor_comes_back_into_its_file(remote: Datadog, datadog: FakeDatadog, tmp_path: Path) -> None:
    write(tmp_path, three())
    pushed(remote, three())
    (stored,) = datadog.monitors.values()
    stored['priority'], stored['modified'] = 1, '2026-12-24T18:00:00+00:00'
    pull.write(tmp_path, pulled(remote, into=tmp_path))
    expected = monitor(priority=1)
    assert json.loads((tmp_path / 'monitors/stale_prs_high.json').read_text()) == {
        **expected,
        'last_updated_at': '2026-12-24',
    }


@pytest.mark.integration
def test_nothing_is_written_where_nothing_changed(remote: Datadog, tmp_path: Path) -> None:
    write(tmp_path, three())
    pushed(remote, three())
    before = {path: path.read_text() for path in tmp_path.rglob('*.json')}
    assert pull.write(tmp_path, pulled(remote, into=tmp_path)) == ([], {})
    assert {path: path.read_text() for path in tmp_path.rglob('*.json')} == before


@pytest.mark.integration
def test_what_is_pulled(remote: Datadog) -> None:
    pushed(remote, three())
    pushed(remote, [Asset('slo', 'theirs', slo(name='Theirs'))], namespace='other')
    by_hand = remote.create('dashboard', dashboard(title='Größe: 5 / 7')).id
    twin = remote.create('dashboard', dashboard(title='Größe: 5 / 7')).id
    ours = {'slo/stale_prs', 'monitor/stale_prs_high', 'dashboard/test'}
    assert {one.name for one in pulled(remote)} == ours
    assert {one.name for one in pulled(remote, 'stale*')} == ours - {'dashboard/test'}
    assert {one.name for one in pulled(remote, 'slo/*', 'test')} == ours - {'monitor/stale_prs_high'}
    assert {one.name for one in pulled(remote, by_hand)} == {'dashboard/groe_5_7'}
    names = {one.name for one in pulled(remote, everything=True)}
    assert ours < names
    assert len(names) == 6
    assert any(name.endswith(f'_{twin}') for name in names)
    assert pull.choose(pull.all_objects(remote), 'default', ['no', 'test'])[1] == ['no']


@pytest.mark.integration
def test_not_every_dashboard_is_read(remote: Datadog, datadog: FakeDatadog) -> None:
    pushed(remote, three())
    for number in range(5):
        remote.create('dashboard', dashboard(title=f'Of others {number}'))
    datadog.log.clear()
    pulled(remote)
    assert len(datadog.calls('GET', '/api/v1/dashboard/')) == 1


@pytest.mark.integration
def test_two_with_one_key_are_not_pulled(remote: Datadog, tmp_path: Path) -> None:
    ids = [
        remote.create('slo', marker.attach('slo', slo(), Marker('default', 'x'))).id for _ in range(2)
    ]  # fmt: skip
    found = pulled(remote)
    assert all(identifier in one.error for one in found for identifier in ids)
    assert pull.write(tmp_path, found) == ([], {})


@pytest.mark.integration
def test_one_that_cannot_be_read(remote: Datadog, datadog: FakeDatadog, tmp_path: Path) -> None:
    pushed(remote, three())
    (identifier,) = datadog.dashboards
    chosen, _ = pull.choose(pull.all_objects(remote), 'default', [])
    datadog.faults.add('status', status=404, path=f'/api/v1/dashboard/{identifier}')
    found = pull.pull(remote, chosen)
    assert [(one.name, bool(one.error)) for one in found if one.error] == [('dashboard/test', True)]
    assert len(pull.write(tmp_path, found)[0]) == 2


# Export.

WHOLE = st.integers(-export.LARGEST_WHOLE, export.LARGEST_WHOLE)
LEAVES = st.none() | st.booleans() | WHOLE | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.just('local'), inner, max_size=3),
    max_leaves=12,
)


@pytest.mark.unit
@given(VALUES)
@settings(max_examples=150, deadline=None)
def test_any_value_survives_as_jsonnet(value) -> None:
    import _gojsonnet

    text = export.jsonnet(value)
    assert json.loads(_gojsonnet.evaluate_snippet('x', text)) == value


@pytest.mark.unit
@pytest.mark.parametrize('number', [2**53 + 1, -(2**53) - 1, 10**400])
def test_a_number_that_jsonnet_would_change_is_refused(number) -> None:
    with pytest.raises(AssetError, match='too large for Jsonnet'):
        export.jsonnet({'monitor_ids': [number]})


@pytest.mark.unit
@everything
def test_jsonnet_is_the_same_document(asset: Asset) -> None:
    import _gojsonnet

    text = export.export(asset, 'jsonnet')
    assert json.loads(_gojsonnet.evaluate_snippet('x', text)) == asset.body
    assert "'title':" not in text


@pytest.mark.unit
@everything
def test_json_is_the_same_document(asset: Asset) -> None:
    assert json.loads(export.export(asset, 'json')) == asset.body


@pytest.mark.unit
@everything
def test_the_operators_resource(asset: Asset) -> None:
    text = export.export(asset, 'ddgr')
    document = yaml.safe_load(text)
    assert {key: value for key, value in document.items() if key != 'spec'} == {
        'apiVersion': 'datadoghq.com/v1alpha1',
        'kind': 'DatadogGenericResource',
        'metadata': {'name': f'{asset.kind}-{asset.key}'.replace('_', '-')},
    }
    assert document['spec']['type'] == asset.kind
    assert json.loads(document['spec']['jsonSpec']) == asset.body
    # Readable, line by line.
    assert '\n    {\n' in text


@pytest.mark.unit
@pytest.mark.parametrize(
    'asset', [asset for asset in [*three(), *SHIPPED] if asset.kind != 'slo'], ids=lambda asset: asset.name
)
def test_terraforms_json_resources(asset: Asset) -> None:
    text = export.export(asset, 'terraform')
    head, _, rest = text.partition('<<EOT\n')
    assert head == f'resource "datadog_{asset.kind}_json" "{asset.key}" {{\n  {asset.kind} = '
    content, _, tail = rest.partition('\nEOT\n')
    assert tail == '}\n'
    assert json.loads(content.replace('$${', '${').replace('%%{', '%{')) == asset.body


@pytest.mark.unit
def test_terraforms_templates_are_escaped() -> None:
    body = dashboard(widgets=[timeseries('a ${b} %{if c}')])
    text = export.export(Asset('dashboard', 'x', body), 'terraform')
    assert 'a $${b} %%{if c}' in text
    assert not re.search(r'(?<!\$)\$\{|(?<!%)%\{', text)


@pytest.mark.unit
def test_an_slo_in_terraform() -> None:
    text = export.export(Asset('slo', 'stale_prs', slo()), 'terraform')
    assert text == (
        'resource "datadog_service_level_objective" "stale_prs" {\n'
        '  name = "[metta] Stale PRs at or below 20"\n'
        '  type = "time_slice"\n'
        '  description = "Share of slices with at most 20 stale pull requests."\n'
        '  tags = ["service:metta_checks", "team:devops", "managed_by:metta_checks"]\n'
        '  timeframe = "30d"\n'
        '  target_threshold = 95.0\n'
        '  warning_threshold = 97.0\n'
        '  thresholds {\n'
        '    timeframe = "7d"\n'
        '    target = 95.0\n'
        '    warning = 97.0\n'
        '  }\n'
        '  thresholds {\n'
        '    timeframe = "30d"\n'
        '    target = 95.0\n'
        '    warning = 97.0\n'
        '  }\n'
        '  sli_specification {\n'
        '    time_slice {\n'
        '      query {\n'
        '        formula {\n'
        '          formula_expression = "stale"\n'
        '        }\n'
        '        query {\n'
        '          metric_query {\n'
        '            data_source = "metrics"\n'
        '            name = "stale"\n'
        '            query = "sum:metta.github.prs.stale_count_14d{env:production}"\n'
        '          }\n'
        '        }\n'
        '      }\n'
        '      comparator = "<="\n'
        '      threshold = 20.0\n'
        '      query_interval_seconds = 300\n'
        '    }\n'
        '  }\n'
        '}\n'
    )


@pytest.mark.unit
@pytest.mark.parametrize('asset', [asset for asset in SHIPPED if asset.kind == 'slo'], ids=lambda asset: asset.name)
def test_shipped_slos_in_terraform(asset: Asset) -> None:
    text = export.export(asset, 'terraform')
    assert text.count('{\n') == text.count('}\n')
    specification = json.dumps(asset.body['sli_specification'])
    for query in re.findall(r'"query": ("[^"]+")', specification):
        assert f'query = {query}' in text


@pytest.mark.unit
def test_what_terraform_cannot_say() -> None:
    with pytest.raises(AssetError, match='no argument for something'):
        export.export(Asset('slo', 'x', slo(something=1)), 'terraform')
    with pytest.raises(AssetError, match=r'no block for sli_specification\.future'):
        export.export(Asset('slo', 'x', slo(sli_specification={'future': {}})), 'terraform')


@pytest.mark.unit
@pytest.mark.parametrize('style', export.FORMATS)
def test_other_tools_do_not_get_our_marker(style: str) -> None:
    body = marker.attach('slo', slo(), Marker('default', 'x'))
    assert 'managed by metta-checks' not in export.export(Asset('slo', 'x', body), style)


@pytest.mark.unit
def test_several_in_one_text() -> None:
    import _gojsonnet

    assets = [asset for asset in copied_assets() if asset.kind != 'slo']
    bodies = [asset.body for asset in assets]
    assert json.loads(export.together(assets, 'json')) == bodies
    assert json.loads(_gojsonnet.evaluate_snippet('x', export.together(assets, 'jsonnet'))) == bodies
    documents = list(yaml.safe_load_all(export.together(assets, 'ddgr')))
    assert [json.loads(document['spec']['jsonSpec']) for document in documents] == bodies
    assert export.together(assets, 'terraform').count('\nresource ') == 1
    assert json.loads(export.together(assets[:1], 'json')) == bodies[0]


def copied_assets() -> list[Asset]:
    return [Asset(asset.kind, asset.key, copied(asset.document)) for asset in three()]

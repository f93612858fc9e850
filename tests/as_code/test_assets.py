"""The assets that we ship: what they show, and what they leave out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from metta_checks.as_code import query_tree
from metta_checks.as_code.asset import Asset, load, walk_widgets
from metta_checks.as_code.declared import declared
from metta_checks.as_code.query import parse_query

ROOT = Path(__file__).resolve().parents[2]
ASSETS = load(ROOT / 'assets')
DASHBOARDS = [asset for asset in ASSETS if asset.kind == 'dashboard']
PAGES_OF_SOURCES = (
    'asana_work',
    'ec2_cost',
    'github_ci_cd',
    'kubernetes_efficiency',
    'skypilot_jobs',
    'wandb_training',
)


def queries(asset: Asset) -> set[str]:
    """Metrics that a dashboard's queries name."""
    return {
        one.metric
        for _, widget in walk_widgets(asset.body)
        for request in widget['definition'].get('requests', ())
        for each in request.get('queries', ())
        for one in query_tree.series(parse_query(each['query']))
    }


def test_every_core_metric_is_on_a_dashboard_or_left_out_on_purpose():
    shown = set().union(*map(queries, DASHBOARDS))
    core = {name for name, metric in declared().items() if not metric.option}
    left_out = yaml.safe_load((ROOT / 'dashboards' / 'left_out.yaml').read_text(encoding='utf-8'))
    assert sorted(core - shown) == sorted(left_out)
    assert len(core & shown) > 200


@pytest.mark.parametrize('key', PAGES_OF_SOURCES)
def test_the_page_of_a_source_answers_questions(key):
    # Fifty widgets of equal weight are a catalog, which docs/metrics is already.
    (page,) = [asset for asset in DASHBOARDS if asset.key == key]
    widgets = [widget['definition'] for _, widget in walk_widgets(page.body)]
    groups = [one['title'] for one in widgets if one['type'] == 'group']
    assert len(widgets) - len(groups) <= 24
    assert sum(title.endswith('?') for title in groups) in (3, 4)


@pytest.mark.parametrize('asset', DASHBOARDS, ids=lambda asset: asset.key)
def test_links_lead_to_pages_that_exist(asset):
    # The address of a documentation is an option of the build.
    addresses = re.findall(r'https?://[\w.-]+', str(asset.document))
    assert set(addresses) <= {'https://github.com', 'https://wandb.ai', 'https://console.aws.amazon.com'}


@pytest.mark.parametrize('asset', DASHBOARDS, ids=lambda asset: asset.key)
def test_every_figure_is_described(asset):
    widgets = [widget['definition'] for _, widget in walk_widgets(asset.body)]
    figures = [one for one in widgets if 'requests' in one and one['type'] != 'slo_list']
    assert [one['title'] for one in figures if not one.get('description')] == []


def test_optional_metrics_are_shown_only_on_a_page_that_names_the_option():
    # A widget that stays empty without a word teaches people to ignore empty widgets.
    for asset in DASHBOARDS:
        widgets = [widget['definition'] for _, widget in walk_widgets(asset.body)]
        texts = ' '.join(one.get('content') or one.get('title') or '' for one in widgets)
        optional = {declared()[metric].option for metric in queries(asset) if declared()[metric].option}
        assert [option for option in sorted(optional) if f'`{option}`' not in texts] == [], asset.key


def test_every_monitor_and_slo_is_on_the_overview():
    overview = next(asset for asset in DASHBOARDS if asset.key == 'system_health')
    widgets = [widget['definition'] for _, widget in walk_widgets(overview.body)]
    (monitors,) = [one for one in widgets if one['type'] == 'manage_status']
    (slos,) = [one for one in widgets if one['type'] == 'slo_list']
    named = re.fullmatch(r'tag:\("(.+)"\)', monitors['query'])
    assert named
    assert all(named[1] in asset.body['tags'] for asset in ASSETS if asset.kind == 'monitor')
    assert all(slos['requests'][0]['query']['query_string'] in a.body['tags'] for a in ASSETS if a.kind == 'slo')
    assert slos['requests'][0]['query']['limit'] >= sum(asset.kind == 'slo' for asset in ASSETS)


@pytest.mark.parametrize('asset', DASHBOARDS, ids=lambda asset: asset.key)
def test_variables_every_graph_listens_to(asset):
    names = [variable['name'] for variable in asset.body['template_variables']]
    assert names[0] == 'env'
    assert names[-1] == 'scope'
    for variable in asset.body['template_variables']:
        # A choice between sources has a value, everything else is shown unless filtered.
        offered = variable['available_values']
        assert variable['defaults'] == (offered[:1] or ['*'])
    presets = {preset['name']: preset['template_variables'] for preset in asset.body['template_variable_presets']}
    assert [one['values'] for one in presets['Staging']] == [['staging']]
    assert {'name': 'env', 'values': ['production']} in presets['Production']


@pytest.mark.parametrize('asset', ASSETS, ids=lambda asset: asset.name)
def test_no_ids_and_no_zeros_made_up(asset):
    text = str(asset.document)
    assert not re.search(r"'(id|slo_id|alert_id|slo_ids|monitor_ids)':", text)
    # Anomaly detection has an argument of that name, which is about counts.
    assert not re.search(r'(?<!count_)default_zero', text)
    assert 'fill(' not in text

"""The lint of assets: waivers, levels, output; what each rule finds is in test_mutations.py."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from metta_checks.as_code.asset import Asset, dump, load
from metta_checks.as_code.declared import declared
from metta_checks.as_code.lint import RULES, Profile, Selection, Waiver, WaiverError, lint, load_waivers, rules
from metta_checks.cli.assets import lint as command
from metta_checks.cli.assets.app import app

from .documents import QUERY, dashboard, monitor, timeseries

ASSETS = Path(__file__).resolve().parents[2] / 'assets'
VALID = Path(__file__).parent / 'valid'
SLO = next(asset for asset in load(VALID) if asset.key == 'queue_wait')


def slo(**changes) -> Asset:
    return replace(SLO, document=copy.deepcopy(SLO.document) | changes)


def found(*assets: Asset, **options) -> list:
    return [one for one in lint(assets, **options) if one.rule != 'MC11']


def test_every_rule_of_the_design_exists():
    design = {f'MC{n:02}' for n in range(1, 17)} | {f'DG{n:02}' for n in range(1, 13)}
    assert set(rules()) == design | {'SCHEMA', 'WAIVER'}
    assert all(len(rule.description) > 20 for rule in RULES)


def test_a_sound_asset_raises_nothing():
    assert found(SLO) == []


def test_a_finding_in_one_line():
    (one,) = found(slo(tags=['service:metta_checks', 'managed_by:metta_checks']))
    assert one.text == 'slos/queue_wait.json: tags: MC10 no tag begins with team:'
    assert (one.level, one.asset, one.title) == ('error', 'slo/queue_wait', SLO.title)


def test_a_misspelt_metric_is_met_with_the_closest():
    document = json.loads(json.dumps(SLO.document).replace('pending_seconds.max', 'pendin_seconds.max'))
    (one,) = found(replace(SLO, document=document))
    assert one.rule == 'MC03'
    assert one.path == 'sli_specification.time_slice.query.queries[0].query'
    assert one.message.endswith('is not in any catalog; closest: metta.skypilot.jobs.pending_seconds.max')


def test_metrics_that_no_asset_shows_are_information():
    coverage = [one for one in lint([SLO]) if one.rule == 'MC11']
    assert {one.level for one in coverage} == {'info'}
    assert sum(one.message.count('metta.') for one in coverage) == len(declared()) - 1
    assert not any(one.rule == 'MC11' for one in lint([SLO], complete=False))


def test_other_catalogs_may_be_given():
    (one,) = found(SLO, catalogs={})
    assert one.rule == 'MC03'


def formula_monitor(formula: str, *names: str) -> Asset:
    query = 'sum:metta.github.prs.open{*} by {repo}'
    variables = [{'data_source': 'metrics', 'name': name, 'query': query} for name in names]
    options = {'thresholds': {'critical': 2}, 'variables': variables}
    message = 'Too many in {{repo.name}}.'
    return Asset(
        'monitor', 'ratio', monitor(query=f'formula("{formula}").last("5m") > 2', message=message, options=options)
    )


@pytest.mark.parametrize(
    ('formula', 'names', 'findings'),
    [
        ('a / b', 'ab', []),
        (
            'a / c',
            'ab',
            ['definition.query: MC05 there is no query', 'variables[1].name: MC05 the formula does not use'],
        ),
        ('a / (b', 'ab', ["definition.query: MC02 in the formula: column 7: expected ')'"]),
    ],
)
def test_monitors_of_a_formula(formula, names, findings):
    said = [one.text for one in found(formula_monitor(formula, *names))]
    assert len(said) == len(findings), said
    assert all(text in line for text, line in zip(findings, said, strict=True)), said


BROKEN = slo(tags=['service:metta_checks', 'managed_by:metta_checks', 'team:DevOps'])


@pytest.mark.parametrize(
    'waiver',
    [
        Waiver('MC10', 'slo/queue_wait', 'r'),
        Waiver('MC10', 'queue_*', 'r', path='tags'),
        Waiver('MC10', '*', 'r', path='tags[2]', title=SLO.title),
    ],
)
def test_a_waiver_accepts(waiver):
    assert found(BROKEN, waivers=[waiver]) == []


@pytest.mark.parametrize(
    'waiver',
    [
        Waiver('MC09', 'queue_wait', 'r'),
        Waiver('MC10', 'queue', 'r'),
        Waiver('MC10', 'queue_wait', 'r', path='tag'),
        Waiver('MC10', 'queue_wait', 'r', title='Other'),
    ],
)
def test_a_waiver_for_something_else_is_a_finding_of_its_own(waiver):
    assert [one.rule for one in found(BROKEN, waivers=[waiver])] == ['MC10', 'WAIVER']
    assert [one.rule for one in found(BROKEN, waivers=[waiver], complete=False)] == ['MC10']


def test_waivers_of_a_file(tmp_path):
    path = tmp_path / 'waivers.yaml'
    path.write_text('- {rule: MC10, asset: queue_wait, path: "tags[2]", reason: Their name is theirs.}\n')
    (waiver,) = load_waivers(path)
    assert (waiver.rule, waiver.path, waiver.place) == ('MC10', 'tags[2]', 'waivers[0]')
    path.write_text('# none yet\n')
    assert load_waivers(path) == []


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('{', 'waivers.yaml: while parsing'),
        ('rule: MC10', 'expected a list of waivers'),
        ('- MC10', 'waivers[0]: expected an object'),
        ('- {rule: MC10, asset: a}', 'waivers[0].reason: missing'),
        ('- {rule: MC10, asset: a, reason: " "}', 'waivers[0].reason: expected a string'),
        ('- {rule: MC10, asset: a, reason: b, why: c}', 'waivers[0].why: unknown key; known are rule, asset'),
    ],
)
def test_a_faulty_file_of_waivers(tmp_path, content, message):
    path = tmp_path / 'waivers.yaml'
    path.write_text(content)
    with pytest.raises(WaiverError) as error:
        load_waivers(path)
    assert message in str(error.value)
    assert '\n' not in str(error.value)


# The command.


def run(*arguments: str):
    return CliRunner().invoke(app, ['lint', *arguments])


@pytest.fixture
def directory(tmp_path) -> Path:
    """Two SLOs, one of them broken."""
    folder = tmp_path / 'assets'
    (folder / 'slos').mkdir(parents=True)
    (folder / 'slos' / 'queue_wait.json').write_text(dump(SLO.document))
    (folder / 'slos' / 'broken.json').write_text(dump(BROKEN.document))
    return folder


def test_text_and_exit_codes(directory):
    result = run('--assets', str(directory))
    assert result.exit_code == 1
    assert 'assets/slos/broken.json: tags[2]\tMC10\t' in result.output
    assert '2 assets: 1 error, 0 warnings' in result.output
    result = run('queue_wait', '--assets', str(directory))
    assert result.exit_code == 0
    assert result.output == '1 asset: 0 errors, 0 warnings, 0 notes\n'


def test_json(directory):
    result = run('broken', '--assets', str(directory), '--format', 'json')
    document = json.loads(result.stdout)
    (one,) = document['results']
    assert (document['command'], document['summary']['error']) == ('assets lint', 1)
    assert result.stdout == run('broken', '--assets', str(directory), '--json').stdout
    assert (one['rule'], one['path'], one['level']) == ('MC10', 'tags[2]', 'error')


def test_sarif(directory):
    log = json.loads(run('--assets', str(directory), '--format', 'sarif').output)
    (result,) = [one for one in log['runs'][0]['results'] if one['level'] == 'error']
    assert result['ruleId'] == 'MC10'
    (place,) = result['locations']
    assert place['physicalLocation']['artifactLocation']['uri'].endswith('assets/slos/broken.json')
    assert place['logicalLocations'] == [{'fullyQualifiedName': 'tags[2]'}]
    known = {rule['id'] for rule in log['runs'][0]['tool']['driver']['rules']}
    assert {one['ruleId'] for one in log['runs'][0]['results']} <= known
    assert {one['level'] for one in log['runs'][0]['results']} <= set(command.SARIF_LEVELS.values())


def test_a_waiver_of_a_rule_that_a_profile_takes_in_part_may_be_unused(directory):
    waivers = directory.parent / 'waivers.yaml'
    waivers.write_text('- {rule: DG11, asset: broken, reason: For the rule of this project with the same id.}\n')
    arguments = ('--assets', str(directory), '--waivers', str(waivers))
    assert 'unused waiver: DG11' in run(*arguments).output
    assert 'unused waiver' not in run(*arguments, '--profile', 'datadog').output


def test_the_waivers_beside_the_assets_are_used(directory):
    folder = directory.parent / 'dashboards'
    folder.mkdir()
    waivers = folder / 'waivers.yaml'
    waivers.write_text('- {rule: MC10, asset: broken, reason: Their name is theirs.}\n')
    assert run('--assets', str(directory)).exit_code == 0
    waivers.write_text('- {rule: MC01, asset: broken, reason: Never needed.}\n')
    result = run('--assets', str(directory))
    assert result.exit_code == 1
    assert 'waivers.yaml: waivers[0]\tWAIVER\tunused waiver: MC01 of broken; remove it' in result.output
    waivers.write_text('[')
    assert run('--assets', str(directory)).exit_code == 2


def test_unknown_keys_are_a_wrong_command_line(directory):
    result = run('nothing', '--assets', str(directory))
    assert result.exit_code == 2


def test_the_assets_of_the_project_pass():
    waivers = load_waivers(ASSETS.parent / 'dashboards' / 'waivers.yaml')
    assert [one.text for one in lint(load(ASSETS), waivers=waivers) if one.level != 'info'] == []


# The choice of rules.


def chosen(*assets: Asset, **options) -> list[str]:
    return [f'{one.rule} {one.path}' for one in lint(assets, complete=False, selection=Selection(**options))]


def test_rules_are_selected_and_ignored_by_the_beginning_of_their_id():
    broken = slo(tags=['service:metta_checks', 'managed_by:metta_checks'], target='x')
    assert chosen(broken) == ['MC10 tags', 'SCHEMA target']
    assert chosen(broken, select=('MC',)) == ['MC10 tags']
    assert chosen(broken, ignore=('MC1', 'DG')) == ['SCHEMA target']
    assert chosen(broken, select=('MC', 'SCHEMA'), ignore=('SCHEMA',)) == ['MC10 tags']


def test_keys_that_the_client_does_not_know_are_warnings():
    (one,) = found(slo(should_be_newer=True))
    assert (one.level, one.rule, one.path) == ('warning', 'SCHEMA', 'should_be_newer')
    assert found(slo(thresholds='x'))[0].level == 'error'


def test_the_profile_of_any_dashboard():
    """Of the project's conventions nothing is asked; mistakes are found as before."""
    anybody = dashboard('Kong', widgets=[timeseries('Requests', 'sum:kong.requests{$env} by {route}.as_rate()')])
    anybody['widgets'][0]['layout'] = {'x': 0, 'y': 0, 'width': 12, 'height': 3}
    assert chosen(Asset('dashboard', 'kong', anybody), profile=Profile.DATADOG) == []
    assert any(one.startswith('DG') for one in chosen(Asset('dashboard', 'kong', anybody)))
    request = anybody['widgets'][0]['definition']['requests'][0]
    request['queries'][0]['query'] = 'sum:kong.requests{$env} by {route'
    anybody['widgets'][0]['layout']['width'] = 13
    assert chosen(Asset('dashboard', 'kong', anybody), profile=Profile.DATADOG) == [
        'MC06 widgets[0].layout.width',
        'MC02 widgets[0].definition.requests[0].queries[0].query',
    ]


def test_the_old_form_of_a_request():
    """Queries joined by commas, which dashboards of integrations hold: their metrics are judged, too."""
    board = dashboard('Mesh', widgets=[timeseries('Requests')])
    board['widgets'][0]['definition']['requests'] = [{'q': 'avg:metta.x{*}, top(sum:metta.y{*}, 10, "mean", "desc")'}]
    board['widgets'][0]['layout'] = {'x': 0, 'y': 0, 'width': 12, 'height': 3}
    asset = Asset('dashboard', 'mesh', board)
    assert chosen(asset, select=('MC01',)) == ['MC01 widgets[0].definition.requests[0].q']
    assert chosen(asset, profile=Profile.DATADOG) == ['MC03 widgets[0].definition.requests[0].q'] * 2


@pytest.mark.parametrize(
    ('shift', 'findings'),
    [('last_10m', []), ('10m_ago', []), ('1mo_ago', []), ('last_1w', []), ('last_7m', ['MC10 definition.query'])],
)
def test_shifts_of_a_change(shift, findings):
    query = f'change(min(last_5m),{shift}):sum:metta.github.prs.open{{*}} by {{repo}} > 50'
    asset = Asset('monitor', 'change', monitor(query=query, message='{{repo.name}}'))
    assert chosen(asset, profile=Profile.DATADOG) == findings


METADATA = """metric_name,metric_type,interval,unit_name,per_unit_name,description,orientation,integration,short_name
kong.requests,count,,request,,Requests.,0,kong,requests
"""


@pytest.mark.parametrize('name', ['metadata.csv', 'metrics.yaml'])
def test_further_catalogs(tmp_path, name):
    catalog = tmp_path / name
    head = 'source: kong\nprefix: kong.\nbase_tags: [route]\ntags: {route: {description: Route, limit: 9}}\n'
    row = 'metrics:\n  - {name: requests, block: self, type: count, description: Requests.}\n'
    catalog.write_text(METADATA if name.endswith('csv') else f'{head}{row}')
    queries = [timeseries(query, f'sum:{query}{{*}} by {{route}}') for query in ('kong.requests', 'kong.request')]
    (tmp_path / 'dashboards').mkdir()
    (tmp_path / 'dashboards' / 'kong.json').write_text(dump(dashboard('Kong', widgets=queries)))

    def messages(*arguments: str) -> list[str]:
        result = run('--assets', str(tmp_path), '--format', 'json', '--select', 'MC03', *arguments)
        return [one['message'] for one in json.loads(result.stdout)['results']]

    assert len(messages()) == 2
    # Without a catalog of their namespace, metrics of others are not judged.
    assert messages('--profile', 'datadog') == []
    for profile in ('project', 'datadog'):
        (one,) = messages('--catalog', str(catalog), '--profile', profile)
        assert one == 'kong.request is not in any catalog; closest: kong.requests'
    catalog.write_text('x')
    result = run('--assets', str(tmp_path), '--catalog', str(catalog))
    assert result.exit_code == 2
    assert 'not a metrics.yaml or metadata.csv' in result.output


def test_a_rule_that_does_not_exist_is_a_wrong_command_line(directory):
    result = run('--assets', str(directory), '--ignore', 'MC99')
    assert result.exit_code == 2
    assert "no rule begins with 'MC99'" in result.output
    assert run('--assets', str(directory), '--select', 'DG').exit_code == 0
    assert run('--assets', str(directory), '--profile', 'datadog').exit_code == 0


def test_groups_by_a_variable():
    """A variable of the type group stands for a tag to group by, one of another type for a filter."""
    query = 'avg:metta.github.prs.open{*} by {$by}'
    board = dashboard(widgets=[timeseries('Open', query)], template_variables=[{'name': 'by', 'type': 'group'}])
    assert chosen(Asset('dashboard', 'x', board), select=('MC04',)) == []
    board['template_variables'][0]['type'] = 'filter'
    assert len(chosen(Asset('dashboard', 'x', board), select=('MC04',))) == 1


def test_groups_by_every_tag():
    """`by {*}` and `by("*")` are one group per series: every tag may be named in a text."""
    query = 'avg(last_1mo):avg:metta.github.prs.open{*} by {*} > 50'
    options = {**monitor()['definition']['options'], 'notify_by': ['repo']}
    for one in (query, query.replace('last_1mo', 'current_1d')):
        asset = Asset('monitor', 'x', monitor(query=one, message='{{repo.name}}', options=options))
        assert chosen(asset, profile=Profile.DATADOG) == []
    check = monitor(query='"metta.can_connect".over("*").by("*").last(4).count_by_status()', type='service check')
    assert chosen(Asset('monitor', 'x', check), select=('MC04',)) == []


@pytest.mark.parametrize(
    ('condition', 'findings'),
    [
        ('repo:*$env.value-x', 0),
        ('repo IN ($env.value, a-$env.value)', 0),
        ('repo:*$enw.value-x', 1),
        ('repo IN ($enw.value)', 1),
        ('repo IN (a, b-$enw.value)', 1),
    ],
)
def test_variables_in_values_are_declared(condition, findings):
    query = f'avg:metta.github.prs.open{{{condition}}} by {{repo}}'
    board = dashboard(widgets=[timeseries('Open', query)])
    assert len(chosen(Asset('dashboard', 'x', board), select=('MC04',))) == findings


MISSPELT = 'avg:metta.github.prs.opne{*} by {repo}'


def modern(query: str) -> dict:
    return {'queries': [{'data_source': 'metrics', 'name': 'q', 'query': query}], 'formulas': [{'formula': 'q'}]}


@pytest.mark.parametrize(
    ('definition', 'place'),
    [
        ({'type': 'hostmap', 'requests': {'fill': {'q': QUERY}, 'size': {'q': MISSPELT}}}, 'requests.size.q'),
        ({'type': 'hostmap', 'requests': {'fill': modern(MISSPELT)}}, 'requests.fill.queries[0].query'),
        ({'type': 'scatterplot', 'requests': {'x': {'q': MISSPELT}, 'y': {'q': QUERY}}}, 'requests.x.q'),
        ({'type': 'scatterplot', 'requests': {'table': modern(MISSPELT)}}, 'requests.table.queries[0].query'),
        (
            {'type': 'split_group', 'source_widget_definition': {'type': 'timeseries', 'requests': [modern(MISSPELT)]}},
            'source_widget_definition.requests[0].queries[0].query',
        ),
        (
            {'type': 'distribution', 'requests': [{'query': modern(MISSPELT)['queries'][0]}]},
            'requests[0].query.query',
        ),
    ],
)
def test_queries_of_every_kind_of_widget_are_judged(definition, place):
    board = dashboard(widgets=[{'definition': {'title': 'Pull requests', **definition}}])
    assert chosen(Asset('dashboard', 'x', board), select=('MC03',)) == [f'MC03 widgets[0].definition.{place}']


def levels_of_query(query: str) -> list[str]:
    board = dashboard(widgets=[timeseries('Open', query)])
    findings = lint([Asset('dashboard', 'x', board)], complete=False, selection=Selection(select=('MC02',)))
    return [one.level for one in findings]


@pytest.mark.parametrize(
    ('condition', 'warnings'),
    [
        ('$env,!repo:a,repo:b*', 0),
        ('$env AND NOT (repo:a OR repo IN (b, c))', 0),
        ('repo:(a OR b) AND $env', 0),
        ('repo:"this, that OR other"', 0),
        ('repo:a AND !env:b', 1),
        ('$env,(repo:a OR repo:b)', 1),
        ('$env,repo NOT IN (a, b)', 1),
        ('!repo:(a OR b)', 1),
    ],
)
def test_symbols_and_words_in_one_filter(condition, warnings):
    """Datadog's documentation (metrics, advanced filtering) calls such a filter invalid; each series has its own."""
    query = f'avg:metta.github.prs.open{{{condition}}} by {{repo}} + avg:metta.github.prs.open{{a:b,c:d}} by {{repo}}'
    assert levels_of_query(query) == ['warning'] * warnings


@pytest.mark.parametrize(
    ('condition', 'warnings'),
    [
        ('env:a AND (repo:b OR repo:c)', 0),
        ('(env:a AND repo:b) OR (env:c AND repo:d)', 0),
        ('env:a OR repo:b OR repo:c', 0),
        ('env:a AND repo:(b OR c)', 0),
        ('env:a AND repo:b OR repo:c', 1),
        ('NOT (env:a OR repo:b AND repo:c)', 1),
        ('* AND env:a OR repo:b', 1),
    ],
)
def test_and_beside_or(condition, warnings):
    """Datadog's documentation does not say which of them binds more; authors mean `env:a AND (repo:b OR repo:c)`."""
    assert levels_of_query(f'avg:metta.github.prs.open{{{condition}}} by {{repo}}') == ['warning'] * warnings


@pytest.mark.parametrize(
    ('window', 'levels'), [('last_1h', []), ('last_4h', ['warning']), ('last_15m', ['warning']), ('last_5m', ['error'])]
)
def test_the_window_of_an_anomaly_monitor(window, levels):
    """Of any monitor, five times the alert's window is a recommendation, and a shorter one than that is a mistake."""
    call = "anomalies(avg:metta.github.prs.open{*} by {repo}, 'agile', 2, interval=60, alert_window='last_15m')"
    windows = {'trigger_window': 'last_15m', 'recovery_window': 'last_15m'}
    options = {'thresholds': {'critical': 1}, 'threshold_windows': windows, 'require_full_window': False}
    query = f'avg({window}):{call} >= 1'
    asset = Asset('monitor', 'x', monitor(query=query, message='{{repo.name}}', options=options))
    selection = Selection(select=('MC10',), profile=Profile.DATADOG)
    assert [one.level for one in lint([asset], complete=False, selection=selection)] == levels


@pytest.mark.parametrize('comparator', ['==', '!='])
def test_equality_is_a_mistake_in_this_project_only(comparator):
    query = f'max(last_2h):sum:metta.github.prs.stale_count_14d{{*}} by {{repo,env}} {comparator} 50'
    asset = Asset('monitor', 'x', monitor(query=query))
    assert chosen(asset, select=('MC10',), profile=Profile.DATADOG) == []
    assert chosen(asset, select=('MC10',)) == ['MC10 definition.query']

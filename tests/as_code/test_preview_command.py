"""`metta-checks assets preview`, from a recording to pages."""

from __future__ import annotations

import base64
import gzip
import json
import re
import zlib
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from metta_checks.as_code.preview import page
from metta_checks.as_code.preview.filters import NotDrawn
from metta_checks.as_code.preview.recorded import matching
from metta_checks.cli.assets import preview
from metta_checks.cli.assets.app import app

END = 1_763_424_000
STEP = 3600
HOSTILE = 'metta-ai/<img src=x onerror=alert(1)>'


def points() -> list[dict[str, Any]]:
    """Two days of open PRs in two repositories and environments, and the checks of two sources."""
    found: list[dict[str, Any]] = []
    for index in range(49):
        moment = END - (48 - index) * STEP
        for repo, env, value in (('metta-ai/metta', 'production', 30), (HOSTILE, 'staging', 5)):
            tags = [f'repo:{repo}', f'env:{env}', 'org:metta-ai']
            found.append(
                {
                    'time': moment,
                    'name': 'metta.github.prs.open',
                    'type': 'gauge',
                    'value': value + index % 3,
                    'tags': tags,
                }
            )
    for source, env, status in (
        ('github', 'production', 'ok'),
        ('ec2', 'production', 'ok'),
        ('ec2', 'staging', 'critical'),
    ):
        found.append(
            {
                'time': END,
                'check': 'metta.can_connect',
                'status': status,
                'message': 'refused' if status == 'critical' else '',
                'tags': [f'source:{source}', f'env:{env}'],
            }
        )
    return found


def request(text: str, form: str) -> dict[str, Any]:
    query = {'data_source': 'metrics', 'name': 'a', 'query': text, 'aggregator': 'last'}
    unit = {'unit': {'type': 'canonical_unit', 'unit_name': 'item'}}
    formula = {'formula': 'a', 'alias': 'open', 'number_format': unit}
    return {'response_format': form, 'queries': [query], 'formulas': [formula]}


def dashboard(title: str) -> dict[str, Any]:
    widgets = [
        {'type': 'query_value', 'title': 'Open', 'requests': [request('sum:metta.github.prs.open{$env}', 'scalar')]},
        {
            'type': 'timeseries',
            'title': 'Open by repository',
            'requests': [request('sum:metta.github.prs.open{$env} by {repo}', 'timeseries')],
        },
        {
            'type': 'check_status',
            'title': 'Connections',
            'check': 'metta.can_connect',
            'grouping': 'cluster',
            'group_by': ['source'],
            'tags': ['$env'],
        },
        {
            'type': 'timeseries',
            'title': 'Unknown',
            'requests': [request('avg:metta.github.no_such_metric{*}', 'timeseries')],
        },
        {
            'type': 'timeseries',
            'title': 'Silent',
            'requests': [request('avg:metta.github.prs.merged_7d{*}', 'timeseries')],
        },
        {
            'type': 'query_value',
            'title': 'Not parsed',
            'requests': [request('sum:metta.github.prs.open{', 'scalar')],
        },
    ]
    widgets += [
        {
            'type': 'manage_status',
            'title': 'Alerts',
            'query': 'tag:("integration:metta-checks")',
            'display_format': 'countsAndList',
        },
        {
            'type': 'slo_list',
            'title': 'Objectives',
            'requests': [{'request_type': 'slo_list', 'query': {'query_string': 'service:metta_checks', 'limit': 5}}],
        },
        {'type': 'manage_status', 'title': 'Searched', 'query': 'status:alert AND muted'},
    ]
    laid_out = [
        {'definition': definition, 'layout': {'x': 4 * (index % 3), 'y': 2 * (index // 3), 'width': 4, 'height': 2}}
        for index, definition in enumerate(widgets)
    ]
    return {
        'title': title,
        'description': 'Pull requests that are open.',
        'layout_type': 'ordered',
        'reflow_type': 'fixed',
        'template_variables': [{'name': 'env', 'prefix': 'env', 'defaults': ['*']}],
        'template_variable_presets': [
            {'name': 'Production', 'template_variables': [{'name': 'env', 'values': ['production']}]}
        ],
        'widgets': laid_out,
    }


@pytest.fixture
def workplace(tmp_path, monkeypatch) -> Path:
    """A directory with two dashboards, three monitors, an SLO and a recording."""
    monkeypatch.chdir(tmp_path)
    for kind in ('dashboards', 'monitors', 'slos'):
        (tmp_path / 'assets' / kind).mkdir(parents=True)
    for key, title in (('open_prs', 'Metta Open PRs'), ('other', 'Metta Other')):
        (tmp_path / 'assets' / 'dashboards' / f'{key}.json').write_text(json.dumps(dashboard(title)), encoding='utf-8')
    for key, title, tag, threshold in (
        ('many_open', 'Many PRs are open', 'integration:metta-checks', 20),
        ('few_open', 'Hardly any PR is open', 'integration:metta-checks', 90),
        ('foreign', 'Somebody else is unhappy', 'integration:other', 0),
    ):
        definition = {
            'name': title,
            'type': 'query alert',
            'query': f'min(last_4h):sum:metta.github.prs.open{{*}} by {{repo}} > {threshold}',
            'tags': [tag],
            'options': {'thresholds': {'critical': threshold}},
        }
        monitor = {'title': title, 'definition': definition}
        (tmp_path / 'assets' / 'monitors' / f'{key}.json').write_text(json.dumps(monitor), encoding='utf-8')
    query = {'data_source': 'metrics', 'name': 'open', 'query': 'sum:metta.github.prs.open{env:staging}'}
    rule = {
        'query': {'formulas': [{'formula': 'open'}], 'queries': [query]},
        'comparator': '<=',
        'threshold': 6,
        'query_interval_seconds': 300,
    }
    slo = {
        'name': '[metta] Few PRs are open',
        'type': 'time_slice',
        'tags': ['service:metta_checks'],
        'sli_specification': {'time_slice': rule},
        'thresholds': [{'timeframe': '7d', 'target': 60.0}],
        'timeframe': '7d',
        'target_threshold': 60.0,
    }
    (tmp_path / 'assets' / 'slos' / 'few_open_prs.json').write_text(json.dumps(slo), encoding='utf-8')
    text = ''.join(json.dumps(line) + '\n' for line in points())
    (tmp_path / 'recording.jsonl').write_text(text, encoding='utf-8')
    (tmp_path / 'recording.jsonl.gz').write_bytes(gzip.compress(text.encode()))
    return tmp_path


def run(*arguments: str):
    assert preview.preview in [command.callback for command in app.registered_commands]
    return CliRunner().invoke(app, ['preview', *arguments])


def number(text: str, title: str = 'Open') -> str:
    """The big number of a widget, in what the page shows at the beginning."""
    (found,) = re.findall(r'<span class="number">([^<]*)</span>', widget(text.split('</main>')[0], title))
    return found


def others(text: str) -> str:
    """The drawings of other selections than the first one."""
    (packed,) = re.findall(r'<script type="text/plain" id="drawings">([^<]*)</script>', text)
    drawings = json.loads(zlib.decompress(base64.b64decode(packed), wbits=-15))
    return ''.join(drawing for some in drawings.values() for drawing in some)


def widget(text: str, title: str) -> str:
    """The first widget of this title on a page."""
    found = re.search(rf'<section class="w [^>]*aria-label="{title}">.*?</section>', text)
    assert found
    return found[0]


def test_every_dashboard_is_a_page_and_the_index_links_them(workplace):
    result = run('--record', 'recording.jsonl')
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in Path('preview').iterdir()) == ['index.html', 'open_prs.html', 'other.html']
    index = Path('preview/index.html').read_text(encoding='utf-8')
    assert re.findall(r'href="([\w.]+)"', index) == ['open_prs.html', 'other.html']
    assert 'Pull requests that are open.' in index
    assert 'Sample data' in index
    assert 'preview/open_prs.html' in result.output


def test_numbers_come_from_the_recording(workplace):
    run('open_prs', '--record', 'recording.jsonl.gz', '--out', 'pages')
    text = Path('pages/open_prs.html').read_text(encoding='utf-8')
    # The last values, 30 and 5, and what the 48th point adds to each.
    assert number(text) == '35'
    assert 'metta-ai/&lt;img src=x onerror=alert(1)&gt;' in text
    assert '<img' not in text
    assert '16 Nov 2025, 00:00 to 18 Nov 2025, 00:00 UTC (2 d)' in text
    assert not Path('pages/other.html').exists()


def test_what_is_missing_is_said(workplace):
    run('open_prs', '--record', 'recording.jsonl')
    text = Path('preview/open_prs.html').read_text(encoding='utf-8')

    assert 'unknown metric: metta.github.no_such_metric' in widget(text, 'Unknown')
    assert 'class="nodata">No data<' in widget(text, 'Silent')
    assert 'does not parse' in widget(text, 'Not parsed')


def test_checks_show_the_worst_state_of_a_group(workplace):
    run('open_prs', '--record', 'recording.jsonl')
    text = Path('preview/open_prs.html').read_text(encoding='utf-8')
    tile = r'<li class="fill-(\w+)"[^>]*><strong title="(\w+)">\w+</strong><span>([\w ]+)</span>'
    everything = re.findall(tile, text.split('</main>')[0])
    assert everything == [('red', 'ec2', 'Critical'), ('green', 'github', 'OK')]
    # Production has no critical one.
    assert ('green', 'ec2', 'OK') in re.findall(tile, others(text))
    assert 'title="refused"' in text


def test_monitors_and_slos_are_told_from_the_recording(workplace):
    # Also when only one dashboard is named.
    run('open_prs', '--record', 'recording.jsonl')
    text = Path('preview/open_prs.html').read_text(encoding='utf-8')

    alerts = re.findall(
        r'>(Alert|OK|No data)</span><span class="name" title="[^"]*">([^<]*)</span>', widget(text, 'Alerts')
    )
    assert alerts == [('Alert', 'Many PRs are open'), ('OK', 'Hardly any PR is open')]
    assert '1 of 2 groups; metta-ai/metta: 30 (limit &gt; 20)' in widget(text, 'Alerts')
    # Two thirds of the slices are good: 5 and 6, but not 7.
    assert re.search(r'<strong class="text-green">6\d\.\d\d%</strong>', widget(text, 'Objectives'))
    assert '>Few PRs are open<' in widget(text, 'Objectives')
    assert 'search not evaluated here' in widget(text, 'Searched')


@pytest.mark.parametrize(
    ('query', 'found'),
    [
        ('', True),
        ('*', True),
        ('team:devops', True),
        ('tag:team:devops', True),
        ('tag:"team:devops"', True),
        ('tag:("team:devops")', True),
        ('tag:("team:other" OR "team:devops")', True),
        ('tag:("team:other" OR "team:third")', False),
        ('team:devops service:metta_checks', True),
        ('team:devops AND service:other', False),
    ],
)
def test_searches_of_monitors_and_slos(query, found):
    assert matching(query, {'team:devops', 'service:metta_checks'}) is found


@pytest.mark.parametrize('query', ['NOT team:devops', 'name words', '-team:devops'])
def test_a_search_for_more_than_tags_is_refused(query):
    with pytest.raises(NotDrawn, match='search not evaluated here'):
        matching(query, {'team:devops'})


def test_variables_are_set(workplace):
    result = run('open_prs', '--record', 'recording.jsonl', '--var', 'env=staging')
    assert result.exit_code == 0
    text = Path('preview/open_prs.html').read_text(encoding='utf-8')
    assert number(text) == '5'
    assert 'env=staging' in text
    # Several values of one variable stand together.
    run('open_prs', '--record', 'recording.jsonl', '--var', 'env=staging', '--var', 'env=production')
    assert number(Path('preview/open_prs.html').read_text(encoding='utf-8')) == '35'


def test_all_values_of_a_variable_are_offered(workplace):
    run('open_prs', '--record', 'recording.jsonl')
    text = Path('preview/open_prs.html').read_text(encoding='utf-8')
    assert re.findall(r'<input type="checkbox" [^>]*><span>([^<]*)</span>', text) == ['production', 'staging']


def test_the_label_is_the_watermark(workplace):
    run('open_prs', '--record', 'recording.jsonl', '--label', 'Production & more')
    for name in ('open_prs', 'index'):
        assert '<strong>Production &amp; more</strong>' in Path(f'preview/{name}.html').read_text(encoding='utf-8')


@pytest.mark.parametrize(
    ('arguments', 'code', 'message'),
    [
        ((), 2, 'python -m sandbox.week --output'),
        (('--record', 'none.jsonl'), 2, 'none.jsonl: cannot be read'),
        (('--record', 'empty.jsonl'), 2, 'empty.jsonl: the recording has no points'),
        (('--record', 'broken.jsonl'), 2, 'broken.jsonl:1: not JSON'),
        (('nothing', '--record', 'recording.jsonl'), 2, "no asset is called 'nothing'"),
        (('many_open', '--record', 'recording.jsonl'), 2, 'only dashboards are drawn'),
        (
            ('--record', 'recording.jsonl', '--var', 'region=x'),
            2,
            'there is no such template variable; these dashboards have env',
        ),
        (('--record', 'recording.jsonl', '--var', 'env'), 2, 'expected name=value'),
        (('--record', 'recording.jsonl', '--assets', 'none'), 2, 'none is not a directory'),
    ],
)
def test_mistakes_are_explained(workplace, arguments, code, message):
    Path('empty.jsonl').write_text('', encoding='utf-8')
    Path('broken.jsonl').write_text('{', encoding='utf-8')
    result = run(*arguments)
    assert result.exit_code == code
    assert message in ' '.join(result.output.split())
    assert not Path('preview').exists()


def test_large_pages_are_reported(workplace, monkeypatch):
    monkeypatch.setattr(page, 'MAX_BYTES', 10_000)
    result = run('open_prs', '--record', 'recording.jsonl')
    assert result.exit_code == 0
    assert 'is larger than 0.01 MB' in ' '.join(result.output.split())


def test_a_widget_that_the_api_would_refuse_is_a_box_on_its_page(workplace):
    broken = dashboard('Metta Broken')
    broken['widgets'][0]['definition']['requests'] = 'none'
    (workplace / 'assets' / 'dashboards' / 'broken.json').write_text(json.dumps(broken), encoding='utf-8')
    result = run('--record', 'recording.jsonl')
    assert result.exit_code == 0
    output = ' '.join(result.output.split())
    assert 'dashboard/broken: the API would refuse widgets[0].definition.requests' in output
    text = Path('preview/broken.html').read_text(encoding='utf-8')
    assert 'the API would refuse this query_value: definition.requests' in text
    assert 'broken.html' in Path('preview/index.html').read_text(encoding='utf-8')

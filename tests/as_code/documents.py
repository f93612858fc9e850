"""Small assets for the tests, and strategies that generate any number of others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from metta_checks.as_code.asset import KINDS, Asset, dump

QUERY = 'avg:metta.github.prs.open{$env,$repo} by {repo}'


def timeseries(title: str, query: str = QUERY, **more: Any) -> dict[str, Any]:
    """A widget."""
    request = {
        'response_format': 'timeseries',
        'display_type': 'line',
        'formulas': [{'formula': 'q', 'alias': title}],
        'queries': [{'data_source': 'metrics', 'name': 'q', 'query': query}],
    }
    definition = {'type': 'timeseries', 'title': title, 'requests': [request], **more}
    return {'definition': definition, 'layout': {'x': 0, 'y': 0, 'width': 6, 'height': 3}}


def dashboard(title: str = 'Metta Test', **more: Any) -> dict[str, Any]:
    """A dashboard with two groups."""
    value = {
        'definition': {
            'type': 'query_value',
            'title': 'Open PRs',
            'precision': 0,
            'requests': [
                {
                    'response_format': 'scalar',
                    'formulas': [{'formula': 'q'}],
                    'queries': [{'data_source': 'metrics', 'name': 'q', 'query': QUERY, 'aggregator': 'last'}],
                    'conditional_formats': [
                        {'comparator': '>', 'value': 50, 'palette': 'white_on_red'},
                        {'comparator': '>', 'value': 20.0, 'palette': 'white_on_yellow'},
                    ],
                }
            ],
        },
        'layout': {'x': 6, 'y': 0, 'width': 6, 'height': 3},
    }
    note = {
        'definition': {'type': 'note', 'content': 'About **Metta**', 'font_size': '14'},
        'layout': {'x': 0, 'y': 0, 'width': 3, 'height': 3},
    }
    groups = (('About', [note]), ('Overview', [timeseries('Open'), value]))
    return {
        'title': title,
        'description': 'What is open.',
        'layout_type': 'ordered',
        'reflow_type': 'fixed',
        'template_variables': [
            {'name': 'env', 'prefix': 'env', 'available_values': [], 'defaults': ['*']},
            {'name': 'scope', 'default': '*'},
        ],
        'widgets': [
            {
                'definition': {'type': 'group', 'title': name, 'layout_type': 'ordered', 'widgets': widgets},
                'layout': {'x': 0, 'y': 4 * index, 'width': 12, 'height': 4},
            }
            for index, (name, widgets) in enumerate(groups)
        ],
        **more,
    }


def monitor(title: str = 'Stale PR count is above 50', critical: float = 50, **more: Any) -> dict[str, Any]:
    """The file of a monitor; `more` goes into its definition."""
    return {
        'version': 2,
        'created_at': '2025-11-01',
        'last_updated_at': '2025-11-01',
        'title': title,
        'description': 'Pull requests wait for too long.',
        'tags': ['integration:metta-checks'],
        'definition': {
            'name': f'[Metta Checks] {title} for {{{{repo.name}}}}',
            'type': 'query alert',
            'query': f'min(last_2h):sum:metta.github.prs.stale_count_14d{{*}} by {{repo,env}} > {critical}',
            'message': '{{#is_alert}}Too many stale pull requests in {{repo.name}}.{{/is_alert}}',
            'tags': ['integration:metta-checks', 'team:devops'],
            'priority': 3,
            'options': {
                'thresholds': {'critical': critical, 'warning': 20},
                'include_tags': True,
                'notify_audit': False,
                'on_missing_data': 'show_no_data',
                'require_full_window': False,
                'new_group_delay': 300,
                'renotify_interval': 0,
                'evaluation_delay': 0,
                'escalation_message': '',
            },
            **more,
        },
    }


def slo(name: str = '[metta] Stale PRs at or below 20', **more: Any) -> dict[str, Any]:
    """A time-slice SLO."""
    query = {
        'data_source': 'metrics',
        'name': 'stale',
        'query': 'sum:metta.github.prs.stale_count_14d{env:production}',
    }
    return {
        'name': name,
        'type': 'time_slice',
        'description': 'Share of slices with at most 20 stale pull requests.',
        'tags': ['service:metta_checks', 'team:devops', 'managed_by:metta_checks'],
        'sli_specification': {
            'time_slice': {
                'query': {'formulas': [{'formula': 'stale'}], 'queries': [query]},
                'comparator': '<=',
                'threshold': 20.0,
                'query_interval_seconds': 300,
            }
        },
        'thresholds': [
            {'timeframe': '7d', 'target': 95.0, 'warning': 97.0},
            {'timeframe': '30d', 'target': 95.0, 'warning': 97.0},
        ],
        'timeframe': '30d',
        'target_threshold': 95.0,
        'warning_threshold': 97.0,
        **more,
    }


def three() -> list[Asset]:
    """One of each kind."""
    return [
        Asset('slo', 'stale_prs', slo()),
        Asset('monitor', 'stale_prs_high', monitor()),
        Asset('dashboard', 'test', dashboard()),
    ]


def write(directory: Path, assets: list[Asset]) -> Path:
    """The directory with the assets as files."""
    for folder in KINDS.values():
        (directory / folder).mkdir(parents=True, exist_ok=True)
    for asset in assets:
        (directory / asset.file).write_text(dump(asset.document), encoding='utf-8')
    return directory


def copied(value: Any) -> Any:
    """A copy that shares nothing."""
    return json.loads(json.dumps(value))


# Strategies.

TEXTS = st.text(st.characters(codec='utf-8', exclude_categories=('Cs', 'Cc')), min_size=1, max_size=12)
LINES = st.lists(TEXTS | st.just(''), max_size=5).map('\n'.join)
NUMBERS = st.one_of(st.integers(-1000, 10**6), st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: round(value, 3)))
PALETTES = st.sampled_from(['dog_classic', 'cool', 'warm'])


def _maybe(**optional: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=optional)


FORMATS = st.lists(
    st.fixed_dictionaries({'comparator': st.sampled_from(['>', '<=']), 'value': NUMBERS, 'palette': PALETTES}),
    max_size=3,
)
STYLES = _maybe(
    palette=PALETTES,
    line_type=st.sampled_from(['solid', 'dashed']),
    line_width=st.sampled_from(['normal', 'thick']),
)
AXES = _maybe(
    scale=st.sampled_from(['linear', 'log']),
    include_zero=st.booleans(),
    min=st.sampled_from(['auto', '0']),
    label=TEXTS,
)
REQUESTS = st.builds(
    lambda aliases, more: {
        'response_format': 'timeseries',
        'formulas': [{'formula': f'q{index}', 'alias': alias} for index, alias in enumerate(aliases)],
        'queries': [
            {'data_source': 'metrics', 'name': f'q{index}', 'query': QUERY} for index, alias in enumerate(aliases)
        ],
        **more,
    },
    st.lists(TEXTS, min_size=1, max_size=3),
    _maybe(style=STYLES, conditional_formats=FORMATS, display_type=st.sampled_from(['line', 'bars', 'area'])),
)
GRAPHS = st.builds(
    lambda kind, requests, more: {'type': kind, 'requests': requests, **more},
    st.sampled_from(['timeseries', 'query_value', 'toplist']),
    st.lists(REQUESTS, min_size=1, max_size=2),
    _maybe(
        title=TEXTS,
        title_size=st.sampled_from(['16', '13']),
        title_align=st.sampled_from(['left', 'center']),
        yaxis=AXES,
        time=st.sampled_from([{}, {'live_span': '1h'}]),
        markers=st.lists(st.fixed_dictionaries({'value': st.just('y = 48'), 'label': TEXTS}), max_size=2),
        show_legend=st.booleans(),
        # A field that no release of the client knows.
        something_new=st.recursive(st.booleans() | TEXTS, lambda inner: st.lists(inner, max_size=2), max_leaves=3),
    ),
)
NOTES = st.builds(
    lambda content, more: {'type': 'note', 'content': content, **more},
    LINES,
    _maybe(
        show_tick=st.booleans(),
        font_size=st.sampled_from(['14', '18']),
        background_color=st.sampled_from(['white', 'yellow']),
    ),
)
LAYOUTS = st.fixed_dictionaries({name: st.integers(0, 12) for name in ('x', 'y', 'width', 'height')})
WIDGETS = st.fixed_dictionaries({'definition': GRAPHS | NOTES, 'layout': LAYOUTS})
GROUPS = st.fixed_dictionaries(
    {
        'definition': st.fixed_dictionaries(
            {'type': st.just('group'), 'layout_type': st.just('ordered'), 'widgets': st.lists(WIDGETS, max_size=3)},
            optional={'title': TEXTS, 'show_title': st.booleans(), 'background_color': st.just('vivid_blue')},
        ),
        'layout': LAYOUTS,
    }
)
VARIABLES = st.one_of(
    st.fixed_dictionaries({}, optional={'prefix': st.none() | TEXTS, 'default': st.just('*') | TEXTS}),
    st.fixed_dictionaries({'defaults': st.lists(TEXTS | st.just('*'), min_size=1, max_size=2)}),
)
DASHBOARDS = st.builds(
    lambda title, layout, widgets, variables, more: {
        'title': title,
        'layout_type': layout,
        'widgets': widgets,
        'template_variables': [{'name': f'v{index}', **variable} for index, variable in enumerate(variables)],
        **more,
    },
    TEXTS,
    st.sampled_from(['ordered', 'free']),
    st.lists(GROUPS | WIDGETS, max_size=3),
    st.lists(VARIABLES, max_size=2),
    _maybe(
        description=st.none() | LINES,
        notify_list=st.none() | st.just([]),
        tags=st.lists(st.sampled_from(['team:a', 'team:b']), unique=True),
        pause_auto_refresh=st.booleans(),
    ),
)
MONITORS = st.builds(
    lambda critical, options, more: {
        'name': 'x',
        'type': 'query alert',
        'query': f'max(last_1h):avg:metta.github.prs.open{{*}} by {{repo}} > {critical!r}',
        'options': {'thresholds': {'critical': critical}, **options},
        **more,
    },
    NUMBERS,
    _maybe(
        notify_audit=st.booleans(),
        include_tags=st.booleans(),
        require_full_window=st.booleans(),
        renotify_interval=st.sampled_from([None, 0, 60]),
        evaluation_delay=st.sampled_from([0, 120]),
        new_group_delay=st.sampled_from([0, 300]),
        new_host_delay=st.sampled_from([0, 300]),
        timeout_h=st.sampled_from([0, 24]),
        escalation_message=st.sampled_from(['', 'again']),
        on_missing_data=st.sampled_from(['default', 'show_no_data']),
    ),
    _maybe(
        message=LINES,
        priority=st.none() | st.integers(1, 5),
        tags=st.lists(st.sampled_from(['a:b', 'c:d', 'e:f']), unique=True),
    ),
)
THRESHOLDS = st.lists(
    st.builds(
        lambda timeframe, target, warning: {'timeframe': timeframe, 'target': target, **warning},
        st.sampled_from(['7d', '30d', '90d']),
        st.integers(50, 99) | st.floats(50, 99.5).map(lambda value: round(value, 2)),
        _maybe(warning=st.just(99.9)),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda threshold: threshold['timeframe'],
)
SLOS = st.builds(
    lambda base, thresholds, repeat, more: {
        **{key: base[key] for key in ('name', 'type', 'sli_specification')},
        'thresholds': thresholds,
        'timeframe': thresholds[0]['timeframe'],
        **({'target_threshold': thresholds[0]['target']} if repeat else {}),
        **more,
    },
    st.builds(slo),
    THRESHOLDS,
    st.booleans(),
    _maybe(description=st.none() | LINES, tags=st.lists(st.sampled_from(['a:b', 'team:x', 'c']), unique=True)),
)
BODIES = {'dashboard': DASHBOARDS, 'monitor': MONITORS, 'slo': SLOS}


def asset_of(kind: str, key: str, body: dict[str, Any]) -> Asset:
    """An asset with this body."""
    return Asset(kind, key, {'title': 'x', 'definition': body} if kind == 'monitor' else body)

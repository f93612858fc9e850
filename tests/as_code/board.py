"""A dashboard with every kind of widget, and numbers made by hand for it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from metta_checks.as_code.asset import Asset
from metta_checks.as_code.preview.chart import Happening
from metta_checks.as_code.preview.page import Origin, Stamp
from metta_checks.as_code.preview.recording import Recorded
from metta_checks.as_code.preview.result import Line, Outcome, Row
from metta_checks.as_code.preview.tables import MonitorState, SloState, Tile
from metta_checks.as_code.preview.widgets import Definition
from metta_checks.as_code.query import parse_query
from metta_checks.as_code.query_tree import Filter, series

START = 1_763_424_000  # 2025-11-18, 00:00 UTC
HOURS = 168
END = START + HOURS * 3600
WINDOW = (float(START), float(END))
HOSTILE = '<script>alert("tag")</script> & <b>bold</b>'
# Share of each value of a template variable in every number; the rest of the environments has no tag.
ENVIRONMENTS = {'production': 0.5, 'staging': 0.25, 'dev': 0.1}
TEAMS = {'red': 0.6, 'blue': 0.4}


def wave(label: str, low: float, high: float, phase: float = 0.0, unit: str = '', gap: bool = False) -> Line:
    """A line that goes up and down once a day; with a gap of a day in its middle when wanted."""
    points: list[tuple[float, float | None]] = []
    for hour in range(HOURS + 1):
        value = low + (high - low) * (0.5 + 0.5 * math.sin(hour / 24 * 2 * math.pi + phase))
        points.append((START + hour * 3600, None if gap and 72 <= hour < 96 else round(value, 3)))
    return Line(label, {'series': label}, tuple(points), unit)


def request(name: str, **more: Any) -> dict[str, Any]:
    """A request as dashboards have it; `name` says which outcome stands behind it."""
    query = {'data_source': 'metrics', 'name': 'a', 'query': f'avg:{name}{{$env,$team}}'}
    return {'response_format': 'timeseries', 'queries': [query], 'formulas': [{'formula': 'a'}], **more}


def outcomes(factor: float) -> dict[str, Outcome]:
    """All outcomes by the metric's name."""

    def scaled(line: Line) -> Line:
        points = tuple((moment, None if value is None else value * factor) for moment, value in line.points)
        return Line(line.label, line.group, points, line.unit)

    def lines(*wanted: Line) -> Outcome:
        return Outcome(lines=tuple(scaled(line) for line in wanted), columns=tuple((x.label, x.unit) for x in wanted))

    def value(number: float, line: Line) -> Outcome:
        return Outcome((scaled(line),), (Row('', {}, (number * factor,)),), ((line.label, line.unit),))

    repositories = ('metta-ai/metta', 'metta-ai/mettagrid', 'metta-ai/cogames', HOSTILE)
    top = tuple(Row(name, {'repo': name}, ((90.0 - 20 * rank) * factor,)) for rank, name in enumerate(repositories))
    cells = tuple(
        Row(name, {'repo': name}, (float(30 - rank), 20.0 * rank + 5, None if rank == 3 else 12.5 * rank))
        for rank, name in enumerate(repositories)
    )
    return {
        'cycle': lines(
            wave('avg', 20, 30, 0, 'hour', gap=True), wave('p50', 14, 20, 1, 'hour'), wave('p90', 40, 66, 2, 'hour')
        ),
        'open': lines(wave('open', 40, 52, 0, 'item'), wave('stale', 8, 14, 1, 'item')),
        'commits': lines(wave('commits', 0, 180, 0, 'commit')),
        'rate': lines(wave('per developer', 2, 9, 0)),
        'states': lines(
            wave('succeeded', 20, 40, 0, 'job'), wave('failed', 1, 6, 1, 'job'), wave('queued', 2, 9, 2, 'job')
        ),
        'disk': lines(wave('attached', 2_000, 90_000, 0, 'gibibyte'), wave('snapshots', 3, 40, 1, 'gibibyte')),
        'merged': value(42, wave('merged', 20, 42, 0, 'item')),
        'stale': value(64, wave('stale', 40, 64, 0, 'item')),
        'success': value(97.26, wave('success', 92, 98, 0, 'percent')),
        'cost': value(31_234.5, wave('cost', 20_000, 31_300, 0, 'dollar/hour')),
        'runtime': value(2700, wave('runtime', 1800, 2800, 0, 'second')),
        'failures': Outcome(rows=top, columns=(('failures', 'run'),)),
        'table': Outcome(rows=cells, columns=(('merged', 'item'), ('cycle p90', 'hour'), ('flaky', 'percent'))),
        'shift': Outcome(
            rows=(
                Row('merged', {'kind': 'merged'}, (30.0, 24.0)),
                Row('reverts', {'kind': 'reverts'}, (2.0, 5.0)),
                Row('new', {'kind': 'new'}, (3.0, None)),
            ),
            columns=(('PRs', 'item'),),
        ),
        'none': Outcome(),
        'broken': Outcome(problem='anomalies() is not evaluated in the preview'),
    }


def _share(chosen: list[str] | None, shares: dict[str, float]) -> float:
    return 1.0 if chosen in (None, ['*']) else sum(shares[value] for value in chosen or ())


# One series per environment and team, and those without an environment.
SERIES = [
    Recorded('x', 'gauge', (f'team:{team}', *env))
    for team in TEAMS
    for env in ((), *((f'env:{one}',) for one in ENVIRONMENTS))
]


class Hand:
    """The numbers of one choice."""

    def __init__(self, values: dict[str, list[str]]) -> None:
        self.window = WINDOW
        self.found = outcomes(_share(values.get('env'), ENVIRONMENTS) * _share(values.get('team'), TEAMS))

    def request(self, widget_type: str, request: Definition) -> Outcome:
        return self.found[request['queries'][0]['query'].split(':')[1].split('{')[0]]

    def events(self, query: str) -> list[Happening]:
        return [Happening(WINDOW[0] + 3600, 'main is red', 'red')]

    def checks(self, definition: Definition) -> list[Tile]:
        names = ('github', 'skypilot', 'asana', 'ec2', 'wandb', 'kubernetes')
        states = ('ok', 'ok', 'warn', 'ok', 'alert', 'none')
        return [Tile(name, state, f'{name} is {state}') for name, state in zip(names, states, strict=True)]

    def monitors(self, definition: Definition) -> list[MonitorState]:
        return [
            MonitorState('Tests are failing on main', 'ok'),
            MonitorState('PR cycle time is above 72 hours', 'warn', '61 h > 48 h', ('metta-ai/metta',)),
            MonitorState('Stale PR count is above 50', 'alert', '64 > 50', ('metta-ai/metta', 'metta-ai/cogames')),
            MonitorState('PR merge rate is unusual', 'none', 'anomalies() is not evaluated'),
        ]

    def filtered(self, definition: Definition) -> Iterator[tuple[Filter, list[Recorded]]]:
        for request in definition.get('requests') or ():
            for query in request.get('queries') or ():
                yield series(parse_query(query['query']))[0].filter, SERIES

    def slos(self, definition: Definition) -> list[SloState]:
        return [
            SloState('CI success rate at or above 95%', 'ok', 97.25, 95.0, 45.0, '30d'),
            SloState('PR cycle time p90 at or below 48 hours', 'warn', 96.1, 95.0, 22.0, '30d'),
            SloState('Tests passing on main', 'alert', 98.31, 99.9, -1590.0, '30d'),
            SloState('Stale PRs at or below 20', 'none', None, 95.0, None, '30d'),
        ]


RED_ABOVE = [
    {'comparator': '>', 'value': 50, 'palette': 'white_on_red'},
    {'comparator': '>', 'value': 20, 'palette': 'white_on_yellow'},
    {'comparator': '<=', 'value': 20, 'palette': 'white_on_green'},
]
GREEN_ABOVE = [{'comparator': '>=', 'value': 95, 'palette': 'green_on_white'}]
SLOS = {'request_type': 'slo_list', 'query': {'query_string': 'service:metta_checks', 'limit': 10}}
MONITORS = 'tag:("integration:metta-checks")'
BACKGROUND = {'type': 'area', 'yaxis': {'include_zero': False}}


def _at(x: int, y: int, width: int, height: int, **definition: Any) -> dict[str, Any]:
    return {'definition': definition, 'layout': {'x': x, 'y': y, 'width': width, 'height': height}}


def _group(title: str, color: str, box: tuple[int, int, int, int], *widgets: dict[str, Any]) -> dict[str, Any]:
    return _at(
        *box,
        type='group',
        title=title,
        background_color=color,
        show_title=True,
        layout_type='ordered',
        widgets=list(widgets),
    )


def _value(x: int, y: int, title: str, name: str, formats: list | None = None, kind: str = 'area', **more: Any):
    return _at(
        x,
        y,
        3,
        2,
        type='query_value',
        title=title,
        requests=[request(name, conditional_formats=formats or [])],
        timeseries_background={**BACKGROUND, 'type': kind},
        **more,
    )


NOTE = f"""# Velocity

How quickly work **flows** from commit to merge, see the [runbook](https://example.com/runbook?a=1&b=2).

- `metta.github.prs.open` counts *open* PRs
- thresholds are those of the monitors
- shown for $env and the team $team.value, see [their page](https://example.com/$env.value)
- {HOSTILE}

[not a link](javascript:alert(1))
"""

DASHBOARD: dict[str, Any] = {
    'title': 'Metta <Every> Kind & More',
    'description': 'Every kind of widget once, with numbers made by hand. More text.\n\nmanaged by metta-checks: x/y',
    'layout_type': 'ordered',
    'reflow_type': 'fixed',
    'template_variables': [
        {'name': 'env', 'prefix': 'env', 'available_values': ['production', 'staging', 'dev'], 'defaults': ['*']},
        {'name': 'team', 'prefix': 'team', 'available_values': ['red', 'blue'], 'defaults': ['*']},
        {'name': 'scope', 'defaults': ['*']},
    ],
    'template_variable_presets': [
        {'name': 'Production', 'template_variables': [{'name': 'env', 'values': ['production']}]},
        {'name': 'Staging', 'template_variables': [{'name': 'env', 'values': ['staging']}]},
    ],
    'widgets': [
        _group(
            'About',
            'gray',
            (0, 0, 3, 7),
            _at(0, 0, 3, 4, type='note', content=NOTE, background_color='blue', font_size='13'),
            _at(
                0,
                4,
                3,
                2,
                type='note',
                content='**Metta**\nEngineering',
                background_color='vivid_blue',
                font_size='18',
                text_align='center',
                vertical_align='center',
            ),
        ),
        _group(
            'Overview',
            'vivid_blue',
            (3, 0, 9, 7),
            _value(0, 0, 'PRs merged', 'merged'),
            _value(3, 0, 'Stale PRs', 'stale', RED_ABOVE),
            _value(6, 0, 'Success rate', 'success', GREEN_ABOVE, precision=1),
            _value(0, 2, 'Running cost', 'cost', kind='bars'),
            _value(3, 2, 'Runtime', 'runtime'),
            _value(6, 2, 'Unknown', 'none'),
            _at(0, 4, 5, 2, type='slo_list', title='SLOs', requests=[SLOS]),
            _at(5, 4, 4, 2, type='manage_status', title='Monitors', display_format='countsAndList', query=MONITORS),
        ),
        _group(
            'Pull Requests',
            'blue',
            (0, 7, 12, 8),
            _at(
                0,
                0,
                12,
                4,
                type='timeseries',
                title='Cycle time',
                show_legend=True,
                requests=[request('cycle', style={'palette': 'purple'})],
                markers=[
                    {'value': 'y = 48', 'display_type': 'warning dashed', 'label': 'SLO'},
                    {'value': 'y = 72', 'display_type': 'error dashed', 'label': 'Alert'},
                ],
            ),
            _at(0, 4, 6, 3, type='timeseries', title='Open', requests=[request('open', display_type='area')]),
            _at(
                6,
                4,
                6,
                3,
                type='timeseries',
                title='Commits',
                requests=[
                    request('commits', display_type='bars', style={'palette': 'cool'}),
                    request('rate', on_right_yaxis=True, style={'palette': 'warm', 'line_width': 'thick'}),
                ],
            ),
        ),
        _group(
            'Jobs And Storage',
            'vivid_green',
            (0, 15, 6, 7),
            _at(
                0,
                0,
                6,
                3,
                type='timeseries',
                title='Outcomes',
                requests=[request('states', display_type='bars', style={'palette': 'semantic'})],
            ),
            _at(0, 3, 6, 3, type='timeseries', title='Storage', yaxis={'scale': 'log'}, requests=[request('disk')]),
        ),
        _group(
            'Lists',
            'vivid_purple',
            (6, 15, 6, 7),
            _at(0, 0, 3, 3, type='toplist', title='Failures', requests=[request('failures')]),
            _at(
                3,
                0,
                3,
                3,
                type='check_status',
                title='Connections',
                check='metta.can_connect',
                grouping='cluster',
                tags=['$env'],
            ),
            _at(
                0,
                3,
                6,
                3,
                type='query_table',
                title='By repository',
                requests=[
                    request(
                        'table',
                        formulas=[
                            {'formula': 'a', 'cell_display_mode': 'bar'},
                            {'formula': 'b', 'conditional_formats': RED_ABOVE},
                            {'formula': 'c'},
                        ],
                    )
                ],
            ),
        ),
        _group(
            'Odd Ones',
            'vivid_orange',
            (0, 22, 12, 3),
            _at(0, 0, 3, 2, type='change', title='Change', requests=[request('shift', increase_good=True)]),
            _at(3, 0, 3, 2, type='timeseries', title='Broken', requests=[request('broken')]),
            _at(6, 0, 3, 2, type='timeseries', title='Nothing', requests=[request('none')]),
            _at(9, 0, 3, 2, type='distribution', title='Not ours', requests=[request('none')]),
        ),
    ],
}

BOARD = Asset('dashboard', 'every_kind', DASHBOARD)


def origin() -> Origin:
    """Return the data of the page."""
    values = {'env': ['dev', 'production', 'staging']}
    return Origin(Hand, lambda tag: values.get(tag, []), Stamp('Sample data', START, END, 7200, 'made by hand'))


def choose(page, variable: str, *values: str) -> None:
    """Choose exactly these values of a template variable; none for all."""
    control = page.locator('details.variable', has=page.get_by_text(f'${variable}', exact=True))
    control.locator('summary').click()
    control.get_by_role('button').click()
    for value in values:
        control.get_by_label(value, exact=True).check()
    page.keyboard.press('Escape')


def widget(page, title: str):
    """A widget of the open board."""
    return page.locator(f'section.w[aria-label="{title}"]')


def box(locator) -> dict[str, float]:
    """Where something stands in the window."""
    return locator.bounding_box()

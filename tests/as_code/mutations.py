"""Changes to real assets that a lint must catch: what is changed, and which rule says so at which place."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from metta_checks.as_code.asset import Asset, walk_widgets

Document = dict[str, Any]
Change = Callable[[Any, Any], None]
# The fields of a Mutation, the last of which may be left out.
Row = tuple[str, str, str, Change, str] | tuple[str, str, str, Change, str, str]


@dataclass(frozen=True)
class Mutation:
    """One change. Paths may begin with the title of a widget in angle brackets: `<Branches>.definition.title`."""

    name: str
    asset: str
    path: str
    change: Change
    rule: str
    # Where the finding points if not at the changed place.
    at: str = ''

    def apply(self, asset: Asset) -> tuple[Asset, str]:
        """The changed asset, and the path at which a finding is expected."""
        document = copy.deepcopy(asset.document)
        expected = resolve(document, self.at or self.path)
        parent, key = _place(document, resolve(document, self.path))
        self.change(parent, key)
        return Asset(asset.kind, asset.key, document), expected


def resolve(document: Document, path: str) -> str:
    """The path with a leading title replaced by that widget's place."""
    match = re.match(r'<([^>]+)>', path)
    if not match:
        return path
    for place, widget in walk_widgets(document):
        if widget['definition'].get('title') == match[1]:
            return place + path[match.end() :]
    raise AssertionError(f'there is no widget {match[1]!r}')


def _place(document: Document, path: str) -> tuple[Any, Any]:
    parts = [int(part) if part.isdigit() else part for part in re.findall(r'[^.\[\]]+', path)]
    place: Any = document
    for part in parts[:-1]:
        place = place[part]
    return place, parts[-1]


def put(value: Any) -> Change:
    """Sets a value, whether there was one or not."""

    def change(parent: Any, key: Any) -> None:
        parent[key] = copy.deepcopy(value)

    return change


def drop(parent: Any, key: Any) -> None:
    """Deletes a key or an item."""
    del parent[key]


def text(old: str, new: str) -> Change:
    """Replaces a part of a text."""

    def change(parent: Any, key: Any) -> None:
        assert old in parent[key], f'{old!r} is not in {parent[key]!r}'
        parent[key] = parent[key].replace(old, new)

    return change


def extra(**keys: Any) -> Change:
    """Adds keys to an object."""

    def change(parent: Any, key: Any) -> None:
        parent[key] |= copy.deepcopy(keys)

    return change


def add(value: Any) -> Change:
    """Appends an item to a list."""

    def change(parent: Any, key: Any) -> None:
        parent[key].append(copy.deepcopy(value))

    return change


V, Q = 'dashboard/engineering_velocity', 'dashboard/code_quality'
HIGH, MAIN, CHANGE = 'monitor/pr_cycle_time_high', 'monitor/ci_failing_on_main', 'monitor/hotfix_revert_spike'
ANOMALY, MERGES = 'monitor/failed_ci_anomaly', 'monitor/merge_rate_anomaly'
CYCLE, CI, PASSING, STALE = 'slo/pr_cycle_time_p90', 'slo/ci_success_rate', 'slo/tests_passing_main', 'slo/stale_prs'
QUERY, OPTIONS = 'definition.query', 'definition.options'
SLICE = 'sli_specification.time_slice'
CURVE = '<Cycle time of PRs>.definition'
FIRST = f'{CURVE}.requests[0].queries[0].query'
OPEN = '<Open PRs>.definition.requests[0]'
SUBSET, STATES = '<Open and stale PRs>.definition', '<Instances by state>.definition'

SCHEMA: list[Row] = [
    ('an unknown key of the dashboard', V, 'descripton', put('x'), 'SCHEMA'),
    ('an unknown key of a widget', V, '<Cycle time of PRs>.layouts', put({}), 'SCHEMA'),
    ('an unknown key of a definition', V, f'{CURVE}.legend', put(True), 'SCHEMA'),
    ('an unknown key of a request', V, f'{OPEN}.agregator', put('last'), 'SCHEMA'),
    ('an unknown key of a query', V, f'{OPEN}.queries[0].agg', put('last'), 'SCHEMA'),
    ('an unknown key of a formula', V, f'{OPEN}.formulas[0].unit', put('hour'), 'SCHEMA'),
    ('an unknown key of a style', V, f'{CURVE}.requests[0].style.color', put('cool'), 'SCHEMA'),
    ('an unknown key of a layout', V, '<Cycle time of PRs>.layout.w', put(3), 'SCHEMA'),
    ('an unknown key of a monitor', HIGH, 'definition.thresholds', put({}), 'SCHEMA'),
    ('an unknown key of the options', HIGH, f'{OPTIONS}.new_groups_delay', put(300), 'SCHEMA'),
    ('an unknown key around a monitor', HIGH, 'name', put('x'), 'SCHEMA'),
    ('an unknown key of an SLO', CYCLE, 'target', put(95), 'SCHEMA'),
    ('an unknown kind of widget', V, f'{CURVE}.type', put('nonsense'), 'SCHEMA'),
    ('an unknown layout', V, 'layout_type', put('grid'), 'SCHEMA'),
    ('an unknown display type', V, f'{CURVE}.requests[0].display_type', put('lines'), 'SCHEMA'),
    ('an unknown response format', V, f'{OPEN}.response_format', put('number'), 'SCHEMA'),
    ('an unknown span of time', V, f'{CURVE}.time', put({'live_span': '2h'}), 'SCHEMA', f'{CURVE}.time.live_span'),
    ('an unknown data source', V, f'{OPEN}.queries[0].data_source', put('metric'), 'SCHEMA'),
    ('an unknown aggregator over time', V, f'{OPEN}.queries[0].aggregator', put('latest'), 'SCHEMA'),
    ('an unknown kind of monitor', HIGH, 'definition.type', put('query alerts'), 'SCHEMA'),
    ('an unknown answer to missing data', HIGH, f'{OPTIONS}.on_missing_data', put('alert'), 'SCHEMA'),
    ('an unknown kind of SLO', CYCLE, 'type', put('timeslice'), 'SCHEMA'),
    ('an unknown timeframe', CYCLE, 'thresholds[0].timeframe', put('14d'), 'SCHEMA'),
    ('a slice of 900 seconds', CYCLE, f'{SLICE}.query_interval_seconds', put(900), 'SCHEMA'),
    ('an unknown comparator', CYCLE, f'{SLICE}.comparator', put('=<'), 'SCHEMA'),
    ('no title', V, 'title', drop, 'SCHEMA'),
    ('no description', V, 'description', drop, 'SCHEMA'),
    ('no template variables', V, 'template_variables', drop, 'SCHEMA'),
    ('no kind of widget', V, f'{CURVE}.type', drop, 'SCHEMA'),
    ('no name of a query', V, f'{OPEN}.queries[0].name', drop, 'SCHEMA'),
    ('no width', V, '<Cycle time of PRs>.layout.width', drop, 'SCHEMA'),
    ('no value of a marker', V, f'{CURVE}.markers[0].value', drop, 'SCHEMA'),
    ('no query of a monitor', HIGH, QUERY, drop, 'SCHEMA'),
    ('no thresholds of an SLO', CYCLE, 'thresholds', drop, 'SCHEMA'),
    ('no target', CYCLE, 'thresholds[1].target', drop, 'SCHEMA'),
    ('no date', HIGH, 'created_at', drop, 'SCHEMA'),
    ('version 1', HIGH, 'version', put(1), 'SCHEMA'),
    ('a width as text', V, '<Cycle time of PRs>.layout.width', put('12'), 'SCHEMA'),
    ('a width with decimals', V, '<Cycle time of PRs>.layout.width', put(12.0), 'SCHEMA'),
    ('a width that is true', V, '<Cycle time of PRs>.layout.width', put(True), 'SCHEMA'),
    ('a negative place', V, '<Cycle time of PRs>.layout.x', put(-1), 'SCHEMA'),
    ('a legend as text', V, f'{CURVE}.show_legend', put('true'), 'SCHEMA'),
    ('widgets as an object', V, 'widgets', put({}), 'SCHEMA'),
    ('a query as an object', V, FIRST, put({}), 'SCHEMA'),
    ('a threshold that is true', HIGH, f'{OPTIONS}.thresholds.critical', put(True), 'SCHEMA'),
    ('a threshold as text', HIGH, f'{OPTIONS}.thresholds.warning', put('48'), 'SCHEMA'),
    ('a target that is true', CYCLE, 'target_threshold', put(True), 'SCHEMA'),
    ('no requests of a query value', V, '<Open PRs>.definition.requests', put([]), 'SCHEMA'),
    (
        'both forms of default',
        V,
        'template_variables[0]',
        extra(default='*'),
        'SCHEMA',
        'template_variables[0].default',
    ),
    ('tags other than teams', V, 'tags', put(['env:production']), 'SCHEMA', 'tags[0]'),
    ('an id of an account', V, '<Cycle time of PRs>.id', put(1234567), 'SCHEMA'),
    ('an author', V, 'author_handle', put('a@example.com'), 'SCHEMA'),
    ('a kind without its indicator', CYCLE, 'type', put('metric'), 'SCHEMA', 'sli_specification.count'),
]

QUERIES: list[Row] = [
    (
        'two series in a query',
        V,
        FIRST,
        put('sum:metta.github.prs.open{*} / sum:metta.github.prs.merged_7d{*}'),
        'MC01',
    ),
    (
        'queries joined by commas',
        V,
        FIRST,
        put('sum:metta.github.prs.open{*}, sum:metta.github.prs.merged_7d{*}'),
        'MC01',
    ),
    ('arithmetic in a query', V, FIRST, put('100 * sum:metta.github.prs.open{*}'), 'MC01'),
    ('the old form of a request', V, f'{OPEN}.q', put('sum:metta.github.prs.open{*}'), 'MC01'),
    ('a broken filter', V, FIRST, text('}', ''), 'MC02'),
    ('an unknown aggregator', V, FIRST, text('max:', 'maximum:'), 'MC02'),
    ('an unknown function', V, f'{OPEN}.formulas[0].formula', put('moving_average(github_prs_open)'), 'MC02'),
    ('an unknown modifier', V, FIRST, text('}', '}.rollups(avg, 60)'), 'MC02'),
    ('a broken formula', V, f'{OPEN}.formulas[0].formula', put('100 * (a'), 'MC02'),
    ('a series in a formula', V, f'{OPEN}.formulas[0].formula', put('sum:metta.github.prs.open{*}'), 'MC02'),
    ('a broken monitor query', HIGH, QUERY, text(' > 72', ''), 'MC02'),
    ('a monitor query without window', HIGH, QUERY, text('last_4h', '4h'), 'MC02'),
    ('a broken query of an SLO', CYCLE, f'{SLICE}.query.queries[0].query', text('{', '('), 'MC02'),
    ('an unknown metric', V, FIRST, text('cycle_time', 'cycel_time'), 'MC03'),
    ('an unknown metric in a monitor', HIGH, QUERY, text('prs.', 'pr.'), 'MC03'),
    ('an unknown metric in an SLO', CYCLE, f'{SLICE}.query.queries[0].query', text('metta.', 'meta.'), 'MC03'),
    ('filtered by a tag that it has not', V, FIRST, text('}', ',workflow:build}'), 'MC04'),
    ('grouped by a tag that it has not', V, FIRST, text('}', '} by {branch}'), 'MC04'),
    ('filtered by a variable that is not', V, FIRST, text('$repo', '$repository'), 'MC04'),
    ('filtered by a bare word', V, FIRST, text('}', ',production}'), 'MC04'),
    ('a membership of a tag that it has not', V, FIRST, text('}', ',team IN (a,b)}'), 'MC04'),
    ('a monitor grouped by a tag that it has not', HIGH, QUERY, text('{repo,env}', '{repo,env,author}'), 'MC04'),
    ('a template variable in a monitor', HIGH, QUERY, text('{*}', '{$env}'), 'MC04'),
    ('monitors of nobody', V, '<Alerts>.definition.query', put('tag:("integration:metta")'), 'MC04'),
    (
        'objectives of nobody',
        Q,
        '<Objectives>.definition.requests[0].query.query_string',
        put('service:metta'),
        'MC04',
    ),
    ('an unknown service check', V, '<Connections>.definition.check', put('metta.connect'), 'MC04'),
    ('a service check by a tag that it has not', V, '<Connections>.definition.group_by[0]', put('repo'), 'MC04'),
    ('a formula that names no query', V, f'{OPEN}.formulas[0].formula', put('github_prs_opne'), 'MC05'),
    (
        'a query that no formula uses',
        V,
        f'{OPEN}.queries',
        add({'data_source': 'metrics', 'name': 'spare', 'query': 'sum:metta.github.prs.merged_7d{$env,$org,$repo}'}),
        'MC05',
        f'{OPEN}.queries[1].name',
    ),
    ('a formula of an SLO that names no query', CYCLE, f'{SLICE}.query.formulas[0].formula', put('p99'), 'MC05'),
    ('events that name no query', CI, 'sli_specification.count.good_events_formula.formula', put('fine'), 'MC05'),
    ('zeros for gaps', V, FIRST, text('}', '}.fill(zero)'), 'MC08'),
    ('zeros by function', V, f'{OPEN}.formulas[0].formula', put('default_zero(github_prs_open)'), 'MC08'),
    ('a gauge read as a count', V, FIRST, text('}', '}.as_count()'), 'MC08'),
    ('a gauge added up over time', V, f'{OPEN}.queries[0].aggregator', put('sum'), 'MC08'),
    ('a gauge added up in a rollup', V, FIRST, text('}', '}.rollup(sum, 3600)'), 'MC08'),
]

LAYOUT: list[Row] = [
    ('overlapping widgets', V, '<Open PRs>.layout.x', put(1), 'MC06', '<Open PRs>.layout'),
    ('overlapping groups', V, '<Activity>.layout.y', put(12), 'MC06', '<Activity>.layout'),
    ('thirteen columns', V, '<Cycle time of PRs>.layout.width', put(13), 'MC06'),
    ('beyond the group', V, '<Alerts>.layout.width', put(7), 'MC06'),
    ('beyond the page', V, '<Overview>.layout.width', put(10), 'MC06'),
    ('a group too low', V, '<Activity>.layout.height', put(3), 'MC06'),
    ('a group too high', V, '<By Repository>.layout.height', put(9), 'MC06'),
    ('a widget of no width', V, '<Cycle time of PRs>.layout.width', put(0), 'MC06'),
    ('a widget without place', V, '<Cycle time of PRs>.layout', drop, 'MC06'),
    ('a hole in a row', V, '<Cycle time of PRs>.layout.width', put(9), 'DG12', '<Pull Requests>'),
    ('a narrow timeseries', V, '<Time to merge>.layout.width', put(3), 'DG05'),
]

STYLE: list[Row] = [
    ('an unknown palette', V, f'{CURVE}.requests[0].style.palette', put('dog_clasic'), 'MC07'),
    (
        'an unknown palette of a formula',
        V,
        f'{CURVE}.requests[0].formulas[0].style',
        put({'palette': 'pastel'}),
        'MC07',
        f'{CURVE}.requests[0].formulas[0].style.palette',
    ),
    ('an unknown color of a group', V, '<Activity>.definition.background_color', put('vivid_teal'), 'MC07'),
    ('an unknown kind of marker', V, f'{CURVE}.markers[0].display_type', put('danger dashed'), 'MC07'),
    ('a marker without y', V, f'{CURVE}.markers[0].value', put('48 hours'), 'MC07'),
    ('no background', V, '<Open PRs>.definition.timeseries_background', drop, 'DG06'),
    ('no alias', V, f'{CURVE}.requests[0].formulas[0].alias', drop, 'DG08'),
    ('a legend of fixed form', V, f'{CURVE}.legend_layout', put('vertical'), 'DG08'),
    ('a legend unlike its neighbor', V, '<Open and stale PRs>.definition.show_legend', put(False), 'DG08'),
    ('a gray group', V, '<Activity>.definition.background_color', put('gray'), 'DG09'),
    ('a group without color', V, '<Activity>.definition.background_color', drop, 'DG09'),
    ('a share as an area', Q, '<Reviewed share, 7 days>.definition.requests[0].display_type', put('area'), 'DG10'),
    ('thresholds that are not shown', V, f'{CURVE}.markers', drop, 'DG10'),
    ('formats that are gone', V, '<Stale PRs>.definition.requests[0].conditional_formats', drop, 'DG10'),
]

STRUCTURE: list[Row] = [
    ('a title without the name', V, 'title', put('Engineering Velocity'), 'DG01'),
    ('a title with a hyphen', V, 'title', text(' Velocity', '-Velocity'), 'DG01'),
    ('no About', V, 'widgets[0]', drop, 'DG02'),
    ('an About at full width', V, '<About>.layout.width', put(12), 'DG02'),
    (
        'data in About',
        V,
        '<About>.definition.widgets[0].definition.type',
        put('query_value'),
        'DG02',
        '<About>.definition.widgets[0].definition',
    ),
    (
        'About without words',
        V,
        '<About>.definition.widgets[0].definition.content',
        put(' '),
        'DG02',
        '<About>.definition',
    ),
    ('an Overview called otherwise', V, '<Overview>.definition.title', put('Summary'), 'DG03', 'widgets'),
    ('an Overview further down', V, '<Overview>.layout.y', put(40), 'DG03'),
    (
        'a widget outside of groups',
        V,
        'widgets',
        add({'definition': {'type': 'note', 'content': 'x'}, 'layout': {'x': 0, 'y': 90, 'width': 12, 'height': 1}}),
        'DG04',
        'widgets[6]',
    ),
    ('a group without title', V, '<Activity>.definition.title', put(''), 'DG04'),
    ('a group in lower case', V, '<Activity>.definition.title', put('Recent activity'), 'DG04'),
    ('a widget in title case', V, f'{CURVE}.title', put('Cycle Time'), 'DG04'),
    ('a number of', V, f'{CURVE}.title', put('Number of hours'), 'DG07'),
    ('a title with the name', V, f'{CURVE}.title', put('Cycle time of Metta'), 'DG07'),
    ('a title with the unit', V, f'{CURVE}.title', put('Cycle time (hours)'), 'DG07'),
    ('a title with that of its group', V, f'{CURVE}.title', put('Pull requests in work'), 'DG07'),
    ('a graph that does not listen', V, FIRST, text('$env,', ''), 'DG11'),
    ('a graph of one environment', V, FIRST, text('$env', 'env:production'), 'DG11'),
    ('a status that does not listen', V, '<Connections>.definition.tags', put(['*']), 'DG11'),
    ('a preset of no variable', V, 'template_variable_presets[0].template_variables[0].name', put('stage'), 'DG11'),
    (
        'a variable twice',
        V,
        'template_variables',
        add({'name': 'env', 'prefix': 'env', 'defaults': ['*']}),
        'DG11',
        'template_variables[4].name',
    ),
    (
        'a variable for nobody',
        V,
        'template_variables',
        add({'name': 'team', 'prefix': 'team', 'defaults': ['*']}),
        'DG11',
        'template_variables[4]',
    ),
]

# Figures that are drawn or labeled as something else.
TRUTH: list[Row] = [
    (
        'a subset stacked on its set',
        V,
        f'{SUBSET}.requests[1].display_type',
        put('area'),
        'MC12',
        f'{SUBSET}.requests[1].queries[0].query',
    ),
    (
        'a part stacked on the whole',
        'dashboard/ec2_cost',
        f'{STATES}.requests[0].queries[1].query',
        text('instances.stopped', 'instances.total'),
        'MC12',
    ),
    (
        'the same value stacked twice',
        'dashboard/ec2_cost',
        f'{STATES}.requests[0].queries[1].query',
        text('instances.stopped', 'instances.running'),
        'MC12',
    ),
    (
        'groups that share members, stacked',
        'dashboard/kubernetes_efficiency',
        '<Containers wait for>.definition.requests[0].display_type',
        put('area'),
        'MC12',
        '<Containers wait for>.definition.requests[0].queries[0].query',
    ),
    (
        'a rolling total as bars',
        V,
        '<Lines changed, 7 days>.definition.requests[0].display_type',
        put('bars'),
        'MC13',
        '<Lines changed, 7 days>.definition.requests[0].queries[0].query',
    ),
    (
        'a level as bars',
        'dashboard/ec2_cost',
        f'{STATES}.requests[0].display_type',
        put('bars'),
        'MC13',
        f'{STATES}.requests[0].queries[0].query',
    ),
    (
        'a sum of largest values',
        'dashboard/kubernetes_efficiency',
        '<Largest free block of GPUs>.definition.requests[0].queries[0].query',
        text('max:', 'sum:'),
        'MC16',
    ),
    (
        'a number over another time than the page',
        'dashboard/system_health',
        '<Failed CI runs, 24 h>.definition.title',
        put('Failed CI runs'),
        'MC14',
    ),
    (
        'a number that says another time',
        'dashboard/system_health',
        '<Failed CI runs, 24 h>.definition.title',
        put('Failed CI runs, 4 h'),
        'MC14',
    ),
    (
        'a page that no longer says its time',
        Q,
        'description',
        put('Reliability of main.'),
        'MC14',
        '<CI run duration>.definition.title',
    ),
]

THRESHOLDS: list[Row] = [
    ('a marker unlike the SLO', V, f'{CURVE}.markers[0].value', put('y = 50'), 'MC09'),
    ('a marker unlike the monitor', V, f'{CURVE}.markers[1].value', put('y = 80'), 'MC09'),
    (
        'a format unlike the monitor',
        V,
        '<Stale PRs>.definition.requests[0].conditional_formats[0].value',
        put(60),
        'MC09',
    ),
    (
        'a format of the wrong side',
        V,
        '<Stale PRs>.definition.requests[0].conditional_formats[0].comparator',
        put('<'),
        'MC09',
    ),
    ('an SLO of the wrong side', CYCLE, f'{SLICE}.comparator', put('>='), 'MC09'),
    ('a monitor of the wrong side', MAIN, QUERY, text('< 1', '> 1'), 'MC09'),
    ('an SLO of the wrong side, high is good', PASSING, f'{SLICE}.comparator', put('<'), 'MC09'),
]

MONITORS: list[Row] = [
    ('a critical threshold unlike the query', HIGH, f'{OPTIONS}.thresholds.critical', put(80), 'MC10'),
    (
        'a query unlike its critical threshold',
        HIGH,
        QUERY,
        text('> 72', '> 73'),
        'MC10',
        f'{OPTIONS}.thresholds.critical',
    ),
    ('no critical threshold', HIGH, f'{OPTIONS}.thresholds.critical', drop, 'MC10'),
    ('a warning beyond critical', HIGH, f'{OPTIONS}.thresholds.warning', put(100), 'MC10'),
    ('a recovery beyond critical', HIGH, f'{OPTIONS}.thresholds.critical_recovery', put(90), 'MC10'),
    ('a warning on the wrong side', MAIN, f'{OPTIONS}.thresholds.warning', put(0), 'MC10'),
    ('equality', MAIN, QUERY, text('< 1', '== 1'), 'MC10'),
    ('a shift that is not offered', CHANGE, QUERY, text('1d_ago', '2d_ago'), 'MC10'),
    (
        'series grouped differently',
        CHANGE,
        QUERY,
        text('commits.hotfix{*} by {repo,env}', 'commits.hotfix{*} by {env}'),
        'MC10',
    ),
    ('a long description', HIGH, 'description', put('x' * 301), 'MC10'),
    ('no description of a monitor', HIGH, 'description', put(''), 'MC10'),
    ('a variable in the title', HIGH, 'title', text('PR', 'PR of {{repo.name}}'), 'MC10'),
    ('a title that the name has not', HIGH, 'title', put('Slow'), 'MC10', 'definition.name'),
    ('no tag of the integration', HIGH, 'tags', put(['team:devops']), 'MC10'),
    ('no tag of the integration on the monitor', HIGH, 'definition.tags', put([]), 'MC10'),
    ('a deprecated kind', HIGH, 'definition.type', put('metric alert'), 'MC10'),
    ('a name by a tag that is not grouped', HIGH, 'definition.name', text('repo.name', 'org.name'), 'MC10'),
    ('a message by a tag that is not grouped', HIGH, 'definition.message', text('repo.name', 'host.name'), 'MC10'),
    ('a block that is not closed', HIGH, 'definition.message', text('{{/is_alert}}', ''), 'MC10'),
    ('two delays', HIGH, f'{OPTIONS}.new_host_delay', put(300), 'MC10'),
    ('two answers to missing data', HIGH, f'{OPTIONS}.notify_no_data', put(True), 'MC10'),
    ('a window that must be full', HIGH, f'{OPTIONS}.require_full_window', put(True), 'MC10'),
    ('a timeout of two days', HIGH, f'{OPTIONS}.timeout_h', put(48), 'MC10'),
    ('priority 6', HIGH, 'definition.priority', put(6), 'MC10'),
    ('an unlike trigger window', ANOMALY, f'{OPTIONS}.threshold_windows.trigger_window', put('last_1h'), 'MC10'),
    ('no recovery window', ANOMALY, f'{OPTIONS}.threshold_windows.recovery_window', drop, 'MC10'),
    (
        'no windows',
        ANOMALY,
        f'{OPTIONS}.threshold_windows',
        drop,
        'MC10',
        f'{OPTIONS}.threshold_windows.trigger_window',
    ),
    ('windows without anomalies', HIGH, f'{OPTIONS}.threshold_windows', put({'trigger_window': 'last_1h'}), 'MC10'),
    ('a long interval', ANOMALY, QUERY, text('interval=300', 'interval=3600'), 'MC10'),
    ('a short query window', ANOMALY, QUERY, text('last_12h', 'last_3h'), 'MC10'),
    ('an unknown algorithm', ANOMALY, QUERY, text("'agile'", "'clever'"), 'MC10'),
    ('an unknown direction', MERGES, QUERY, text("'both'", "'sideways'"), 'MC10'),
    ('no alert window', ANOMALY, QUERY, text("alert_window='last_2h', ", ''), 'MC10'),
]

REACH, STALE_MONITOR = 'monitor/source_unreachable', 'monitor/stale_prs_high'
MESSAGE = 'definition.message'

REFUSED: list[Row] = [
    ('a request of nothing but style', V, f'{CURVE}.requests[0]', put({'style': {'palette': 'cool'}}), 'SCHEMA'),
    ('an empty default', V, 'template_variables[0].defaults', put(['']), 'SCHEMA', 'template_variables[0].defaults[0]'),
    (
        'a preset with value and values',
        V,
        'template_variable_presets[0].template_variables[0].value',
        put('production'),
        'SCHEMA',
    ),
    (
        'an empty value of a preset',
        V,
        'template_variable_presets[0].template_variables[0].values',
        put(['']),
        'SCHEMA',
        'template_variable_presets[0].template_variables[0].values[0]',
    ),
    (
        'an empty value to choose from',
        V,
        'template_variables[0].available_values',
        put(['x', '']),
        'SCHEMA',
        'template_variables[0].available_values[1]',
    ),
    ('a free layout that reflows', V, 'layout_type', put('free'), 'SCHEMA', 'reflow_type'),
    ('places in an automatic layout', V, 'reflow_type', put('auto'), 'SCHEMA', 'widgets[0].layout'),
    ('an SLO of no monitors', CYCLE, 'type', put('monitor'), 'SCHEMA', 'monitor_ids'),
    ('monitors of another SLO', CYCLE, 'monitor_ids', put([1]), 'SCHEMA'),
    ('a log monitor of a metric', HIGH, 'definition.type', put('log alert'), 'SCHEMA', QUERY),
    ('a service check of a metric', HIGH, 'definition.type', put('service check'), 'SCHEMA', QUERY),
    ('a composite of a metric', HIGH, 'definition.type', put('composite'), 'SCHEMA', QUERY),
    (
        'a search of logs over three days',
        HIGH,
        'definition',
        extra(type='log alert', query='logs("x").index("*").rollup("count").last("3d") > 72'),
        'SCHEMA',
        QUERY,
    ),
    ('notified by no group', HIGH, f'{OPTIONS}.notify_by', put(['repo', 'host']), 'SCHEMA', f'{OPTIONS}.notify_by[1]'),
    ('groups remembered for four days', HIGH, f'{OPTIONS}.group_retention_duration', put('4d'), 'SCHEMA'),
    ('groups of a metric remembered', HIGH, f'{OPTIONS}.group_retention_duration', put('2d'), 'SCHEMA'),
    ('a window of no minutes', HIGH, QUERY, text('last_4h', 'last_0m'), 'SCHEMA'),
    ('a window of two months', HIGH, QUERY, text('last_4h', 'last_9w'), 'SCHEMA'),
    (
        'resolved twice',
        HIGH,
        OPTIONS,
        extra(on_missing_data='resolve', timeout_h=4),
        'SCHEMA',
        f'{OPTIONS}.timeout_h',
    ),
]

SAYINGS: list[Row] = [
    ('no text for a warning', HIGH, MESSAGE, text('#is_warning', '#is_recovery'), 'MC15'),
    ('no text for missing data', MAIN, MESSAGE, text('#is_no_data', '#is_recovery'), 'MC15'),
    ('no text for missing data of a service check', REACH, MESSAGE, text('#is_no_data', '#is_alert'), 'MC15'),
    ('no text for a recovery', ANOMALY, MESSAGE, text('#is_recovery', '#is_alert_recovery'), 'MC15'),
    ('no text for an alert', MERGES, MESSAGE, text('#is_alert', '#is_warning'), 'MC15'),
    ('a recipient in place of a text', STALE_MONITOR, MESSAGE, put('{{#is_alert}}x{{/is_alert}} @slack-ops'), 'MC15'),
    ('a warning without a text', MAIN, f'{OPTIONS}.thresholds.warning', put(2), 'MC15', MESSAGE),
    ('missing data without a text', MAIN, MESSAGE, put('{{^is_no_data}}Look.{{/is_no_data}}'), 'MC15'),
    ('a value of missing data', MAIN, MESSAGE, text('so this monitor', 'last {{value}}, so this monitor'), 'MC15'),
    ('no team', HIGH, 'definition.tags', put(['integration:metta-checks']), 'MC10'),
]

CHECKS: list[Row] = [
    ('a check query without an end', REACH, QUERY, text('.count_by_status()', ''), 'MC02'),
    ('a check without quotes', REACH, QUERY, text('"metta.can_connect"', 'metta.can_connect'), 'MC02'),
    ('a check that does not exist', REACH, QUERY, text('can_connect', 'can_conect'), 'MC04'),
    ('a check by a tag that it lacks', REACH, QUERY, text('"env")', '"host")'), 'MC04'),
    ('fewer statuses than a threshold', REACH, QUERY, text('last(76)', 'last(75)'), 'MC10'),
    ('more statuses than Datadog keeps', REACH, QUERY, text('last(76)', 'last(101)'), 'MC10'),
    ('a threshold of half a status', REACH, f'{OPTIONS}.thresholds.critical', put(0.5), 'MC10'),
    ('an option of values', REACH, f'{OPTIONS}.on_missing_data', put('show_no_data'), 'MC10'),
    ('no time without data', REACH, f'{OPTIONS}.no_data_timeframe', drop, 'MC10'),
    ('a message by a tag of no group', REACH, MESSAGE, text('{{env.name}}', '{{host.name}}'), 'MC10'),
]

SLOS: list[Row] = [
    ('a target of 100', CYCLE, 'thresholds[0].target', put(100), 'MC10'),
    ('a target of 0', CYCLE, 'thresholds[0].target', put(0), 'MC10'),
    ('a warning below its target', CYCLE, 'thresholds[0].warning', put(90), 'MC10'),
    ('a warning of 100', CYCLE, 'thresholds[0].warning', put(100), 'MC10'),
    ('an outer target unlike the inner', CYCLE, 'target_threshold', put(96), 'MC10'),
    ('an outer warning below the target', CYCLE, 'warning_threshold', put(94), 'MC10'),
    ('a timeframe without threshold', CYCLE, 'timeframe', put('90d'), 'MC10'),
    ('a timeframe twice', CYCLE, 'thresholds[1].timeframe', put('7d'), 'MC10'),
    ('no tag to find it by', STALE, 'tags', put(['team:devops', 'managed_by:metta_checks']), 'MC10'),
    ('a tag with capitals', STALE, 'tags[1]', put('team:DevOps'), 'MC10'),
    ('two formulas in a slice', CYCLE, f'{SLICE}.query.formulas', add({'formula': 'p90 / 2'}), 'MC10'),
    (
        'a gauge counted as events',
        CI,
        'sli_specification.count.queries[0].query',
        text('ci.runs{', 'ci.runs_7d{'),
        'MC10',
    ),
]

MUTATIONS = [
    Mutation(*one)
    for one in (
        *(*SCHEMA, *QUERIES, *LAYOUT, *STYLE, *STRUCTURE, *TRUTH, *THRESHOLDS),
        *(*MONITORS, *REFUSED, *SAYINGS, *CHECKS, *SLOS),
    )
]

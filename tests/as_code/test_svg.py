"""Drawing without a browser: elements, paths, scales, colors, Markdown."""

from __future__ import annotations

import html
import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from metta_checks.as_code.preview import chart, markdown, markers, palette, scale, svg
from metta_checks.as_code.preview.chart import ChartOptions
from metta_checks.as_code.preview.choices import choices
from metta_checks.as_code.preview.drawn import Drawn
from metta_checks.as_code.preview.result import Line
from metta_checks.as_code.preview.svg import Markup, tag
from metta_checks.as_code.preview.texts import with_values

HOUR = 3600
DAY = 24 * HOUR
WINDOW = (0.0, float(DAY))


def line(*values: float | None, label: str = 'a', unit: str = '', step: int = HOUR) -> Line:
    return Line(label, {}, tuple((index * step, value) for index, value in enumerate(values)), unit)


def paths(markup: str, class_: str) -> list[str]:
    return re.findall(rf'<path d="([^"]*)" class="{class_}"', markup)


# Elements.


def test_an_element_escapes_its_content_and_attributes():
    element = tag('span', '<b>', Markup('<i></i>'), None, title='"<&', hidden=False, data_x=True)
    assert element == '<span title="&quot;&lt;&amp;" data-x>&lt;b&gt;<i></i></span>'


@given(st.text())
def test_text_comes_back_as_it_was(text):
    class Reader(HTMLParser):
        found = ''
        tags = 0

        def handle_data(self, data):
            self.found += data

        def handle_starttag(self, tag, attributes):
            self.tags += 1
            assert dict(attributes) == ({'title': text} if text else {})

    reader = Reader()
    reader.feed(tag('span', text, title=text))
    reader.close()
    # HTML knows no carriage return and no null of its own.
    assert reader.found.replace('\r', '\n') == text.replace('\r', '\n')
    assert reader.tags == 1


# Paths.


def test_a_path_goes_through_its_points_in_relative_steps():
    assert svg.line_path([[(0, 600), (10, 590), (20, 595)]]) == 'M0 600l10-10 10 5'


def test_a_point_alone_is_a_dot():
    assert svg.line_path([[(5, 7)]]) == 'M5 7h0'


def test_an_area_is_closed_along_its_bottom():
    assert svg.area_path([([(0, 10), (5, 20)], [(0, 600), (5, 600)])]) == 'M0 10l5 10 0 580 -5 0z'


def test_bars_of_no_height_are_left_out():
    assert svg.bar_path([(0, 10, 4, 5), (5, 10, 4, 0)]) == 'M0 10h4v5h-4z'


# Charts.


def test_a_gap_stays_open():
    drawn = chart.timeseries([Drawn(line(1, 2, None, 4, 5))], WINDOW)
    (path,) = paths(drawn, 'line')
    assert path.count('M') == 2


def test_missing_points_are_a_gap_too():
    holed = Line('a', {}, tuple((hour * HOUR, 1.0) for hour in (0, 1, 2, 9, 10)))
    (path,) = paths(chart.timeseries([Drawn(holed)], WINDOW), 'line')
    assert path.count('M') == 2


def test_bars_stack():
    drawn = chart.timeseries([Drawn(line(1, 1), 'bars'), Drawn(line(3, 0), 'bars')], WINDOW)
    lower, upper = paths(drawn, 'bars')
    assert lower.count('M') == 2
    # The second bar of the second series is of no height.
    assert upper.count('M') == 1
    # The axis holds the sum: four fills the plot, one a quarter of it.
    assert f'v{svg.HEIGHT // 4}h' in lower
    assert f'v{svg.HEIGHT * 3 // 4}h' in upper


def test_what_is_negative_grows_downwards():
    drawn = chart.timeseries([Drawn(line(2, 2), 'bars'), Drawn(line(-2, -2), 'bars')], WINDOW)
    for path in paths(drawn, 'bars'):
        assert f'v{svg.HEIGHT // 2}h' in path


def test_areas_stand_on_one_another():
    drawn = chart.timeseries([Drawn(line(1, 1), 'area'), Drawn(line(1, 1), 'area')], WINDOW)
    lower, upper = paths(drawn, 'area')
    assert lower.startswith('M0 300l')
    assert upper.startswith('M0 0l')
    assert len(paths(drawn, 'line')) == 2


def test_a_log_axis_has_powers_of_ten():
    axis = scale.axis([3, 8_000], log=True)
    assert axis.ticks == (1, 10, 100, 1000, 10_000)
    assert axis.place(100) == pytest.approx(0.5)
    assert axis.place(0) == 0


def test_markers_carry_their_label_and_color():
    marks = markers.marks(
        [
            {'value': 'y = 5', 'display_type': 'error dashed', 'label': 'Alert <1>'},
            {'value': 'y > 3', 'display_type': 'warning solid'},
            {'value': '1 < y < 2', 'display_type': 'ok'},
            {'value': 'nonsense'},
        ]
    )
    assert [(mark.value, mark.low, mark.hue, mark.dash) for mark in marks] == [
        (5, None, 'red', 'dashed'),
        (3, None, 'amber', 'solid'),
        (2, 1, 'green', 'solid'),
    ]
    drawn = chart.timeseries([Drawn(line(1, 4))], WINDOW, ChartOptions(markers=marks))
    assert 'Alert &lt;1&gt;' in drawn
    assert 'y = 3' in drawn
    assert drawn.count('class="marker"') == 2
    assert drawn.count('class="band"') == 1


def test_a_marker_far_above_the_data_is_named_at_the_edge():
    marks = markers.marks([{'value': 'y = 72', 'display_type': 'error', 'label': 'Alert'}])
    drawn = chart.timeseries([Drawn(line(1, 2, unit='hour'))], WINDOW, ChartOptions(markers=marks))
    assert 'class="marker"' not in drawn
    assert '↑ Alert 72\u202fh' in drawn


@pytest.mark.parametrize(
    ('values', 'sides'),
    [((48, 72), ['over', 'over']), ((48, 52), ['over', 'over start']), ((2, 4), ['over', 'over start'])],
)
def test_labels_of_near_markers_make_room_for_each_other(values, sides):
    marks = markers.marks([{'value': f'y = {value}', 'label': f'at {value}'} for value in values])
    drawn = chart.timeseries([Drawn(line(0, 90))], WINDOW, ChartOptions(markers=marks))
    assert re.findall(r'class="mark ([\w ]+)"', drawn) == sides


@pytest.mark.parametrize(('value', 'side'), [(30, 'over'), (52, 'under'), (46, 'over')])
def test_the_label_of_a_marker_hides_no_line(value, side):
    marks = markers.marks([{'value': 'y = 48', 'label': 'SLO: 48 h'}])
    data = [Drawn(line(*[value] * 24)), Drawn(line(0, 90))]
    drawn = chart.timeseries(data, WINDOW, ChartOptions(markers=marks))
    assert re.findall(r'class="mark ([\w ]+)"', drawn) == [side]


def test_the_legend_says_last_average_and_maximum():
    drawn = chart.timeseries(
        [Drawn(line(1, 2, 6, None, unit='hour'))], WINDOW, ChartOptions(legend=('value', 'avg', 'max', 'min', 'sum'))
    )
    texts = re.findall(r'<td class="n (\w+)">([^<]*)</td>', drawn)
    assert texts == [
        ('value', '6\u202fh'),
        ('avg', '3\u202fh'),
        ('max', '6\u202fh'),
        ('min', '1\u202fh'),
        ('sum', '9\u202fh'),
    ]


def test_what_the_script_reads_keeps_gaps_and_steps():
    drawn = chart.timeseries([Drawn(line(1, None, 2.123456789, label='</div>'))], WINDOW)
    (data,) = re.findall(r'data-chart="([^"]*)"', drawn)
    (series,) = json.loads(html.unescape(data))['l']
    assert series['t'] == [0, HOUR]
    assert series['v'] == [1, None, 2.1235]
    assert series['n'] == '</div>'


@given(
    st.lists(st.one_of(st.none(), st.floats(-1e12, 1e12)), min_size=1, max_size=30),
    st.sampled_from(['line', 'area', 'bars']),
    st.booleans(),
)
def test_any_values_can_be_drawn(values, display, log):
    drawn = chart.timeseries(
        [Drawn(line(*values), display)], WINDOW, ChartOptions(left={'scale': 'log' if log else 'linear'})
    )
    assert 'nan' not in drawn
    assert 'inf' not in drawn.replace('infinite', '')


# Scales and units.


@pytest.mark.parametrize(
    ('value', 'unit', 'text'),
    [
        (0, 'hour', '0\u202fh'),
        (40, 'hour', '40\u202fh'),
        (240, 'hour', '10\u202fd'),
        (45, 'second', '45\u202fs'),
        (2700, 'second', '45\u202fmin'),
        (9000, 'second', '2.5\u202fh'),
        (0.25, 'second', '250\u202fms'),
        (90, 'minute', '90\u202fmin'),
        (97.26, 'percent', '97.3%'),
        (12345.6, 'dollar', '$12.3k'),
        (0.5, 'dollar/hour', '$0.5/h'),
        (-3, 'dollar', '-$3'),
        (2048, 'gibibyte', '2\u202fTiB'),
        (1, 'job', '1\u202fjob'),
        (2, 'job', '2\u202fjobs'),
        (3, 'query', '3\u202fqueries'),
        (7, 'commit per user', '7\u202fcommits/user'),
        (1234567, '', '1.23M'),
        (9999, '', '9,999'),
        (0.000123, '', '0.000123'),
        (0.42, 'fraction', '0.42'),
    ],
)
def test_numbers_with_their_units(value, unit, text):
    assert scale.shown(unit, value).text(value) == text


def test_precision_is_kept():
    assert scale.shown('percent', 97.26).number(97.26, 1) == '97.3'
    assert scale.shown('', 3).number(3, 2) == '3.00'


def test_a_list_of_values_is_written_each_in_its_own_unit():
    assert [scale.shown('hour', value).text(value) for value in (0.05, 40, 400)] == [
        '3\u202fmin',
        '40\u202fh',
        '16.7\u202fd',
    ]
    assert scale.shown('hour', 400, fixed=True).text(400) == '400\u202fh'


@pytest.mark.parametrize(
    ('values', 'unit', 'texts'),
    [
        ([0, 66], 'hour', ['0\u202fh', '24\u202fh', '48\u202fh', '72\u202fh']),
        ([0, 2700], 'second', ['0\u202fmin', '15\u202fmin', '30\u202fmin', '45\u202fmin']),
        ([0, 97], 'percent', ['0%', '50%', '100%']),
        ([0, 2], 'job', ['0', '1', '2']),
        ([0, 0], 'job', ['0', '1']),
        ([0, 187], 'commit', ['0', '50', '100', '150', '200']),
    ],
)
def test_ticks_are_pleasant(values, unit, texts):
    axis = scale.axis(values, unit)
    assert [axis.shown.tick(tick) for tick in axis.ticks] == texts


@given(
    st.lists(st.floats(-1e9, 1e9), min_size=1),
    st.sampled_from(['', 'hour', 'second', 'job', 'gibibyte', '=PRs']),
    st.booleans(),
)
@example([1170, 1172], '=PRs', False)
def test_an_axis_holds_its_values(values, unit, zero):
    axis = scale.axis(values, unit, zero=zero)
    # To less than a hundredth of a pixel.
    margin = 1e-6 * (axis.high - axis.low)
    assert axis.low <= min(values) + margin
    assert axis.high >= max(values) - margin
    assert 2 <= len(axis.ticks) <= 12
    assert len({axis.shown.tick(tick) for tick in axis.ticks}) == len(axis.ticks)


def test_limits_that_were_asked_for_are_kept():
    axis = scale.axis([40, 60], 'percent', low=0, high=100)
    assert (axis.low, axis.high) == (0, 100)


@pytest.mark.parametrize('span', [600, HOUR, 4 * HOUR, DAY, 7 * DAY, 30 * DAY, 90 * DAY])
def test_times_have_few_ticks_at_every_level(span):
    ticks = scale.time_ticks(1_763_424_123, 1_763_424_123 + span)
    assert 1 <= sum(tick.level == 0 for tick in ticks) <= 4
    assert 2 <= sum(tick.level <= 1 for tick in ticks) <= 8
    assert len(ticks) <= 14
    places = [tick.place for tick in ticks]
    assert places == sorted(places)


def test_spans_of_time_in_words():
    assert scale.duration_text(7 * DAY) == '7 d'
    assert scale.duration_text(2 * DAY + 3 * HOUR + 59) == '2 d 3 h'
    assert scale.duration_text(0) == '0 s'
    assert scale.date_text(1_763_424_000) == '18 Nov 2025, 00:00'


# Colors.


def _luminance(color: str) -> float:
    channels = [int(color[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


GROUNDS = ('#ffffff', '#1b2029')


@pytest.mark.parametrize('theme', [0, 1])
def test_colors_can_be_told_from_their_ground(theme):
    for name, pairs in palette.SERIES.items():
        for pair in pairs:
            assert contrast(pair[theme], GROUNDS[theme]) >= 3, (name, pair)
    for name, pair in palette.TEXTS.items():
        assert contrast(pair[theme], GROUNDS[theme]) >= 4.5, name
    for name, pair in {**palette.FILLS, **palette.GROUPS}.items():
        assert contrast(pair[theme], '#ffffff') >= 4.5, name


def test_palettes_have_no_color_twice():
    for name, pairs in palette.SERIES.items():
        for theme in (0, 1):
            assert len({pair[theme] for pair in pairs}) == len(pairs), name


def test_the_semantic_palette_knows_what_words_mean():
    colors = palette.series_colors('semantic', ['Succeeded', 'failed', 'metta-ai/metta', 'passenger'])
    assert colors[:2] == ['var(--hue-green)', 'var(--hue-red)']
    assert all('classic' in color for color in colors[2:])


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('white_on_red', ('red', True)),
        ('black_on_light_yellow', ('amber', True)),
        ('green_on_white', ('green', False)),
        ('nonsense', None),
    ],
)
def test_conditional_palettes(name, expected):
    assert palette.conditional(name) == expected


def test_every_variable_that_is_named_is_declared():
    declared = set(re.findall(r'--([\w-]+):', palette.css()))
    for color in (
        palette.group_color('vivid_blue'),
        palette.group_color('unknown'),
        palette.note_color('vivid_pink'),
        palette.note_color('unknown'),
        *palette.series_colors('dog_classic', ['a'] * 20),
        *palette.series_colors('unknown', ['a']),
    ):
        named = re.fullmatch(r'var\(--([\w-]+)\)', color)
        assert named
        assert named[1] in declared


# Markdown.


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('# Title', '<h3>Title</h3>'),
        ('one\ntwo\n\nthree', '<p>one<br>two</p><p>three</p>'),
        ('**a** and *b* and `c*d*`', '<p><strong>a</strong> and <em>b</em> and <code>c*d*</code></p>'),
        ('snake_case_name', '<p>snake_case_name</p>'),
        ('- a\n- b\n  1. c', '<ul><li>a</li><li>b<ol><li>c</li></ol></li></ul>'),
        ('<img src=x onerror=alert(1)>', '<p>&lt;img src=x onerror=alert(1)&gt;</p>'),
        ('[x](javascript:alert)', '<p><span>x</span></p>'),
        ('![logo](https://example.com/l.png)', '<p><span class="image">logo</span></p>'),
        (
            '[a](https://e.com/?a=1&b=2)',
            '<p><a href="https://e.com/?a=1&amp;b=2" rel="noopener noreferrer" target="_blank">a</a></p>',
        ),
        (
            '| a | b |\n| --- | --- |\n| 1 | **2** |',
            (
                '<table><thead><tr><th scope="col">a</th><th scope="col">b</th></tr></thead>'
                '<tbody><tr><td>1</td><td><strong>2</strong></td></tr></tbody></table>'
            ),
        ),
        ('```\n<x>\n```', '<pre><code>&lt;x&gt;</code></pre>'),
        ('> a', '<blockquote><p>a</p></blockquote>'),
        ('---', '<hr>'),
    ],
)
def test_markdown(text, expected):
    assert markdown.render(text) == expected


@given(st.text(alphabet='ab<>&"\'*_`[]()!#-|\n 1.~:/', max_size=80))
def test_markdown_never_lets_markup_through(text):
    known = {'h3', 'h4', 'h5', 'h6', 'p', 'br', 'strong', 'em', 's', 'code', 'pre', 'a', 'span', 'ul', 'ol', 'li', 'hr'}
    known |= {'blockquote', 'table', 'thead', 'tbody', 'tr', 'th', 'td'}

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attributes):
            assert tag in known
            assert all(name in ('href', 'rel', 'target', 'class', 'scope', 'start') for name, _ in attributes)

    reader = Reader()
    reader.feed(markdown.render(text))
    reader.close()


def test_the_key_of_a_variable_in_a_text_is_escaped_once():
    offered = choices({'template_variables': [{'name': 'env', 'prefix': 'a&b', 'defaults': ['x<y']}]}, list, {})
    found = with_values(svg.tag('p', 'for $env'), offered)
    assert found == '<p>for <span data-text="0" data-key="a&amp;b:">a&amp;b:x&lt;y</span></p>'

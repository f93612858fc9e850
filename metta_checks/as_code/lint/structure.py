"""DG01 to DG05 and DG07: the parts of an integration dashboard, and their titles."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .findings import Problem, rule
from .view import Box, View, Widget, text

INTEGRATION = 'Metta'
PROSE = ('note', 'image', 'free_text')
STREAMS = ('list_stream', 'log_stream', 'event_stream', 'event_timeline', 'trace_service')
SMALL_WORDS = frozenset(
    ('a', 'an', 'and', 'as', 'at', 'by', 'for', 'in', 'of', 'on', 'or', 'per', 'the', 'to', 'vs', 'with')
)
# Words that keep their capital in the middle of a title.
PROPER_NAMES = frozenset(
    ('Asana', 'Biases', 'Datadog', 'Docker', 'GitHub', 'Kubernetes', 'Metta', 'SkyPilot', 'Spot', 'Weights')
)
_WORD = re.compile(r"[\w$&'/.-]+")


@rule('DG01', own=True)
def titled(view: View) -> Iterator[Problem]:
    """The title names the integration and contains no hyphen (guidelines: title)."""
    title = text(view.body, 'title')
    if INTEGRATION.lower() not in title.lower():
        yield Problem('title', f'{title!r} does not name {INTEGRATION}')
    if '-' in title:
        yield Problem('title', f'{title!r} holds a hyphen')


@rule('DG02', own=True)
def about(view: View) -> Iterator[Problem]:
    """The first group is About: text or a banner, no data, less than the full width (guidelines: About)."""
    first = view.widgets[0] if view.widgets else None
    if first is None or first.kind != 'group' or not first.title.lower().startswith('about'):
        yield Problem(first.path if first else 'widgets', 'the first group must be "About"')
        return
    for one in first.children:
        if one.kind not in PROSE:
            yield Problem(one.inside, f'{one.kind or "a widget"} in About, which holds text, links and pictures only')
    if first.box and first.box.width >= 12:
        yield Problem(
            f'{first.path}.layout.width', 'About takes the full width; leave space for the Overview beside it'
        )
    if not any(text(one.definition, 'content').strip() for one in first.children):
        yield Problem(first.inside, 'About has no note that says what the page shows')


@rule('DG03', own=True)
def overview(view: View) -> Iterator[Problem]:
    """An Overview at the top: at least two of key metrics, service checks and a summary of monitors or SLOs."""
    for group in view.groups:
        if group.title == 'Overview':
            if group.box and group.box.y != 0:
                yield Problem(f'{group.path}.layout.y', f'the Overview belongs at the top, at y = 0, not {group.box.y}')
            kinds = {one.kind for one in group.children}
            parts = (kinds & {'query_value'}, kinds & {'check_status'}, kinds & {'manage_status', 'slo_list', 'slo'})
            if sum(bool(part) for part in parts) < 2:
                yield Problem(
                    group.inside, 'an Overview needs two of: query_value, check_status, manage_status or slo_list'
                )
            return
    yield Problem('widgets', 'there is no group "Overview"')


@rule('DG04', own=True)
def grouped(view: View) -> Iterator[Problem]:
    """Every widget is in a group, every group has a title, and groups are not nested."""
    for one in view.widgets:
        if one.kind != 'group':
            yield Problem(one.path, f'{one.title or one.kind!r} is not in a group')
        elif not one.title:
            yield Problem(f'{one.inside}.title', 'a group without title')
        for inner in one.children:
            if inner.kind == 'group':
                yield Problem(inner.path, 'a group inside a group')


@rule('DG04', 'warning', own=True)
def cased(view: View) -> Iterator[Problem]:
    """Group titles in Title Case, widget titles in sentence case (guidelines: titles)."""
    for one in view.every():
        words = _WORD.findall(one.title)
        for problem in _not_title_case(words) if one.kind == 'group' else _not_sentence_case(view, words):
            yield Problem(f'{one.inside}.title', f'{one.title!r}: {problem}')


def _not_title_case(words: list[str]) -> Iterator[str]:
    wrong = [word for word in words if word[0].islower() and word not in SMALL_WORDS]
    if wrong:
        yield f'group titles are in Title Case, {wrong[0]!r} is not'


def _not_sentence_case(view: View, words: list[str]) -> Iterator[str]:
    if words and words[0][0].islower():
        yield 'begins with a lower-case letter'
    for word in words[1:]:
        if word[0].isupper() and word[1:].islower() and not _proper(view, word):
            yield f'sentence case writes {word.lower()!r}'
            return


def _proper(view: View, word: str) -> bool:
    return word in PROPER_NAMES or word in text(view.body, 'title').split()[:1]


@rule('DG05', own=True)
def wide_enough(view: View) -> Iterator[Problem]:
    """Timeseries take at least 4 columns; streams at least 6, at the end (guidelines: widgets)."""
    for group in view.groups:
        for one in group.children:
            if one.box is None:
                continue
            least = _least_columns(one)
            if one.box.width < least:
                place = f'{one.path}.layout.width'
                yield Problem(place, f'{one.kind} needs at least {least} columns, has {one.box.width}')
            if one.kind in STREAMS and _has_others_below(group, one.box):
                yield Problem(f'{one.path}.layout.y', 'streams belong at the end of their group')


def _least_columns(widget: Widget) -> int:
    if widget.kind in STREAMS:
        return 6
    return 4 if widget.kind == 'timeseries' else 0


def _has_others_below(group: Widget, box: Box) -> bool:
    """Return whether a widget of the group other than a stream lies below a position."""
    return any(one.box and one.box.y >= box.bottom and one.kind not in STREAMS for one in group.children)


@rule('DG07', 'warning', own=True)
def terse(view: View) -> Iterator[Problem]:
    """Widget titles without "number of", integration name, group title, unit (guidelines: titles)."""
    for group in view.groups:
        for one in group.children:
            for problem in _superfluous(view, group, one):
                yield Problem(f'{one.inside}.title', f'{one.title!r}{problem}')


def _superfluous(view: View, group: Widget, widget: Widget) -> Iterator[str]:
    """Yield the parts of a title that its surroundings already say."""
    title, group_title = widget.title.lower(), group.title.lower()
    if re.search(r'\b(number|amount|count) of\b', title):
        yield ': leave out "number of"'
    if re.search(rf'\b{INTEGRATION.lower()}\b', title):
        yield ' repeats the name of the integration'
    if group_title and title.startswith(f'{group_title} '):
        yield ' repeats the title of its group'
    for unit in _units(view, widget):
        if re.search(rf'\(\s*{unit}s?\s*\)|\bin {unit}s?$', title) or (unit == 'percent' and '%' in title):
            yield ': the unit belongs on the axis, not in the title'


def _units(view: View, widget: Widget) -> list[str]:
    found = (view.metric(name) for name in widget.metrics)
    return sorted({re.escape(metric.unit) for metric in found if metric and metric.unit})

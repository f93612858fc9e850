"""MC06 and DG12: widgets lie on the grid, do not overlap, and fill it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .findings import Problem, rule
from .view import Box, View, Widget

COLUMNS = 12
# In high density, the heights of the two halves may differ by this share of the taller one.
MAX_DIFFERENCE = 1 / 3


@rule('MC06')
def on_the_grid(view: View) -> Iterator[Problem]:
    """Twelve columns, children inside their group, no overlap, groups not lower than their content and title."""
    if not _is_fixed(view):
        return
    yield from _placed(view.widgets, COLUMNS, 'the dashboard')
    for segment in _segments(view.widgets):
        yield from _overlaps(segment)
        yield from _heights(segment)
    breaks = [one for one in view.every() if one.breaks_column]
    for one in breaks[1:]:
        yield Problem(f'{one.path}.layout.is_column_break', 'only one widget may begin the right half')
    for group in view.groups:
        if group.box:
            yield from _placed(group.children, group.box.width, f'its group {group.title!r}')
            yield from _overlaps(group.children)


@rule('MC06', own=True)
def as_high_as_needed(view: View) -> Iterator[Problem]:
    """Groups of a row are as high as the content and title of the tallest one."""
    if _is_fixed(view):
        for segment in _segments(view.widgets):
            groups = _sized_groups(segment)
            for group, box in groups:
                tallest = max(_content(one) for one, other in groups if other.y == box.y)
                if box.height > tallest and group.children:
                    yield Problem(f'{group.path}.layout.height', f'is {box.height}; content and title need {tallest}')


def _is_fixed(view: View) -> bool:
    return view.body.get('layout_type') == 'ordered' and view.body.get('reflow_type') != 'auto'


def _placed(widgets: Sequence[Widget], columns: int, place: str) -> Iterator[Problem]:
    for one in widgets:
        box = one.box
        if box is None:
            if not one.outer.get('layout'):
                yield Problem(f'{one.path}.layout', 'missing; a fixed layout places every widget')
        elif box.width < 1 or box.height < 1:
            key = 'width' if box.width < 1 else 'height'
            yield Problem(f'{one.path}.layout.{key}', 'must be at least 1')
        elif box.right > columns:
            key = 'width' if box.width > columns or box.x < columns else 'x'
            yield Problem(f'{one.path}.layout.{key}', f'reaches column {box.right}; {place} has {columns}')


def _overlaps(widgets: Sequence[Widget]) -> Iterator[Problem]:
    for index, one in enumerate(widgets):
        for other in widgets[:index]:
            if one.box and other.box and one.box.overlaps(other.box):
                yield Problem(f'{one.path}.layout', f'overlaps {other.title!r} ({other.path})')


def _segments(widgets: Sequence[Widget]) -> list[list[Widget]]:
    """Return the halves of a high-density board, each with rows from 0; otherwise a single segment."""
    found: list[list[Widget]] = [[]]
    for one in widgets:
        if one.breaks_column:
            found.append([])
        found[-1].append(one)
    return found


def _heights(widgets: Sequence[Widget]) -> Iterator[Problem]:
    for group, box in _sized_groups(widgets):
        if box.height < (need := _content(group)):
            yield Problem(f'{group.path}.layout.height', f'is {box.height}; content and title need {need}')


def _sized_groups(widgets: Sequence[Widget]) -> list[tuple[Widget, Box]]:
    return [(one, one.box) for one in widgets if one.kind == 'group' and one.box]


def _content(group: Widget) -> int:
    inner = max((one.box.bottom for one in group.children if one.box), default=0)
    return inner + bool(group.title and group.definition.get('show_title', True))


@rule('DG12', 'warning', own=True)
def fills_the_grid(view: View) -> Iterator[Problem]:
    """Rows are full, and both halves of high density have about the same height (guidelines: high density)."""
    segments = _segments(view.widgets)
    for segment in segments:
        yield from _holes(segment, COLUMNS, '')
    for group in view.groups:
        if group.box:
            yield from _holes(group.children, group.box.width, group.path)
    heights = [max((one.box.bottom for one in segment if one.box), default=0) for segment in segments]
    if len(heights) == 2 and max(heights) and 1 - min(heights) / max(heights) > MAX_DIFFERENCE:
        yield Problem(segments[1][0].path, f'the halves are {heights[0]} and {heights[1]} rows high')


def _holes(widgets: Sequence[Widget], columns: int, path: str) -> Iterator[Problem]:
    boxes = [one.box for one in widgets if one.box]
    for y in sorted({box.y for box in boxes}):
        filled = sum(box.width for box in boxes if box.y <= y < box.bottom)
        if filled < columns:
            yield Problem(path, f'the row at y = {y} fills {filled} of {columns} columns')

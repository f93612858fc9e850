"""Elements of a page as escaped text, and the paths of lines, areas and bars."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

# Coordinates of a plot. It is stretched to the widget's box; strokes keep their width (`vector-effect`).
WIDTH = 2000
HEIGHT = 600

Point = tuple[int, int]
# Dash patterns by Datadog's names.
DASHES = {'dashed': '6 4', 'dotted': '1.5 4'}
# Elements without content, of SVG and of HTML.
_SHAPES = frozenset(('rect', 'path', 'line', 'circle'))
_EMPTY = frozenset(('meta', 'br', 'input', 'img'))


class Markup(str):
    """Text that is already markup and is not escaped again."""

    __slots__ = ()


def escape(text: object) -> str:
    """Return text escaped for content and attributes."""
    return html.escape(str(text), quote=True)


def tag(name: str, /, *children: object, **attributes: object) -> Markup:
    """Return an element. Children that are not Markup are escaped; None, False and empty attributes are omitted.

    `class_` becomes class, underscores become hyphens; True is an attribute without a value.
    """
    head = ''.join(
        f' {key.rstrip("_").replace("_", "-")}' + ('' if value is True else f'="{escape(value)}"')
        for key, value in attributes.items()
        if value is not None and value is not False and value != ''
    )
    if name in _SHAPES:
        return Markup(f'<{name}{head}/>')
    if name in _EMPTY:
        return Markup(f'<{name}{head}>')
    return Markup(f'<{name}{head}>{join(children)}</{name}>')


def join(children: Iterable[object]) -> Markup:
    """Return the children one after another; None is skipped."""
    return Markup(''.join(one if isinstance(one, Markup) else escape(one) for one in children if one is not None))


def line_path(segments: Iterable[Sequence[Point]]) -> str:
    """Return lines through points; a single point becomes a dot (of the line's width, with round ends)."""
    return ''.join(_through(segment) + ('h0' if len(segment) == 1 else '') for segment in segments if segment)


def area_path(segments: Iterable[tuple[Sequence[Point], Sequence[Point]]]) -> str:
    """Return areas between a top and a bottom line, both from left to right."""
    found = []
    for top, bottom in segments:
        if not top:
            continue
        outline = [*top, *reversed(bottom)]
        found.append(_through(outline) + 'z')
    return ''.join(found)


def bar_path(bars: Iterable[tuple[int, int, int, int]]) -> str:
    """Return rectangles of (left, top, width, height)."""
    return ''.join(f'M{x} {y}h{width}v{height}h-{width}z' for x, y, width, height in bars if height > 0 and width > 0)


def _through(points: Sequence[Point]) -> str:
    """Return relative steps: much shorter than absolute coordinates, and exact because these are whole numbers."""
    x, y = points[0]
    text = [f'M{x} {y}']
    if len(points) > 1:
        text.append('l')
        steps = []
        for right, up in points[1:]:
            steps.append(f'{right - x}{" " if up - y >= 0 else ""}{up - y}')
            x, y = right, up
        text.append(' '.join(steps))
    return ''.join(text)


def row(place: float) -> int:
    """Return the vertical coordinate of a place: 0 at the bottom of the plot, 1 at the top."""
    return round((1 - place) * HEIGHT)


def across(place: float, class_: str, **attributes: object) -> Markup:
    """Return a horizontal line through the plot."""
    return tag('line', x1=0, x2=WIDTH, y1=row(place), y2=row(place), class_=class_, **attributes)

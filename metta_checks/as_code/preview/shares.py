"""Shares of a whole: sunbursts and treemaps."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from . import palette, scale
from .legend import swatch
from .result import Outcome, Row
from .svg import Markup, tag
from .tables import scrolling

# More parts cannot be distinguished; the rest is one of them.
MAX_PARTS = 16
_CENTER, _INNER, _OUTER = 50.0, 24.0, 46.0


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of the whole. `share` is between 0 and 1."""

    label: str
    value: float
    share: float
    color: str


@dataclass(frozen=True, slots=True)
class _Box:
    """A rectangle, in percent of the widget."""

    x: float
    y: float
    width: float
    height: float


def _parts(outcome: Outcome, name: str) -> list[_Part]:
    """Return the parts, the largest first: a row per group, or without groups a column per formula."""
    values = sorted(_values(outcome), key=lambda pair: -pair[1])
    shown, rest = values[: MAX_PARTS - 1], values[MAX_PARTS - 1 :]
    if rest:
        shown.append((f'{len(rest)} others', sum(value for _, value in rest)))
    total = sum(value for _, value in shown)
    colors = palette.series_colors(name, [label for label, _ in shown])
    return [
        _Part(label, value, value / total, color) for (label, value), color in zip(shown, colors, strict=True) if total
    ]


def _values(outcome: Outcome) -> Iterator[tuple[str, float]]:
    """Yield labels and values above 0; others have no area."""
    grouped, names = any(row.group for row in outcome.rows), [name for name, _ in outcome.columns]
    for row in outcome.rows:
        pairs = [(_label(row), row.values[0])] if grouped else zip(names, row.values, strict=True)
        yield from ((label, value) for label, value in pairs if value is not None and value > 0)


def _label(row: Row) -> str:
    return row.label or 'all'


def _text(part: _Part, outcome: Outcome) -> str:
    unit = outcome.columns[0][1] if outcome.columns else ''
    return scale.shown(unit, part.value).text(part.value)


def sunburst(outcome: Outcome, title: str, name: str) -> Markup:
    """Return a ring of parts with their names and values beside it."""
    parts = _parts(outcome, name)
    start, rings = 0.0, []
    for part in parts:
        rings.append(tag('path', d=_arc(start, start + part.share), style=f'fill:{part.color}'))
        start += part.share
    rows = [
        tag('li', swatch(part.color), tag('span', part.label, class_='name', title=part.label), _text(part, outcome))
        for part in parts
    ]
    ring = tag('svg', *rings, viewBox='0 0 100 100', class_='ring', role='img', aria_label=title or 'Shares')
    return tag('div', ring, scrolling(tag('ul', *rows), rows=len(rows), label=title, class_='parts'), class_='sunburst')


def _arc(start: float, end: float) -> str:
    """Return the outline of a part of the ring, from and to shares of the circle."""
    # A full circle would end where it begins, and show nothing.
    end = min(end, start + 0.9999)
    large = int(end - start > 0.5)
    outer, inner = ([_point(share, radius) for share in (start, end)] for radius in (_OUTER, _INNER))
    return (
        f'M{outer[0]}A{_OUTER:g} {_OUTER:g} 0 {large} 1 {outer[1]}'
        f'L{inner[1]}A{_INNER:g} {_INNER:g} 0 {large} 0 {inner[0]}Z'
    )


def _point(share: float, radius: float) -> str:
    angle = 2 * math.pi * share
    return f'{_CENTER + radius * math.sin(angle):.2f} {_CENTER - radius * math.cos(angle):.2f}'


def treemap(outcome: Outcome, name: str) -> Markup:
    """Return parts as rectangles, each as large as its share."""
    parts = _parts(outcome, name)
    boxes = []
    for part, box in _placed(parts, _Box(0, 0, 100, 100)):
        text = _text(part, outcome)
        boxes.append(
            tag(
                'li',
                tag('strong', part.label),
                tag('span', text),
                title=f'{part.label}: {text}',
                style=(
                    f'left:{box.x:.2f}%;top:{box.y:.2f}%;width:{box.width:.2f}%;height:{box.height:.2f}%;'
                    f'--part:{part.color}'
                ),
            )
        )
    return tag('ul', *boxes, class_='treemap')


def _placed(parts: Sequence[_Part], box: _Box) -> Iterator[tuple[_Part, _Box]]:
    """Yield every part with its rectangle: halves of about the same sum, side by side along the longer edge."""
    if len(parts) <= 1:
        yield from ((part, box) for part in parts)
        return
    total, half, count = sum(part.share for part in parts), 0.0, 0
    for part in parts[:-1]:
        half, count = half + part.share, count + 1
        if half >= total / 2:
            break
    share = half / total
    # A widget is about twice as wide as high.
    if box.width * 2 >= box.height:
        first = _Box(box.x, box.y, box.width * share, box.height)
        second = _Box(box.x + first.width, box.y, box.width - first.width, box.height)
    else:
        first = _Box(box.x, box.y, box.width, box.height * share)
        second = _Box(box.x, box.y + first.height, box.width, box.height - first.height)
    yield from _placed(parts[:count], first)
    yield from _placed(parts[count:], second)

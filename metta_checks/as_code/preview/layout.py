"""Layout of widgets: twelve columns, groups with coordinates of their own, two halves on a wide screen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from . import palette
from .svg import Markup, tag

COLUMNS = 12
# Width of a column of a page that is 1280 pixels wide, in heights of a row.
ROWS_PER_COLUMN = 1.4
LEAST_ROWS = 2
# Widgets whose height may be less.
_TEXTS = ('note', 'free_text', 'image')
# Widths and heights of widgets without a layout.
_SIZES = {'group': (12, 0), 'note': (3, 2), 'query_value': (3, 2), 'timeseries': (6, 3), 'query_table': (12, 3)}
_USUAL = (4, 2)


@dataclass(frozen=True, slots=True)
class Placed:
    """A widget with its cells. `children` are those of a group, relative to it; they fill `rows` rows."""

    definition: Mapping[str, Any]
    x: int
    y: int
    width: int
    height: int
    children: tuple[Placed, ...] = ()
    column_break: bool = False

    @property
    def rows(self) -> int:
        """Number of rows that the children fill."""
        return max((child.y + child.height for child in self.children), default=0)


def board(dashboard: Mapping[str, Any]) -> list[Placed]:
    """Return the widgets of a dashboard on the grid of twelve columns."""
    placed = place(dashboard.get('widgets') or ())
    return _on_grid(placed) if dashboard.get('layout_type') == 'free' else placed


def _on_grid(placed: Sequence[Placed]) -> list[Placed]:
    """Return the widgets of a free layout, whose units are small squares, moved to columns and rows.

    The least high of the widgets with data gets LEAST_ROWS, so that all can be read, unless this makes the board more
    than twice as high.
    """
    right = max((one.x + one.width for one in placed), default=COLUMNS)
    across = COLUMNS / max(1, right)
    least = min((one.height for one in placed if one.definition.get('type') not in _TEXTS), default=1)
    square = across * ROWS_PER_COLUMN
    down = min(max(square, LEAST_ROWS / max(1, least)), 2 * square)
    return [_scaled(one, across, down) for one in placed]


def _scaled(one: Placed, across: float, down: float) -> Placed:
    # Edges are rounded, not sizes: neighbors stay neighbors, and nothing overlaps.
    left, right = round(one.x * across), round((one.x + one.width) * across)
    top, bottom = round(one.y * down), round((one.y + one.height) * down)
    return replace(one, x=left, y=top, width=max(1, right - left), height=max(1, bottom - top))


def place(widgets: Sequence[Mapping[str, Any]], columns: int = COLUMNS) -> list[Placed]:
    """Return the widgets in reading order. Widgets without layouts flow from left to right."""
    if not all(isinstance(widget.get('layout'), Mapping) for widget in widgets):
        return _flowing(widgets, columns)
    found = [_laid_out(widget, columns) for widget in widgets]
    return found if any(one.column_break for one in found) else _in_reading_order(found)


def _laid_out(widget: Mapping[str, Any], columns: int) -> Placed:
    definition, layout = widget['definition'], widget['layout']
    width = int(layout.get('width', columns))
    return Placed(
        definition,
        int(layout.get('x', 0)),
        int(layout.get('y', 0)),
        width,
        int(layout.get('height', 2)),
        tuple(place(definition.get('widgets') or (), width)),
        bool(layout.get('is_column_break')),
    )


def _flowing(widgets: Sequence[Mapping[str, Any]], columns: int) -> list[Placed]:
    """Return the widgets one beside the other, in lines as high as their highest widget."""
    found = []
    x = y = line_height = 0
    for widget in widgets:
        definition = widget['definition']
        width, height = _SIZES.get(str(definition.get('type')), _USUAL)
        width = min(width, columns)
        children = tuple(place(definition.get('widgets') or (), width))
        height = height or 1 + max((child.y + child.height for child in children), default=1)
        if x + width > columns:
            x, y, line_height = 0, y + line_height, 0
        found.append(Placed(definition, x, y, width, height, children))
        x, line_height = x + width, max(line_height, height)
    return found


def _in_reading_order(placed: Iterable[Placed]) -> list[Placed]:
    return sorted(placed, key=lambda one: (one.y, one.x))


def halves(dashboard: Mapping[str, Any]) -> list[list[Placed]]:
    """Return the board in one or two parts, which stand side by side on a wide screen, else one below the other.

    The dashboard marks the second part with `is_column_break`; else the parts are cut where their heights differ least.
    """
    placed = board(dashboard)
    broken = next((index for index, one in enumerate(placed) if one.column_break), None)
    if broken:
        return [_from_top(placed[:broken]), _from_top(placed[broken:])]
    cut = _cut(placed)
    if cut is None:
        return [placed]
    return [_from_top([one for one in placed if one.y < cut]), _from_top([one for one in placed if one.y >= cut])]


def _cut(placed: Sequence[Placed]) -> int | None:
    """Return the row at which a board splits into halves without cutting a widget; None where it cannot be split."""
    total = max((one.y + one.height for one in placed), default=0)
    rows = {one.y for one in placed if one.y > 0}
    uncut = [row for row in rows if not any(one.y < row < one.y + one.height for one in placed)]
    return min(uncut, key=lambda row: (max(row, total - row), -row), default=None)


def _from_top(placed: list[Placed]) -> list[Placed]:
    """Return the widgets moved up, with the highest at row 0."""
    top = min((one.y for one in placed), default=0)
    return [replace(one, y=one.y - top) for one in _in_reading_order(placed)]


def minimap(dashboard: Mapping[str, Any]) -> Markup:
    """Return a small picture of the board: groups in their colors, widgets as boxes."""
    placed = board(dashboard)
    height = max((one.y + one.height for one in placed), default=1)
    shapes = []
    for one in placed:
        group = one.definition.get('type') == 'group'
        hue = palette.group_color(str(one.definition.get('background_color') or '')) if group else 'var(--grid)'
        if not group:
            shapes.append(_box(one.x, one.y, one.width, one.height, hue))
            continue
        shapes.append(_box(one.x, one.y, one.width, 0.8, hue))
        shapes += [
            _box(
                one.x + child.x,
                one.y + 1 + child.y,
                child.width,
                child.height,
                f'color-mix(in srgb, {hue} 22%, var(--card))',
            )
            for child in one.children
        ]
    # The upper part is enough to recognize a board.
    return tag('svg', *shapes, viewBox=f'0 0 {COLUMNS * 10} {min(height, 16) * 10}', aria_hidden='true')


def _box(x: float, y: float, width: float, height: float, fill: str) -> Markup:
    return tag(
        'rect',
        x=f'{x * 10 + 0.8:g}',
        y=f'{y * 10 + 0.8:g}',
        width=f'{width * 10 - 1.6:g}',
        height=f'{height * 10 - 1.6:g}',
        rx=1,
        style=f'fill:{fill}',
    )

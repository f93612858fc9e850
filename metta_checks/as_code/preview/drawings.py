"""Drawings of a page's widgets for the selections of its template variables, each distinct drawing once.

The page opens with the initial selection. Further drawings are added while they fit into MAX_BYTES, those of views and
of the fewest chosen values first; for a selection without a drawing, the page says how to draw it.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .choices import Choices, Selection, Values
from .dependence import Dependence, numbered
from .svg import Markup
from .widgets import Definition, WidgetData, draw

# Bytes of all drawings beyond those that the page opens with, which take about a tenth of that on the page.
MAX_BYTES = 3_000_000


@dataclass(frozen=True, slots=True)
class _Dependent:
    """A widget whose drawing depends on the selection. `places`: index of the drawing by signature."""

    name: str
    definition: Definition
    dependence: Dependence
    drawings: list[Markup]
    places: dict[str, int] = field(default_factory=dict)

    def keep(self, signature: str, drawing: Markup) -> int:
        """Keep the drawing of a signature; return the bytes that it adds."""
        new = drawing not in self.drawings
        if new:
            self.drawings.append(drawing)
        self.places[signature] = self.drawings.index(drawing)
        return len(_encoded(drawing)) if new else 0


class Drawings:
    """Draw widgets for the initial selection at first, then for others. `data`: widget data for chosen values."""

    def __init__(self, offered: Choices, data: Callable[[Values], WidgetData]) -> None:
        self._offered = offered
        self._make = data
        self._data = offered.initial, data(offered.values(offered.initial))
        self._dependent: list[_Dependent] = []

    def first(self, name: str, definition: Definition) -> Markup:
        """Return the drawing of a widget for the initial selection."""
        drawing = self._draw(definition, self._offered.initial)
        dependence = Dependence.of(self._data[1].filtered(definition), self._offered.variables)
        if dependence.conditions:
            one = _Dependent(name, definition, dependence, [drawing])
            one.keep(dependence.signature(self._offered.initial), drawing)
            self._dependent.append(one)
        return drawing

    def _draw(self, definition: Definition, selection: Selection) -> Markup:
        if self._data[0] != selection:
            self._data = selection, self._make(self._offered.values(selection))
        return draw(definition, self._data[1])

    def add_others(self) -> None:
        """Draw the widgets for other selections, as many as fit."""
        views = [view.selection for view in self._offered.views]
        reachable = {
            one: one.reachable(views, self._offered.variables)
            for one in numbered(each.dependence for each in self._dependent)
        }
        wanted = [
            (_rank(selection, views), one, signature, selection)
            for one in self._dependent
            for signature, selection in reachable[one.dependence].items()
            if signature not in one.places
        ]
        size = 0
        for _, one, signature, selection in sorted(wanted, key=lambda each: each[0]):
            if size < MAX_BYTES:
                size += one.keep(signature, self._draw(one.definition, selection))

    def packed(self) -> str:
        """Return the drawings beyond those that the page opens with, by widget: JSON, deflated, in base64."""
        drawings = {one.name: one.drawings[1:] for one in self._dependent if len(one.drawings) > 1}
        text = json.dumps(drawings, separators=(',', ':'), ensure_ascii=False)
        return base64.b64encode(zlib.compress(_encoded(text), 9, wbits=-zlib.MAX_WBITS)).decode()

    def data(self) -> dict[str, Any]:
        """Return the data with which the script finds the drawing of a selection."""
        numbers = numbered(one.dependence for one in self._dependent)
        return {
            'dependences': [_written(one) for one in numbers],
            'widgets': {one.name: [numbers[one.dependence], one.places] for one in self._dependent},
        }


def _encoded(text: str) -> bytes:
    # Half of a surrogate pair, for which JSON has a notation, is not UTF-8.
    return text.encode('utf-8', 'replace')


def _rank(selection: Selection, views: list[Selection]) -> tuple[int, list[list[int]]]:
    """Return the order of a selection: views, then few chosen values; equal selections are neighbors."""
    count = 0 if selection in views else sum(map(len, selection))
    return count, [sorted(indices) for indices in selection]


def _written(one: Dependence) -> Mapping[str, Any]:
    return {
        'leaves': [[leaf.variable, sorted(leaf.values), leaf.everything] for leaf in one.leaves],
        'conditions': one.conditions,
    }

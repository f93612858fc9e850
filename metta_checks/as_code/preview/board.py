"""The board of a page: groups and widgets at their places on the grid."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from . import palette, texts
from .choices import Choices
from .drawings import Drawings
from .layout import Placed, halves
from .svg import Markup, tag

_TYPE = re.compile(r'[a-z_]+')


def board(dashboard: Mapping[str, Any], drawings: Drawings, offered: Choices) -> Markup:
    """Return the widgets of a dashboard, drawn for the initial selection."""
    draw = _Board(drawings, offered)
    parts = halves(dashboard)
    found = [tag('div', *(draw.place(one) for one in part), class_='half') for part in parts]
    return tag('main', *found, class_='board two' if len(parts) == 2 else 'board')


class _Board:
    """Numbers the widgets while it places them."""

    def __init__(self, drawings: Drawings, offered: Choices) -> None:
        self._drawings = drawings
        self._offered = offered
        self._count = 0

    def place(self, placed: Placed) -> Markup:
        """Return a widget or group at its position on the grid."""
        definition = placed.definition
        style = f'--x:{placed.x};--y:{placed.y};--w:{placed.width};--h:{placed.height}'
        if definition.get('type') != 'group':
            return self._widget(definition, style)
        titled = definition.get('show_title', True) is not False and bool(definition.get('title'))
        hue = palette.group_color(str(definition.get('background_color') or ''))
        inside = tag(
            'div',
            *(self.place(child) for child in placed.children),
            class_='inside',
            style=f'--columns:{placed.width};--rows:{max(1, placed.rows)}',
        )
        return tag(
            'section',
            tag('h2', definition['title']) if titled else None,
            inside,
            class_='group',
            style=f'{style};--hue:{hue}',
        )

    def _widget(self, definition: Mapping[str, Any], style: str) -> Markup:
        name = str(self._count)
        self._count += 1
        title = str(definition.get('title') or '')
        kind = str(definition.get('type') or '')
        align = str(definition.get('title_align') or '')
        drawing = self._drawings.first(name, definition)
        return tag(
            'section',
            tag('h3', title, title=_hint(definition), class_=align if align in ('center', 'right') else None)
            if title
            else None,
            tag('div', texts.with_values(drawing, self._offered) if kind in texts.KINDS else drawing, class_='body'),
            class_=f'w w-{kind}' if _TYPE.fullmatch(kind) else 'w',
            style=style,
            data_widget=name,
            aria_label=title or kind.replace('_', ' '),
        )


def _hint(definition: Mapping[str, Any]) -> str:
    """Return the tooltip of a widget's title: the title, which may be cut off, and the description."""
    return '\n\n'.join(str(definition[key]) for key in ('title', 'description') if definition.get(key))

"""A dashboard as one HTML page that loads nothing, and the index page."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from metta_checks.as_code.asset import Asset, walk_widgets

from . import palette, scale
from .choices import Choices, Values, choices
from .layout import Placed, halves, minimap
from .svg import Markup, escape, join, tag
from .widgets import WidgetData, draw

# A larger page is slow to open and to send.
MAX_BYTES = 3_000_000
_VARIABLE = re.compile(r'\$([A-Za-z_][\w-]*)')
_TYPE = re.compile(r'[a-z_]+')


@dataclass(frozen=True, slots=True)
class Stamp:
    """Origin and time of a page's data.

    `name` is the watermark (`Sample data`), `start` and `end` are the window, `age` is the seconds from its end to the
    time of drawing, `file` is the recording's name.
    """

    name: str
    start: float
    end: float
    age: float
    file: str = ''

    @property
    def window(self) -> str:
        """The window in words."""
        return (
            f'{scale.date_text(self.start)} to {scale.date_text(self.end)} UTC '
            f'({scale.duration_text(self.end - self.start)})'
        )

    @property
    def recorded(self) -> str:
        """Age of the newest moment at the time of drawing, in words."""
        if self.age < 0:
            return f'ends {scale.duration_text(-self.age)} ahead of this page'
        return f'{scale.duration_text(self.age)} old when drawn'


@dataclass(frozen=True, slots=True)
class Origin:
    """Data of a page: widget data for a choice of variables, and the values of tags."""

    data: Callable[[Values], WidgetData]
    values_of: Callable[[str], Sequence[str]]
    stamp: Stamp


def dashboard_page(asset: Asset, origin: Origin, given: Mapping[str, Sequence[str]] | None = None) -> str:
    """Return the HTML of one dashboard. `given`: initial values of template variables."""
    dashboard = without_nulls(asset.body)
    offered = choices(dashboard, origin.values_of, given or {})
    drawer = _Drawer(origin, offered)
    parts = halves(dashboard)
    board = [tag('div', *(drawer.place(one) for one in part), class_='half') for part in parts]
    main = tag('main', *board, class_='board two' if len(parts) == 2 else 'board')
    return _document(
        asset.title,
        tag(
            'header',
            tag(
                'div',
                tag('a', 'Dashboards', href='index.html', class_='home'),
                tag('h1', asset.title),
                tag('span', class_='space'),
                *_stamp(origin.stamp),
                _theme(),
                class_='in',
            ),
            _controls(offered),
            class_='top',
        ),
        main,
        tag('p', _foot(dashboard), class_='foot'),
        tag('div', id='tip', role='status', hidden=True),
        *drawer.templates,
        _json('choices', drawer.data()),
    )


def index_page(assets: Sequence[Asset], stamp: Stamp) -> str:
    """Return the HTML of the index page, which links the pages of all dashboards in the same folder."""
    cards = []
    for asset in assets:
        widgets = sum(widget['definition'].get('type') != 'group' for _, widget in walk_widgets(asset.body))
        text = tag(
            'div',
            tag('h2', asset.title),
            tag('p', first_sentence(str(asset.body.get('description') or ''))),
            tag('p', f'{widgets} widgets', class_='count'),
        )
        cards.append(
            tag('li', tag('a', minimap(without_nulls(asset.body)), text, class_='card', href=f'{asset.key}.html'))
        )
    return _document(
        'Dashboards',
        tag(
            'header',
            tag(
                'div',
                tag('h1', 'Dashboards'),
                tag('span', class_='space'),
                *_stamp(stamp),
                _theme(),
                class_='in',
            ),
            class_='top',
        ),
        tag('main', tag('ul', *cards, class_='cards')),
        tag('p', _ORIGIN, class_='foot'),
    )


def without_nulls(node: Any) -> Any:
    """Return the document without nulls, which Datadog treats as absent."""
    if isinstance(node, Mapping):
        return {key: without_nulls(value) for key, value in node.items() if value is not None}
    if isinstance(node, list):
        return [without_nulls(value) for value in node if value is not None]
    return node


def first_sentence(text: str) -> str:
    """Return the first sentence of a description, without the marker."""
    plain = ' '.join(text.split('\n\n')[0].split())
    found = re.match(r'(.{20,}?[.!?])(\s|$)', plain)
    return found[1] if found else plain


class _Drawer:
    """Draws every widget for every choice and keeps each distinct drawing once."""

    def __init__(self, origin: Origin, offered: Choices) -> None:
        self.offered = offered
        self.data_by_choice = [origin.data(choice.values) for choice in offered.all]
        self.templates: list[Markup] = []
        # Index of the drawing for every choice, per widget that depends on the choice.
        self.use: dict[str, list[int]] = {}
        self.count = 0

    def place(self, placed: Placed) -> Markup:
        """Return a widget or group at its position on the grid."""
        definition = placed.definition
        style = f'--x:{placed.x};--y:{placed.y};--w:{placed.width};--h:{placed.height}'
        if definition.get('type') != 'group':
            return self.widget(definition, style)
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

    def widget(self, definition: Mapping[str, Any], style: str) -> Markup:
        """Return one widget, drawn for the first choice; drawings of other choices go to `templates`."""
        name = str(self.count)
        self.count += 1
        drawings, indices = self._drawings(definition)
        if len(drawings) > 1:
            self.use[name] = indices
            self.templates += [tag('template', drawing, data_of=name) for drawing in drawings[1:]]
        title = str(definition.get('title') or '')
        kind = str(definition.get('type') or '')
        align = str(definition.get('title_align') or '')
        return tag(
            'section',
            tag('h3', title, title=_hint(definition), class_=align if align in ('center', 'right') else None)
            if title
            else None,
            tag('div', drawings[0], class_='body'),
            class_=f'w w-{kind}' if _TYPE.fullmatch(kind) else 'w',
            style=style,
            data_widget=name,
            aria_label=title or kind.replace('_', ' '),
        )

    def _drawings(self, definition: Mapping[str, Any]) -> tuple[list[Markup], list[int]]:
        """Return the distinct drawings of a widget, and for every choice the index of its drawing."""
        drawings: list[Markup] = []
        indices: list[int] = []
        index_by_values: dict[tuple[str, ...], int] = {}
        used = sorted(set(_VARIABLE.findall(json.dumps(definition))))
        for choice, data in zip(self.offered.all, self.data_by_choice, strict=True):
            # A widget that uses none of the variables looks the same for every choice.
            values = tuple(choice.text(variable) for variable in used if variable in choice.values)
            if values not in index_by_values:
                drawing = draw(definition, data)
                if drawing not in drawings:
                    drawings.append(drawing)
                index_by_values[values] = drawings.index(drawing)
            indices.append(index_by_values[values])
        return drawings, indices

    def data(self) -> dict[str, Any]:
        """Return the data with which the script switches choices."""
        names = [variable.name for variable in self.offered.variables]
        return {
            'choices': [{'values': {name: choice.text(name) for name in names}} for choice in self.offered.all],
            'use': self.use,
        }


# Parts of the page.


def _hint(definition: Mapping[str, Any]) -> str:
    """Return the tooltip of a widget's title: the title, which may be cut off, and the description."""
    return '\n\n'.join(str(definition[key]) for key in ('title', 'description') if definition.get(key))


_ORIGIN = 'Drawn by metta-checks on this machine. The same definitions look different in Datadog.'


def _foot(dashboard: Mapping[str, Any]) -> str:
    description = first_sentence(str(dashboard.get('description') or ''))
    return f'{description} {_ORIGIN}'.strip()


def _stamp(stamp: Stamp) -> list[Markup]:
    return [
        tag('span', tag('strong', stamp.name), tag('span', stamp.recorded), class_='sample', title=stamp.file),
        tag('span', stamp.window, class_='span'),
    ]


def _theme() -> Markup:
    return tag('button', 'Theme', id='theme', type='button', class_='theme')


def _controls(offered: Choices) -> Markup | None:
    if not offered.variables:
        return None
    names = [(offered.all[index].name, index) for index in offered.presets]
    own = tag('option', 'one variable', value='own', disabled=True)
    preset = tag(
        'select',
        *(tag('option', name, value=str(index)) for name, index in names),
        own,
        id='preset',
        autocomplete='off',
    )
    labels = [tag('label', tag('span', 'View'), preset)]
    for variable in offered.variables:
        current = offered.all[0].text(variable.name)
        options = [
            tag('option', value, value=str(index), data_value=value, selected=value == current)
            for value, index in variable.options
        ]
        if variable.hidden:
            options.append(tag('option', f'{variable.hidden} more values', disabled=True))
        alone = len(variable.options) < 2
        labels.append(
            tag(
                'label',
                tag('span', f'${variable.name}'),
                tag('select', *options, data_variable=variable.name, disabled=alone, autocomplete='off'),
                class_='off' if alone else None,
            )
        )
    hint = tag('span', 'One variable at a time; the others return to their initial values.', class_='hint')
    return tag('div', *labels, hint, class_='controls', role='group', aria_label='Template variables')


def _json(name: str, data: object) -> Markup:
    text = json.dumps(data, separators=(',', ':'), ensure_ascii=False)
    # The content must not contain the end tag of the element.
    return Markup(f'<script type="application/json" id="{name}">{text.replace("<", chr(92) + "u003c")}</script>')


def _document(title: str, *body: Markup) -> str:
    script = _resource('script.js')
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = '; '.join(
        (
            "default-src 'none'",
            "style-src 'unsafe-inline'",
            f"script-src 'sha256-{digest}'",
            'img-src data:',
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    head = join(
        (
            tag('meta', charset='utf-8'),
            tag('meta', http_equiv='Content-Security-Policy', content=policy),
            tag('meta', name='viewport', content='width=device-width, initial-scale=1'),
            tag('meta', name='color-scheme', content='light dark'),
            tag('meta', name='referrer', content='no-referrer'),
            # Without an icon, a browser asks the server for one.
            Markup('<link rel="icon" href="data:,">'),
            Markup(f'<title>{escape(title)}</title>'),
            Markup(f'<style>{palette.css()}\n{_resource("style.css")}</style>'),
        )
    )
    content = f'{join(body)}\n<script>{script}</script>'
    return f'<!DOCTYPE html>\n<html lang="en">\n<head>{head}</head>\n<body>{content}\n</body>\n</html>\n'


@cache
def _resource(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding='utf-8')

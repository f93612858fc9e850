"""A dashboard as one HTML page that loads nothing, and the page that lists them."""

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
from .widgets import Source, draw

# A page above this is slow to open and to send.
MAX_BYTES = 3_000_000
_VARIABLE = re.compile(r'\$([A-Za-z_][\w-]*)')
_TYPE = re.compile(r'[a-z_]+')


@dataclass(frozen=True, slots=True)
class Stamp:
    """Where a page's numbers come from.

    `name` is the watermark (`Sample data`), `start` and `end` are the window, `age` the seconds from its end to the
    moment of drawing, `file` the recording's name.
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
        """How old the newest moment was when the page was drawn."""
        if self.age < 0:
            return f'ends {scale.duration_text(-self.age)} ahead of this page'
        return f'{scale.duration_text(self.age)} old when drawn'


@dataclass(frozen=True, slots=True)
class Origin:
    """What a page is drawn from: numbers for a choice of variables, and the values of tags."""

    source: Callable[[Values], Source]
    values_of: Callable[[str], Sequence[str]]
    stamp: Stamp


def dashboard_page(asset: Asset, origin: Origin, given: Mapping[str, Sequence[str]] | None = None) -> str:
    """The HTML of one dashboard. `given`: values of template variables to begin with."""
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
    """The HTML of the page that links all dashboards, in files next to it."""
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
    """The same document without nulls, which mean the same to Datadog as nothing."""
    if isinstance(node, Mapping):
        return {key: without_nulls(value) for key, value in node.items() if value is not None}
    if isinstance(node, list):
        return [without_nulls(value) for value in node if value is not None]
    return node


def first_sentence(text: str) -> str:
    """The first sentence of a description, without what marks an object as managed."""
    plain = ' '.join(text.split('\n\n')[0].split())
    found = re.match(r'(.{20,}?[.!?])(\s|$)', plain)
    return found[1] if found else plain


class _Drawer:
    """Draws every widget for every choice and keeps each distinct drawing once."""

    def __init__(self, origin: Origin, offered: Choices) -> None:
        self.offered = offered
        self.sources = [origin.source(choice.values) for choice in offered.all]
        self.templates: list[Markup] = []
        # Per widget that changes: the index of its drawing for every choice.
        self.use: dict[str, list[int]] = {}
        self.count = 0

    def place(self, placed: Placed) -> Markup:
        """A widget or group at its place of the grid."""
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
        """One widget, drawn for the first choice; drawings of other choices go to `templates`."""
        name = str(self.count)
        self.count += 1
        drawings: list[Markup] = []
        indices: list[int] = []
        seen: dict[tuple[str, ...], int] = {}
        heard = sorted(set(_VARIABLE.findall(json.dumps(definition))))
        for choice, source in zip(self.offered.all, self.sources, strict=True):
            # A widget that names none of the variables looks the same for every choice.
            key = tuple(choice.text(variable) for variable in heard if variable in choice.values)
            if key not in seen:
                drawing = draw(definition, source)
                if drawing not in drawings:
                    drawings.append(drawing)
                seen[key] = drawings.index(drawing)
            indices.append(seen[key])
        if len(drawings) > 1:
            self.use[name] = indices
            self.templates += [tag('template', drawing, data_of=name) for drawing in drawings[1:]]
        title = str(definition.get('title') or '')
        kind = str(definition.get('type') or '')
        align = str(definition.get('title_align') or '')
        return tag(
            'section',
            tag('h3', title, title=title, class_=align if align in ('center', 'right') else None) if title else None,
            tag('div', drawings[0], class_='body'),
            class_=f'w w-{kind}' if _TYPE.fullmatch(kind) else 'w',
            style=style,
            data_widget=name,
            aria_label=title or kind.replace('_', ' '),
        )

    def data(self) -> dict[str, Any]:
        """What the script needs to change choices."""
        names = [variable.name for variable in self.offered.variables]
        return {
            'choices': [{'values': {name: choice.text(name) for name in names}} for choice in self.offered.all],
            'use': self.use,
        }


# Parts of the page.


_ORIGIN = 'Drawn by metta-checks on this machine. Datadog draws the same definitions in its own way.'


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
    hint = tag('span', 'One variable at a time; the others return to where they began.', class_='hint')
    return tag('div', *labels, hint, class_='controls', role='group', aria_label='Template variables')


def _json(name: str, data: object) -> Markup:
    text = json.dumps(data, separators=(',', ':'), ensure_ascii=False)
    # Nothing inside may look like the end of the element.
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
            # Without one a browser asks the server for an icon.
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

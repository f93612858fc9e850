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
from .board import board
from .choices import Choices, Values, choices
from .controls import controls, written
from .drawings import Drawings
from .layout import minimap
from .svg import Markup, escape, join, tag
from .widgets import WidgetData

# A larger page is slow to open and to send.
MAX_BYTES = 3_000_000
SCRIPTS = ('script.js', 'variables.js')


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
    drawings = Drawings(offered, origin.data)
    main = board(dashboard, drawings, offered)
    drawings.add_others()
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
            controls(offered),
            class_='top',
        ),
        main,
        tag('p', _foot(dashboard), class_='foot'),
        tag('div', id='tip', role='status', hidden=True),
        *_choices(asset.key, offered, drawings),
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


# Parts of the page.


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


def _choices(key: str, offered: Choices, drawings: Drawings) -> list[Markup]:
    """Return the data of the script that switches between values of template variables."""
    if not offered.variables:
        return []
    data = _json('choices', {'key': key, **written(offered), **drawings.data()})
    return [data, Markup(f'<script type="text/plain" id="drawings">{drawings.packed()}</script>')]


def _json(name: str, data: object) -> Markup:
    text = json.dumps(data, separators=(',', ':'), ensure_ascii=False)
    # The content must not contain the end tag of the element.
    return Markup(f'<script type="application/json" id="{name}">{text.replace("<", chr(92) + "u003c")}</script>')


def _document(title: str, *body: Markup) -> str:
    script = ''.join(map(_resource, SCRIPTS))
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

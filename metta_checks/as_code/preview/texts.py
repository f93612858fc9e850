"""Values of template variables in the widgets that consist of text.

`$env` reads `env:production`, `$env.value` reads `production`:
https://docs.datadoghq.com/dashboards/template_variables/
"""

from __future__ import annotations

import re

from .choices import Choices
from .svg import Markup, tag

KINDS = ('note', 'free_text')
_ELEMENT = re.compile(r'(<[^>]*>)')


def with_values(drawing: Markup, offered: Choices) -> Markup:
    """Return a drawing in which the script replaces the variables; it begins with the initial values."""
    places = {one.name: index for index, one in enumerate(offered.variables)}
    if not places:
        return drawing
    values = offered.values(offered.initial)
    # A name may contain dots; the longest one that fits is meant.
    names = '|'.join(map(re.escape, sorted(places, key=len, reverse=True)))
    variable = re.compile(rf'\$({names})(\.value)?(?![\w-])')

    def element(found: re.Match[str]) -> str:
        name, form = found.groups()
        key = '' if form else (offered.variables[places[name]].prefix or name) + ':'
        text = ', '.join(f'{key}{value}' for value in values[name])
        return tag('span', text, data_text=str(places[name]), data_key=key)

    parts = _ELEMENT.split(drawing)
    # Elements are at odd places; a variable in an address stays as it is.
    return Markup(''.join(part if index % 2 else variable.sub(element, part) for index, part in enumerate(parts)))

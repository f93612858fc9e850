"""Host maps: one tile per host, colored by its value.

https://docs.datadoghq.com/dashboards/widgets/hostmap/
"""

from __future__ import annotations

from . import scale
from .result import Outcome
from .svg import Markup, tag
from .tables import scrolling

# Colors of the lowest and the highest value, by Datadog's names of palettes.
_PALETTES = {
    'green_to_orange': ('green', 'amber'),
    'yellow_to_green': ('amber', 'green'),
    'YlOrRd': ('amber', 'red'),
}
_DEFAULT = ('gray', 'blue')


def hostmap(outcome: Outcome, title: str, palette: str, *, flipped: bool) -> Markup:
    """Return a tile per row. `flipped`: the highest value has the color of the lowest."""
    known = [row.values[0] for row in outcome.rows if row.values[0] is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    first, last = _PALETTES.get(palette, _DEFAULT)
    if flipped:
        first, last = last, first
    unit = outcome.columns[0][1] if outcome.columns else ''
    tiles = []
    for row in outcome.rows:
        value = row.values[0]
        text = 'no data' if value is None else scale.shown(unit, value).text(value)
        share = 0 if value is None or high == low else round((value - low) / (high - low) * 100)
        color = (
            'var(--fill-gray)'
            if value is None
            else f'color-mix(in srgb, var(--fill-{last}) {share}%, var(--fill-{first}))'
        )
        tiles.append(
            tag(
                'li', tag('strong', row.label or 'all', title=row.label), tag('span', text), style=f'background:{color}'
            )
        )
    return scrolling(tag('ul', *tiles), rows=len(tiles), label=title, class_='hostmap')

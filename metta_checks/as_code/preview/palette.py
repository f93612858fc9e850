"""Datadog's names of colors and palettes, mapped to colors that are distinguishable and readable in both themes.

Every color is a pair (light theme, dark theme). A page refers to them by CSS variables, which `css` declares, so that
one drawing serves both themes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

Pair = tuple[str, str]

BLUE: Pair = ('#1f6fd1', '#5aa2f5')
SKY: Pair = ('#0d86b8', '#4cc2f1')
TEAL: Pair = ('#0a8577', '#3ccfb9')
GREEN: Pair = ('#23893a', '#56c46c')
LIME: Pair = ('#6b8500', '#b1cf3f')
AMBER: Pair = ('#b06f00', '#f0b429')
ORANGE: Pair = ('#cf5a0c', '#fb8f4b')
RED: Pair = ('#cf2f36', '#f4696c')
PINK: Pair = ('#c8307f', '#f27db6')
PURPLE: Pair = ('#7a3fc8', '#b18bf2')
INDIGO: Pair = ('#4a55cf', '#8e99ff')
GRAY: Pair = ('#6a7382', '#98a3b3')

# Palettes of lines, areas and bars. Ramps run from the strongest to the weakest shade of a hue that is readable.
SERIES: dict[str, tuple[Pair, ...]] = {
    'classic': (BLUE, PURPLE, TEAL, AMBER, PINK, SKY, LIME, ORANGE, INDIGO, GREEN, RED, GRAY),
    'cool': (BLUE, TEAL, INDIGO, SKY, GREEN, PURPLE),
    'warm': (ORANGE, RED, AMBER, PINK, ('#9a4a2b', '#d99272'), ('#8c6d1f', '#e0cc86')),
    'purple': (PURPLE, ('#a05bd9', '#d3a9f7'), ('#5b2f9e', '#9068dd'), PINK, INDIGO, ('#8d6bb5', '#c9b8e6')),
    'blue': (BLUE, SKY, ('#15498c', '#3f7fd0'), INDIGO, ('#5c86bd', '#a9c8f0'), TEAL),
    'green': (GREEN, TEAL, LIME, ('#14602a', '#38964b'), ('#5b9167', '#a5dcb0'), SKY),
    'orange': (ORANGE, AMBER, ('#9a4200', '#d36d22'), RED, ('#b98148', '#f5c99a'), PINK),
    'red': (RED, PINK, ('#94191f', '#d34248'), ORANGE, ('#c06a6d', '#f5b0b2'), PURPLE),
    'pink': (PINK, PURPLE, ('#93205c', '#cf5592'), RED, ('#b8719a', '#f3bcd8'), INDIGO),
    'gray': (GRAY, ('#4a5260', '#c2cad6'), ('#808998', '#78828f'), ('#343b47', '#e0e5ec')),
}
_ALIASES = {
    'dog_classic': 'classic',
    'dog_classic_area': 'classic',
    'datadog16': 'classic',
    'semantic': 'classic',
    'yellow': 'orange',
    'grey': 'gray',
}
# Meaning of words in a label for the palette `semantic`.
_MEANINGS = (
    (r'ok|pass(ed|ing)?|success(ful)?|succeeded|completed|merged|finished|healthy|on_track|good', GREEN),
    (r'fail(ed|ure|ures|ing)?|errors?|critical|alert|crash\w*|reverts?|off_track|deleted|(oom)?killed|bad', RED),
    (r'warn(ing)?|stale|at_risk|timed_out|timeouts?|queued|pending|degraded|preempted|hotfix', AMBER),
    (r'cancell?ed|skipped|neutral|unknown|unfinished|idle|other', GRAY),
)

# Colors of group titles; their text is white or near black, as declared.
GROUPS: dict[str, Pair] = {
    'vivid_blue': ('#1b62c4', '#1b62c4'),
    'blue': ('#4a7299', '#41678c'),
    'vivid_purple': ('#6b35b8', '#6f3bbd'),
    'purple': ('#77639f', '#6d5a93'),
    'vivid_green': ('#187a33', '#187a33'),
    'green': ('#4d7a58', '#46714f'),
    'vivid_orange': ('#b54c06', '#b54c06'),
    'orange': ('#96653f', '#8a5d3a'),
    'vivid_yellow': ('#8a6100', '#8a6100'),
    'yellow': ('#7f6a35', '#76622f'),
    'vivid_pink': ('#b3256e', '#b3256e'),
    'pink': ('#9a5b7c', '#8d5271'),
    'vivid_red': ('#b9262d', '#b9262d'),
    'red': ('#995556', '#8f4e4f'),
    'gray': ('#5d6675', '#4c5564'),
    'white': ('#5d6675', '#4c5564'),
}
DEFAULT_GROUP = 'gray'

# States: text on the page's background, and background under white text.
STATES = {
    'ok': 'green',
    'warn': 'amber',
    'alert': 'red',
    'none': 'gray',
    'skipped': 'gray',
}

# Conditional formats: palette name -> (hue, whether the hue fills the ground).
_CONDITIONAL = re.compile(
    r'(?:(white|black)_on_(light_)?(green|yellow|red|gray|grey|blue))|(green|yellow|red|gray|grey)_on_(white|black)'
)
_HUES = {'yellow': 'amber', 'grey': 'gray'}
# Markers: `error dashed`, `warning solid` ...
_MARKERS = {'error': 'red', 'warning': 'amber', 'ok': 'green', 'info': 'blue'}
HUES: dict[str, Pair] = {'green': GREEN, 'amber': AMBER, 'red': RED, 'gray': GRAY, 'blue': BLUE}
# Text in a hue needs more contrast than a line.
TEXTS: dict[str, Pair] = {
    'green': ('#1b7430', '#5fcf76'),
    'amber': ('#8a5700', '#f0b429'),
    'red': ('#b9262d', '#ff8587'),
    'gray': ('#596273', '#a7b1c0'),
    'blue': ('#1a5fb8', '#74b1fa'),
}
# Background under white text.
FILLS: dict[str, Pair] = {
    'green': ('#1f7a37', '#1d7434'),
    'amber': ('#92600a', '#8d5c08'),
    'red': ('#c02b32', '#b8292f'),
    'gray': ('#5d6675', '#4c5564'),
    'blue': ('#1b62c4', '#1b62c4'),
}
# Backgrounds of notes: pale in the light theme, deep in the dark one, so that the usual text is readable on both.
NOTES: dict[str, Pair] = {
    'white': ('#ffffff', '#1b2029'),
    'transparent': ('transparent', 'transparent'),
    'gray': ('#f0f2f5', '#262c37'),
    'blue': ('#e8f1fd', '#172a44'),
    'green': ('#e7f5ea', '#15301d'),
    'yellow': ('#fdf6dc', '#352b0e'),
    'orange': ('#fdeee2', '#3a2212'),
    'pink': ('#fceaf3', '#3a1a2b'),
    'purple': ('#f1ebfb', '#291d40'),
    'red': ('#fdeaea', '#3b191b'),
}


def series_colors(palette: str, labels: list[str], offset: int = 0) -> list[str]:
    """Return a CSS color per label. `offset`: number of colors of the palette that the widget has already used."""
    name = _ALIASES.get(palette, palette)
    name = name if name in SERIES else 'classic'
    size = len(SERIES[name])
    colors = [f'var(--{name}-{(offset + index) % size})' for index in range(len(labels))]
    return _with_meaning(labels, colors) if palette == 'semantic' else colors


def _with_meaning(labels: list[str], colors: list[str]) -> list[str]:
    """Return the colors of meanings; labels of one meaning get shades of its color."""
    used: Counter[str] = Counter()
    found = []
    for label, color in zip(labels, colors, strict=True):
        meant = _meaning(label)
        shade = max(50, 100 - 25 * used[meant])
        used[meant] += 1
        shaded = meant if shade == 100 else f'color-mix(in srgb, {meant} {shade}%, var(--card))'
        found.append(shaded if meant else color)
    return found


def base_palette(palette: str) -> str:
    """Return the palette for a name; unknown names get the default palette."""
    name = _ALIASES.get(palette, palette)
    return name if name in SERIES else 'classic'


def _meaning(label: str) -> str:
    for words, pair in _MEANINGS:
        if re.search(rf'(?<![a-z])({words})(?![a-z])', label.lower()):
            return f'var(--hue-{_hue_of(pair)})'
    return ''


def _hue_of(pair: Pair) -> str:
    return next(name for name, value in HUES.items() if value == pair)


def conditional(palette: str) -> tuple[str, bool] | None:
    """Return (hue, True for a filled background) of a conditional format's palette; None for an unknown palette."""
    found = _CONDITIONAL.fullmatch(palette)
    if not found:
        return None
    hue = found[3] or found[4]
    return _HUES.get(hue, hue), bool(found[1])


def marker_hue(display_type: str) -> str:
    """Return the hue of a marker's display type (`error dashed`)."""
    return next((hue for word, hue in _MARKERS.items() if word in display_type.split()), 'gray')


def group_color(name: str) -> str:
    """Return the CSS color of a group's title bar."""
    return f'var(--group-{name if name in GROUPS else DEFAULT_GROUP})'


def note_color(name: str) -> str:
    """Return the CSS color of a note's background."""
    plain = name.removeprefix('vivid_')
    return f'var(--note-{plain if plain in NOTES else "white"})'


def css() -> str:
    """Return the declarations of all variables."""
    return ':root{' + ';'.join(f'--{name}:{_value(pair)}' for name, pair in _variables()) + '}'


def _variables() -> Iterator[tuple[str, Pair]]:
    for name, pairs in SERIES.items():
        yield from ((f'{name}-{index}', pair) for index, pair in enumerate(pairs))
    for prefix, colors in (('group', GROUPS), ('hue', HUES), ('text', TEXTS), ('fill', FILLS), ('note', NOTES)):
        yield from ((f'{prefix}-{name}', pair) for name, pair in colors.items())


def _value(pair: Pair) -> str:
    return pair[0] if pair[0] == pair[1] else f'light-dark({pair[0]},{pair[1]})'

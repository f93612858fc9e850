"""Choices of template variables that a page is drawn for: presets, and every value of one variable at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Values per variable; more would make the page too large.
MAX_VALUES = 8
ANY = '*'

Values = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Choice:
    """A value for every variable. `name` is shown for presets and empty for a variable's value."""

    name: str
    values: Values

    def text(self, variable: str) -> str:
        """Return a variable's value as text for the page."""
        return ', '.join(self.values.get(variable) or [ANY])


@dataclass(frozen=True, slots=True)
class Select:
    """A select element of the page: (value, index of its choice); `hidden` counts values beyond MAX_VALUES."""

    name: str
    options: tuple[tuple[str, int], ...]
    hidden: int = 0


@dataclass(frozen=True, slots=True)
class Choices:
    """All choices, the initial one first; the select elements; indices of the presets."""

    all: tuple[Choice, ...]
    variables: tuple[Select, ...]
    presets: tuple[int, ...]


def defaults(dashboard: Mapping[str, Any]) -> Values:
    """Return the values that a dashboard opens with."""
    found: Values = {}
    for variable in dashboard.get('template_variables') or ():
        values = variable.get('defaults') or ([variable['default']] if variable.get('default') else [])
        found[str(variable['name'])] = [str(value) for value in values] or [ANY]
    return found


def choices(
    dashboard: Mapping[str, Any], values_of: Callable[[str], Sequence[str]], given: Mapping[str, Sequence[str]]
) -> Choices:
    """Return the choices to draw. `values_of`: values of a tag in the recording; `given`: from the command line."""
    start = defaults(dashboard)
    base = {**start, **{name: list(values) for name, values in given.items() if name in start}}
    set_by_hand = ', '.join(f'{name}={",".join(base[name])}' for name in base if base[name] != start[name])
    found = [Choice(set_by_hand or 'All', base)]
    presets = [0]
    for preset in dashboard.get('template_variable_presets') or ():
        presets.append(_index(found, Choice(str(preset.get('name') or ''), _preset_values(preset, base))))
    selects = []
    for variable in dashboard.get('template_variables') or ():
        name = str(variable['name'])
        known = _known(variable, values_of, found)
        offered = known[: MAX_VALUES + 1]
        options = [(value, _index(found, Choice('', {**base, name: value.split(', ')}))) for value in offered]
        selects.append(Select(name, tuple(options), hidden=len(known) - len(offered)))
    return Choices(tuple(found), tuple(selects), tuple(dict.fromkeys(presets)))


def _preset_values(preset: Mapping[str, Any], base: Values) -> Values:
    """Return the values of a preset; a variable that it leaves out keeps its value in `base`."""
    values = {name: list(value) for name, value in base.items()}
    for one in preset.get('template_variables') or ():
        wanted = one.get('values') or ([one['value']] if one.get('value') else [])
        if one.get('name') in values and wanted:
            values[one['name']] = [str(value) for value in wanted]
    return values


def _known(
    variable: Mapping[str, Any], values_of: Callable[[str], Sequence[str]], found: Sequence[Choice]
) -> list[str]:
    """Return the values to offer: all, those of presets (so that a preset can be shown), then those that exist."""
    name = str(variable['name'])
    prefix = str(variable.get('prefix') or '')
    available = [str(value) for value in variable.get('available_values') or ()]
    recorded = list(values_of(prefix)) if prefix else []
    # Values in the recording come before others, since they have data.
    with_data = [value for value in available if value in recorded] if available else recorded
    return list(dict.fromkeys([ANY, *(choice.text(name) for choice in found), *with_data, *available]))


def _index(found: list[Choice], wanted: Choice) -> int:
    """Return the index of a choice in the list, adding a new one; named presets keep an index of their own."""
    for index, choice in enumerate(found):
        if choice.values == wanted.values and (not wanted.name or choice.name == wanted.name):
            return index
    found.append(wanted)
    return len(found) - 1

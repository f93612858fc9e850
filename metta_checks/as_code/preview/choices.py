"""Template variables of a page: the values to choose from, the values at first, and saved views."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from .filters import EVERYTHING

# Values to choose from per variable; a longer list is hard to read.
MAX_VALUES = 40

Values: TypeAlias = 'dict[str, list[str]]'
# Indices of the chosen values per variable; none where all values are chosen (`*`).
Selection: TypeAlias = 'tuple[frozenset[int], ...]'


@dataclass(frozen=True, slots=True)
class Offered:
    """A template variable with its values, `*` not among them; `hidden` counts values beyond MAX_VALUES."""

    name: str
    prefix: str
    values: tuple[str, ...]
    hidden: int = 0

    def chosen(self, indices: frozenset[int]) -> list[str]:
        """Return the values of a selection; `*` for all."""
        return [self.values[index] for index in sorted(indices)] or [EVERYTHING]


@dataclass(frozen=True, slots=True)
class View:
    """A selection with a name: the values at first, and the presets of the dashboard."""

    name: str
    selection: Selection


@dataclass(frozen=True, slots=True)
class Choices:
    """The variables of a page, and its views, of which the first one is shown when the page opens."""

    variables: tuple[Offered, ...]
    views: tuple[View, ...]

    @property
    def initial(self) -> Selection:
        """The selection with which the page opens."""
        return self.views[0].selection

    def values(self, selection: Selection) -> Values:
        """Return the chosen values by the name of their variable."""
        return {one.name: one.chosen(indices) for one, indices in zip(self.variables, selection, strict=True)}


def defaults(dashboard: Mapping[str, Any]) -> Values:
    """Return the values that a dashboard opens with."""
    found: Values = {}
    for variable in dashboard.get('template_variables') or ():
        values = variable.get('defaults') or ([variable['default']] if variable.get('default') else [])
        found[str(variable['name'])] = [str(value) for value in values] or [EVERYTHING]
    return found


def choices(
    dashboard: Mapping[str, Any], values_of: Callable[[str], Sequence[str]], given: Mapping[str, Sequence[str]]
) -> Choices:
    """Return what a page offers. `values_of`: values of a tag in the recording; `given`: from the command line."""
    start = defaults(dashboard)
    base = {**start, **{name: list(values) for name, values in given.items() if name in start}}
    set_by_hand = ', '.join(f'{name}={",".join(base[name])}' for name in base if base[name] != start[name])
    named = [(set_by_hand or 'All', base)]
    for preset in dashboard.get('template_variable_presets') or ():
        named.append((str(preset.get('name') or ''), _preset_values(preset, base)))
    variables = tuple(
        _offered(variable, values_of, [values for _, values in named])
        for variable in dashboard.get('template_variables') or ()
    )
    views = tuple(View(name, _selection(variables, values)) for name, values in named)
    return Choices(variables, views)


def _preset_values(preset: Mapping[str, Any], base: Values) -> Values:
    """Return the values of a preset; a variable that it leaves out keeps its value in `base`."""
    values = {name: list(value) for name, value in base.items()}
    for one in preset.get('template_variables') or ():
        wanted = one.get('values') or ([one['value']] if one.get('value') else [])
        if one.get('name') in values and wanted:
            values[one['name']] = [str(value) for value in wanted]
    return values


def _offered(
    variable: Mapping[str, Any], values_of: Callable[[str], Sequence[str]], views: Sequence[Values]
) -> Offered:
    """Return a variable with the values of the views, then those that exist, then others that the dashboard names."""
    name = str(variable['name'])
    prefix = str(variable.get('prefix') or '')
    available = [str(value) for value in variable.get('available_values') or ()]
    recorded = list(values_of(prefix)) if prefix else []
    # Values in the recording come before others, since they have data.
    with_data = [value for value in available if value in recorded] if available else recorded
    used = [value for values in views for value in values[name]]
    known = [value for value in dict.fromkeys([*used, *with_data, *available]) if value not in ('', EVERYTHING)]
    return Offered(name, prefix, tuple(known[:MAX_VALUES]), hidden=max(0, len(known) - MAX_VALUES))


def _selection(variables: Sequence[Offered], values: Values) -> Selection:
    """Return the indices of values; `*` among them stands for all."""
    return tuple(
        frozenset()
        if EVERYTHING in values[one.name]
        else frozenset(one.values.index(value) for value in values[one.name] if value in one.values)
        for one in variables
    )

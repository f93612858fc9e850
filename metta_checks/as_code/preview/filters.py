"""Filters of queries: which series match, for one choice of template variables?"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from ..query import variables_in
from ..query_tree import AllOf, AnyOf, Condition, Filter, Membership, Not, Variable


class Tagged(Protocol):
    """A thing that filters select by its tags: a series, a service check, an event."""

    @property
    def tags(self) -> tuple[str, ...]:
        """All tags."""

    @property
    def by_key(self) -> Mapping[str, Sequence[str]]:
        """Values by tag key."""


Predicate = Callable[[Tagged], bool]
# Value of a template variable that means "do not filter".
EVERYTHING = '*'
# Variables in the value of a tag, as in `$zone.value-$env.value`; their values multiply.
MAX_VARIABLES = 3


class NotDrawn(Exception):
    """A request is not evaluated by the preview; one line for the reader."""


class Variables:
    """Template variables of a dashboard with their chosen values."""

    def __init__(
        self, declared: Iterable[Mapping[str, Any]] = (), chosen: Mapping[str, str | Sequence[str]] | None = None
    ) -> None:
        self._prefixes: dict[str, str] = {}
        self._values: dict[str, tuple[str, ...]] = {}
        chosen = chosen or {}
        for variable in declared:
            name = str(variable['name'])
            self._prefixes[name] = str(variable.get('prefix') or '')
            value = chosen.get(name)
            if value is None:
                value = variable.get('defaults') or variable.get('default') or EVERYTHING
            self._values[name] = (value,) if isinstance(value, str) else tuple(map(str, value))

    def __getitem__(self, name: str) -> tuple[str, tuple[str, ...]]:
        """Return (prefix, values); no values where all are chosen. Raises NotDrawn for an unknown name."""
        if name not in self._prefixes:
            raise NotDrawn(f'unknown template variable ${name}')
        values = self._values[name]
        return self._prefixes[name], () if EVERYTHING in values else values


def search_filter(text: str) -> Filter:
    """Return the filter of one term of a search: `$env`, `env:$env.value`, `env:production`, `*` or a whole tag."""
    key, colon, value = text.partition(':')
    if text == EVERYTHING:
        return AllOf(())
    if text.startswith('$'):
        return Variable(text[1:].removesuffix('.value'), text.endswith('.value'))
    if value.startswith('$'):
        return Variable(value[1:].removesuffix('.value'), value_only=True, tag=key)
    return Condition(key, value) if colon else Condition('', text)


def predicate(filter_: Filter, variables: Variables) -> Predicate:
    """Return the test that a series must pass. Raises NotDrawn for an unknown variable."""
    match filter_:
        case AllOf(filters):
            tests = [predicate(one, variables) for one in filters]
            return lambda series: all(test(series) for test in tests)
        case AnyOf(filters):
            tests = [predicate(one, variables) for one in filters]
            return lambda series: any(test(series) for test in tests)
        case Not(inner):
            test = predicate(inner, variables)
            return lambda series: not test(series)
        case Membership(tag, values):
            return tag_is(tag, [one for value in values for one in _chosen(value, variables)])
        case Condition(tag, value):
            return tag_is(tag, _chosen(value, variables))
        case Variable(name, _, tag):
            prefix, values = variables[name]
            return tag_is(tag or prefix, values) if values else lambda _: True
    raise TypeError(f'not a filter: {filter_!r}')


def _chosen(value: str, variables: Variables) -> list[str]:
    """Return a tag's value for each choice of the variables in it. Raises NotDrawn for an unknown variable."""
    found = [value]
    names = list(dict.fromkeys(variables_in(value)))
    if len(names) > MAX_VARIABLES:
        raise NotDrawn(f'more than {MAX_VARIABLES} template variables in the value of a tag')
    for name in names:
        _, values = variables[name]
        found = [one.replace(f'${name}.value', each) for one in found for each in values or (EVERYTHING,)]
    return found


def _pattern(value: str) -> re.Pattern[str]:
    """Return the pattern of a value with wildcards."""
    first, *middle, last = map(re.escape, value.split('*'))
    # The first place of each part is the right one: to try further ones takes very long where there are many wildcards.
    return re.compile(f'{first}{"".join(f"(?>.*?{part})" for part in middle)}.*{last}')


def tag_is(key: str, values: Iterable[str]) -> Predicate:
    """Return whether the series has one of these values under a key; without a key, one of these whole tags.

    Datadog stores tags in lower case, so the compared values are lowered, too; `*` matches any characters.
    """
    key = key.lower()
    exact, patterns = set(), []
    for value in map(str.lower, values):
        if '*' in value:
            patterns.append(_pattern(value))
        else:
            exact.add(value)

    def test(series: Tagged) -> bool:
        found = series.by_key.get(key, ()) if key else series.tags
        return any(
            value.lower() in exact or any(pattern.fullmatch(value.lower()) for pattern in patterns) for value in found
        )

    return test

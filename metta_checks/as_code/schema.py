"""Strict check of a dashboard, monitor or SLO against the Datadog API's description, without the API and its client.

schema.json is derived from the client's classes by tools/api_schema.py. Where the API accepts one of several kinds of
object, they are distinguished by their fixed values (`type`, `data_source`); errors are reported for the intended kind.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from difflib import get_close_matches
from functools import cache
from importlib import resources
from typing import Any, Literal, NotRequired, TypedDict
from uuid import UUID

from metta_checks.core.stats import is_finite
from metta_checks.core.text import one_line

MAX_DEPTH = 60
# Longer lists of allowed values are not shown, only the closest value.
MAX_LISTED = 24
MAX_MESSAGE = 2000

Level = Literal['error', 'warning']


class Model(TypedDict):
    """An object of the API: the types of its keys, and the constraints on their values."""

    keys: dict[str, list[str]]
    required: NotRequired[list[str]]
    # Keys that only Datadog sets.
    read_only: NotRequired[list[str]]
    # Per key, for example {"minimum": 0}.
    limits: NotRequired[dict[str, dict[str, float]]]


class Table(TypedDict):
    """The content of schema.json. Types are names of models, unions, enums and plain types, `[X | Y]` or `{X}`."""

    # Version of the client that the table is made from.
    client: str
    models: dict[str, Model]
    unions: dict[str, list[str]]
    enums: dict[str, list[Any]]
    # Types of a dashboard, monitor and SLO.
    roots: dict[str, str]


@dataclass(frozen=True, slots=True)
class Violation:
    """A location where a document differs from the API's description. `path` is like `widgets[0].definition.type`."""

    path: str
    message: str
    level: Level = 'error'


def violations(kind: str, document: Any, *, unknown: Level = 'error') -> list[Violation]:
    """Return the differences of a document from the API's description of its kind, in document order.

    `kind` is dashboard, monitor (its definition) or slo. `unknown` is the level of keys and nulls that the table does
    not know, and of keys that only Datadog sets: an error in the strict sense, a warning where documents may come from
    Datadog, whose API is ahead of its client.
    """
    comparison = _Comparison(unknown)
    found = comparison.check((comparison.table['roots'][kind],), document, '', 0)
    # Messages quote keys and values of the document.
    return [replace(one, message=one_line(one.message, MAX_MESSAGE)) for one in found]


@cache
def table() -> Table:
    """Return the table of models, unions and enums."""
    loaded: Table = json.loads(resources.files(__package__).joinpath('schema.json').read_text(encoding='utf-8'))
    return loaded


class _Comparison:
    def __init__(self, unknown: Level) -> None:
        self.unknown = unknown
        self.table = table()

    def check(self, types: Sequence[str], value: Any, path: str, depth: int) -> Iterator[Violation]:
        """Yield the differences of a value from the types that it may have."""
        if depth > MAX_DEPTH and isinstance(value, (dict, list)):
            yield Violation(path, f'nested more than {MAX_DEPTH} deep')
            return
        alternatives = _flat(tuple(types))
        if isinstance(value, dict):
            yield from self.check_object(alternatives, value, path, depth)
        elif isinstance(value, list):
            yield from self.check_list(alternatives, value, path, depth)
        elif not any(self.takes(one, value) for one in alternatives):
            # Datadog returns null where the client does not expect it.
            yield Violation(path, self.refusal(alternatives, value), self.unknown if value is None else 'error')

    def takes(self, type_: str, value: Any) -> bool:
        """Return whether a type accepts a value that is neither an object nor a list."""
        if type_ in self.table['enums']:
            # Without comparing types, True would pass for 1.
            return any(type(value) is type(one) and value == one for one in self.table['enums'][type_])
        return type_ in _PLAIN and _PLAIN[type_](value)

    def refusal(self, alternatives: Sequence[str], value: Any) -> str:
        values = [allowed for one in alternatives for allowed in self.values(one)]
        if values and len(values) == sum(len(self.table['enums'].get(one, (0,))) for one in alternatives):
            return not_allowed(value, values)
        return f'expected {self.names(alternatives)}, found {_shown(value)}'

    def names(self, alternatives: Sequence[str]) -> str:
        """Return the types in words."""
        words = []
        for one in alternatives:
            if one.startswith('['):
                word = 'a list'
            elif one.startswith('{') or one in self.table['models']:
                word = 'an object'
            elif one in self.table['enums']:
                word = f'one of {_listed(self.values(one))}'
            else:
                word = _WORDS[one]
            if word not in words:
                words.append(word)
        return ' or '.join(words)

    def check_list(self, alternatives: Sequence[str], value: list[Any], path: str, depth: int) -> Iterator[Violation]:
        lists = [one for one in alternatives if one.startswith('[')]
        if 'any' in alternatives:
            return
        if not lists:
            yield Violation(path, f'expected {self.names(alternatives)}, found a list')
            return
        items = tuple(inner for one in lists for inner in _inside(one))
        for index, item in enumerate(value):
            yield from self.check(items, item, f'{path}[{index}]', depth + 1)

    def check_object(
        self, alternatives: Sequence[str], value: dict[str, Any], path: str, depth: int
    ) -> Iterator[Violation]:
        if 'any' in alternatives:
            return
        models = [one for one in alternatives if one in self.table['models']]
        maps = [one for one in alternatives if one.startswith('{')]
        if not models and not maps:
            yield Violation(path, f'expected {self.names(alternatives)}, found an object')
        elif not models:
            items = tuple(inner for one in maps for inner in _inside(one))
            for key, item in value.items():
                yield from self.check(items, item, _join(path, key), depth + 1)
        elif len(models) == 1:
            yield from self.check_model(models[0], value, path, depth)
        else:
            yield from self.check_union(models, value, path, depth)

    def check_union(self, models: list[str], value: dict[str, Any], path: str, depth: int) -> Iterator[Violation]:
        """Yield the differences of an object from the alternative that it is meant to be."""
        for key in self.discriminators(models):
            place = _join(path, key)
            if key in value:
                meant = [one for one in models if self.takes_value(one, key, value[key])]
                if not meant and all(self.fixed(one, key) for one in models):
                    yield Violation(place, not_allowed(value[key], sorted(set(self.allowed(models, key)), key=str)))
                    return
                models = meant or models
            elif self.separates(models, key) or all(self.requires(one, key) for one in models):
                allowed = sorted(set(self.allowed(models, key)), key=str)
                yield Violation(place, f'missing; expected one of {_listed(allowed)}')
                return
        yield from self.closest_model(models, value, path, depth)

    def closest_model(self, models: list[str], value: dict[str, Any], path: str, depth: int) -> list[Violation]:
        """Return the differences of an object from the alternative that it resembles most."""
        attempts = {one: list(self.check_model(one, value, path, depth)) for one in models}

        def rank(model: str) -> tuple[bool, tuple[int, int, int]]:
            # An alternative without errors is the intended one, even if the object has unknown keys.
            found = attempts[model]
            return any(one.level == 'error' for one in found), self.distance(model, value, path, found)

        return attempts[min(models, key=rank)]

    def takes_value(self, model: str, key: str, value: Any) -> bool:
        """Return whether a model accepts a value, neither an object nor a list, under a key."""
        return any(self.takes(type_, value) for type_ in self.key_types(model, key))

    def distance(self, model: str, value: dict[str, Any], path: str, found: list[Violation]) -> tuple[int, int, int]:
        """Return how far an object is from an alternative: unknown and missing keys, depth and number of errors."""
        entry = self.table['models'][model]
        strange = sum(key not in entry['keys'] for key in value)
        missing = sum(key not in value for key in entry.get('required', ()))
        deepest = max((one.path.count('.') + one.path.count('[') for one in found), default=0)
        return strange + missing, -deepest, len(found)

    def discriminators(self, models: list[str]) -> list[str]:
        """Return the keys whose fixed values distinguish these models."""
        found: dict[str, None] = {}
        for one in models:
            for key in self.table['models'][one]['keys']:
                if self.fixed(one, key) and (self.requires(one, key) or self.separates(models, key)):
                    found[key] = None
        return list(found)

    def separates(self, models: list[str], key: str) -> bool:
        """Return whether no two of several models allow the same value; without the key, any of them may be meant."""
        if len(models) < 2 or not all(self.fixed(one, key) for one in models):
            return False
        values = self.allowed(models, key)
        return len(values) == len(set(values))

    def requires(self, model: str, key: str) -> bool:
        return key in self.table['models'][model].get('required', ())

    def allowed(self, models: list[str], key: str) -> list[Any]:
        """Return the fixed values of a key in all of the models."""
        return [value for one in models for type_ in self.key_types(one, key) for value in self.values(type_)]

    def values(self, type_: str) -> list[Any]:
        return self.table['enums'].get(type_, [])

    def key_types(self, model: str, key: str) -> tuple[str, ...]:
        return _flat(tuple(self.table['models'][model]['keys'].get(key, ())))

    def fixed(self, model: str, key: str) -> bool:
        """Return whether a model restricts a key to a few values."""
        types = self.key_types(model, key)
        return bool(types) and all(one in self.table['enums'] for one in types)

    def check_model(self, model: str, value: dict[str, Any], path: str, depth: int) -> Iterator[Violation]:
        entry = self.table['models'][model]
        keys, read_only = entry['keys'], entry.get('read_only', ())
        for key in entry.get('required', ()):
            if key not in value:
                yield Violation(_join(path, key), 'missing')
        for key, item in value.items():
            place = _join(path, key)
            if key not in keys:
                yield Violation(place, _unknown(key, keys), self.unknown)
            elif key in read_only:
                yield Violation(place, 'set by Datadog itself; leave it out', self.unknown)
            else:
                found = list(self.check(keys[key], item, place, depth + 1))
                yield from found or self.check_limits(entry.get('limits', {}).get(key, {}), item, place)

    def check_limits(self, limits: dict[str, float], value: Any, path: str) -> Iterator[Violation]:
        for limit, bound in limits.items():
            if value is not None and not _within(limit, bound, value):
                yield Violation(path, _LIMITS[limit].format(bound=bound, found=_measured(limit, value)))


def not_allowed(value: Any, allowed: Sequence[Any]) -> str:
    """Return the message for a value that is not allowed."""
    return f'{_shown(value)} is not allowed; expected one of {_listed(allowed, value)}'


def closest(name: str, known: Sequence[str]) -> str:
    """Return `; closest: x` for a name similar to a known one, else an empty text."""
    found = get_close_matches(name, known, n=1, cutoff=0.6)
    return f'; closest: {found[0]}' if found else ''


def _unknown(key: str, keys: dict[str, list[str]]) -> str:
    return f'unknown key{closest(key, list(keys))}'


def _listed(values: Sequence[Any], wanted: Any = None) -> str:
    if len(values) <= MAX_LISTED:
        return ', '.join(str(one) for one in values)
    near = get_close_matches(str(wanted), [str(one) for one in values], n=5, cutoff=0.4) or values[:5]
    return f'{", ".join(str(one) for one in near)} and {len(values) - len(near)} others'


def _join(path: str, key: str) -> str:
    return f'{path}.{key}' if path else key


def _shown(value: Any) -> str:
    if value is None:
        return 'null'
    if isinstance(value, (dict, list)):
        return 'an object' if isinstance(value, dict) else 'a list'
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f'{text[:57]}...'


def _is_number(value: Any) -> bool:
    return not isinstance(value, bool) and is_finite(value)


def _parses(parse: Callable[[str], Any]) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        try:
            return isinstance(value, str) and parse(value) is not None
        except ValueError:
            return False

    return check


_PLAIN: dict[str, Callable[[Any], bool]] = {
    'str': lambda value: isinstance(value, str),
    'int': lambda value: isinstance(value, int) and not isinstance(value, bool),
    'float': _is_number,
    'bool': lambda value: isinstance(value, bool),
    'null': lambda value: value is None,
    'datetime': _parses(datetime.fromisoformat),
    'date': _parses(date.fromisoformat),
    'uuid': _parses(UUID),
    'any': lambda value: True,
}
_WORDS = {
    'str': 'a string',
    'int': 'an integer',
    'float': 'a number',
    'bool': 'true or false',
    'null': 'null',
    'datetime': 'a time such as 2025-01-31T12:00:00Z',
    'date': 'a date such as 2025-01-31',
    'uuid': 'a UUID',
    'any': 'anything',
}
_LIMITS = {
    'minimum': 'must be at least {bound}, is {found}',
    'maximum': 'must be at most {bound}, is {found}',
    'min_length': 'must have at least {bound} characters, has {found}',
    'max_length': 'must have at most {bound} characters, has {found}',
    'min_items': 'must have at least {bound} items, has {found}',
    'max_items': 'must have at most {bound} items, has {found}',
}


def _measured(limit: str, value: Any) -> float:
    return value if limit in ('minimum', 'maximum') else len(value)


def _within(limit: str, bound: float, value: Any) -> bool:
    return _measured(limit, value) >= bound if limit.startswith('min') else _measured(limit, value) <= bound


@cache
def _flat(types: tuple[str, ...]) -> tuple[str, ...]:
    """Return the alternatives with each union replaced by its members."""
    unions = table()['unions']
    return tuple(
        dict.fromkeys(one for name in types for one in (_flat(tuple(unions[name])) if name in unions else (name,)))
    )


@cache
def _inside(type_: str) -> tuple[str, ...]:
    """Return the alternatives inside the brackets of `[X | Y]` or `{X}`."""
    found, depth, start = [], 0, 1
    for index, character in enumerate(type_[1:-1], 1):
        depth += (character in '[{') - (character in ']}')
        if character == '|' and depth == 0:
            found.append(type_[start:index].strip())
            start = index + 1
    return (*found, type_[start:-1].strip())

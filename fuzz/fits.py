"""Comparison of a record with its annotations."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from functools import cache
from typing import Any, Union, get_args, get_origin

from .target import Finding, finite

MAX_DEPTH = 6


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def fits(value: Any, hint: Any, where: str = 'value', depth: int = 0) -> None:
    """Compare a value with its annotation. Raises Finding for another type and for a number that is not finite."""
    if hint is Any or depth > MAX_DEPTH:
        return
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        _expect(any(_does_fit(value, one, depth) for one in get_args(hint)), value, hint, where)
    elif origin is tuple:
        _expect(isinstance(value, tuple), value, hint, where)
        inside = get_args(hint)
        if len(inside) == 2 and inside[1] is Ellipsis:
            inside = (inside[0],) * len(value)
        _expect(len(inside) == len(value), value, hint, where)
        for item, one in zip(value, inside, strict=True):
            fits(item, one, f'{where}[]', depth + 1)
    elif origin is not None and issubclass(origin, Mapping):
        _expect(isinstance(value, Mapping), value, hint, where)
        key, item = get_args(hint)
        for name, entry in value.items():
            fits(name, key, f'a key of {where}', depth + 1)
            fits(entry, item, f'{where}[{name!r:.40}]', depth + 1)
    elif origin is not None and issubclass(origin, (Sequence, set, frozenset)):
        _expect(not isinstance(value, str) and hasattr(value, '__iter__'), value, hint, where)
        for item in value:
            fits(item, get_args(hint)[0], f'{where}[]', depth + 1)
    else:
        _plain(value, hint, where, depth)


def _does_fit(value: Any, hint: Any, depth: int) -> bool:
    try:
        fits(value, hint, '', depth)
    except Finding:
        return False
    return True


def _plain(value: Any, hint: Any, where: str, depth: int) -> None:
    if hint in (None, type(None)):
        _expect(value is None, value, hint, where)
    elif hint is float:
        finite(value, where)
    elif hint is int:
        _expect(isinstance(value, int) and not isinstance(value, bool), value, hint, where)
        finite(value, where)
    elif hint in (str, bool, datetime):
        _expect(isinstance(value, hint), value, hint, where)
    elif isinstance(hint, type) and (is_dataclass(hint) or hasattr(hint, '_fields')):
        _expect(isinstance(value, hint), value, hint, where)
        names = [one.name for one in fields(hint)] if is_dataclass(hint) else hint._fields
        for name in names:
            fits(getattr(value, name), _hints(hint)[name], f'{hint.__name__}.{name}', depth + 1)


def _expect(good: bool, value: Any, hint: Any, where: str) -> None:
    if not good:
        raise Finding(f'{where} is {value!r:.80}, not {hint}')

"""What the specification cannot say: misspelt keys of a section are errors, and YAML's `off` is a word here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args


def instance_idle(value: Any, *, field: Any) -> Any:
    """`source: off` without quotes is YAML's false."""
    if isinstance(value, Mapping) and value.get('source') is False:
        value = {**value, 'source': 'off'}
    return _without_strangers(value, field)


def instance_prices(value: Any, *, field: Any) -> Any:
    """A misspelt source of prices must not become another one."""
    return _without_strangers(value, field)


def _without_strangers(value: Any, field: Any) -> Any:
    model = next(argument for argument in get_args(field.annotation) if hasattr(argument, 'model_fields'))
    strangers = sorted(set(value) - set(model.model_fields)) if isinstance(value, Mapping) else []
    if strangers:
        raise ValueError(f'unknown: {", ".join(strangers)} (known: {", ".join(sorted(model.model_fields))})')
    return value

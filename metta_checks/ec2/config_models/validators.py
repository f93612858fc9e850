"""Rules beyond the specification: a misspelled key of a section is an error, and the YAML value `off` is a word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args


def instance_idle(value: Any, *, field: Any) -> Any:
    """Accept `source: off` without quotes, which is false in YAML. Refuse unknown keys."""
    if isinstance(value, Mapping) and value.get('source') is False:
        value = {**value, 'source': 'off'}
    return _without_unknown_keys(value, field)


def instance_prices(value: Any, *, field: Any) -> Any:
    """Refuse unknown keys: a misspelled source of prices must not become another one."""
    return _without_unknown_keys(value, field)


def _without_unknown_keys(value: Any, field: Any) -> Any:
    model = next(argument for argument in get_args(field.annotation) if hasattr(argument, 'model_fields'))
    unknown = sorted(set(value) - set(model.model_fields)) if isinstance(value, Mapping) else []
    if unknown:
        raise ValueError(f'unknown: {", ".join(unknown)} (known: {", ".join(sorted(model.model_fields))})')
    return value

"""Rules beyond the specification: numbers without quotes, and misspelled keys of a section are errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args


def initialize_instance(values: Any, **_: Any) -> Any:
    """Return the values with the numbers of an App, which may be written without quotes, as texts."""
    return {
        key: str(value) if key in ('app_id', 'app_installation_id') and isinstance(value, int) else value
        for key, value in values.items()
    }


def instance_shard(value: Any, *, field: Any) -> Any:
    """Refuse unknown keys: with a misspelled one, two instances would read the same repositories."""
    model = next(argument for argument in get_args(field.annotation) if hasattr(argument, 'model_fields'))
    unknown = sorted(set(value) - set(model.model_fields)) if isinstance(value, Mapping) else []
    if unknown:
        raise ValueError(f'unknown: {", ".join(unknown)} (known: {", ".join(sorted(model.model_fields))})')
    return value

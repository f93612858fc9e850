"""What the configuration means: summary keys, run types, prices."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datadog_checks.base import ConfigurationError

from ..core.fields import amount, mapping, text
from .measures import Figures
from .table import RUN_TYPE_FIELDS, Reading, RunType

if TYPE_CHECKING:
    from .config_models.instance import InstanceConfig

_ALIAS = re.compile(r'[a-z][a-z0-9]*(_[a-z0-9]+)*')
MAX_ALIASES = 20
MAX_ALIAS_LENGTH = 40


@dataclass(frozen=True, slots=True)
class Settings:
    """Which parts of a run are kept, and which figures are made of them."""

    reading: Reading
    figures: Figures

    @classmethod
    def of(cls, config: InstanceConfig) -> Settings:
        """From the typed instance. Raises ConfigurationError naming the option."""
        aliases = _aliases(config.summary_metrics)
        keys = tuple(dict.fromkeys((config.accuracy_key, config.loss_key, *aliases.values())))
        position = {key: index for index, key in enumerate(keys)}
        reading = Reading(keys, _run_types(config.run_types), config.gpu_count_config_key)
        figures = Figures(
            accuracy=position[config.accuracy_key],
            loss=position[config.loss_key],
            aliases={alias: position[key] for alias, key in aliases.items()},
            prices=_prices(config.prices or {}),
            costs=config.prices is not None,
            stale_minutes=config.stale_minutes,
            by_user=config.by_user,
            single_runs=config.max_runs if config.per_run else 0,
        )
        return cls(reading, figures)


def _aliases(option: Mapping[str, Any]) -> dict[str, str]:
    if len(option) > MAX_ALIASES:
        raise ConfigurationError(f'option `summary_metrics`: {len(option)} aliases, at most {MAX_ALIASES} are possible')
    for alias, key in option.items():
        if not _ALIAS.fullmatch(str(alias)) or len(alias) > MAX_ALIAS_LENGTH:
            raise ConfigurationError(
                f'option `summary_metrics`: {alias!r} becomes part of a metric name, so it must be in snake_case, '
                f'at most {MAX_ALIAS_LENGTH} characters'
            )
        if text(key) is None:
            raise ConfigurationError(f'option `summary_metrics`: {alias} needs the summary key it stands for')
    return dict(option)


def _run_types(option: Mapping[str, Any]) -> tuple[RunType, ...]:
    return tuple(_run_type(str(name), rule) for name, rule in option.items())


def _run_type(name: str, rule: Any) -> RunType:
    fields = mapping(rule) or {}
    if set(fields) != {'field', 'pattern'}:
        raise ConfigurationError(f'option `run_types`: {name} needs `field` and `pattern`, and nothing else')
    if fields['field'] not in RUN_TYPE_FIELDS:
        known = ', '.join(RUN_TYPE_FIELDS)
        raise ConfigurationError(f'option `run_types`: the field of {name} must be one of {known}')
    try:
        return RunType(name, fields['field'], re.compile(str(fields['pattern'])))
    except re.error as error:
        raise ConfigurationError(
            f'option `run_types`: the pattern of {name} is not a regular expression: {error}'
        ) from error


def _prices(option: Mapping[str, Any]) -> dict[str, float]:
    prices = {}
    for gpu_type, price in option.items():
        value = amount(price)
        if value is None:
            raise ConfigurationError(f'option `prices`: the price of {gpu_type} must be a number of USD, not {price!r}')
        prices[str(gpu_type).lower()] = value
    return prices

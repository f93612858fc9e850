"""The options as the rest of the source uses them: summary keys, run types, prices, optional figures."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from datadog_checks.base import ConfigurationError

from ..core.accelerators import by_accelerator_type
from ..core.fields import amount, mapping, text
from ..core.memo import fingerprint
from ..core.tag_values import OTHER
from .hardware import Hardware
from .records import Run

if TYPE_CHECKING:
    from .config_models.instance import InstanceConfig

_ALIAS = re.compile(r'[a-z][a-z0-9]*(_[a-z0-9]+)*')
MAX_ALIASES = 20
MAX_ALIAS_LENGTH = 40
# Attributes of a run by the field of a rule of option `run_types`.
_ATTRIBUTES = {'display_name': 'name', 'group': 'group', 'job_type': 'job_type', 'sweep': 'sweep'}
RUN_TYPE_FIELDS = ('tags', *_ATTRIBUTES)


@dataclass(frozen=True, slots=True)
class RunType:
    """A rule of option `run_types`."""

    name: str
    field: str
    pattern: re.Pattern[str]

    def matches(self, run: Run) -> bool:
        """Return True when the pattern is found in the field; for `tags`, in one of the tags."""
        values = run.tags if self.field == 'tags' else (getattr(run, _ATTRIBUTES[self.field]),)
        return any(self.pattern.search(value) for value in values)


@dataclass(frozen=True, slots=True)
class Columns:
    """The configurable columns of a row of the table of runs."""

    # Summary keys.
    keys: tuple[str, ...]
    run_types: tuple[RunType, ...] = ()
    gpu_count_key: str | None = None
    # Patterns of the names that several machines have, in lower case.
    shared_hosts: tuple[str, ...] = ()
    by_user: bool = False
    by_group: bool = False

    def run_type(self, run: Run) -> str:
        """Return the name of the first rule that matches, `other` when none does; empty without rules."""
        if not self.run_types:
            return ''
        return next((rule.name for rule in self.run_types if rule.matches(run)), OTHER)

    def hardware(self, hardware: Hardware) -> Hardware:
        """Return the hardware without the name of its host, if several machines may have this name."""
        if any(fnmatchcase(hardware.host, pattern) for pattern in self.shared_hosts):
            return hardware._replace(host='')
        return hardware

    def fingerprint(self, missing: Sequence[str]) -> str:
        """Return a fingerprint of the columns and of the fields that the server lacks.

        Rows with another one are read again.
        """
        rules = [(rule.name, rule.field, rule.pattern.pattern) for rule in self.run_types]
        columns = [self.keys, rules, self.gpu_count_key, self.shared_hosts, self.by_user, self.by_group, missing]
        return fingerprint(json.dumps(columns))


@dataclass(frozen=True, slots=True)
class Figures:
    """The optional figures, and the positions of the summary keys in a row's numbers."""

    accuracy: int
    loss: int
    aliases: Mapping[str, int]
    # USD per GPU-hour by GPU type.
    prices: Mapping[str, float] = field(default_factory=dict)
    # True when option `prices` is set.
    costs: bool = False
    stale_minutes: float = 15
    # Optional breakdowns of the GPU-hours. `by_user` is also a tag of `runs.finished`.
    by_state: bool = False
    by_user: bool = False
    by_run_type: bool = False
    by_group: bool = False
    # True for readings of GPUs beside utilization and memory.
    gpu_details: bool = False
    # Number of running runs that get series of their own; 0 for none.
    single_runs: int = 0


@dataclass(frozen=True, slots=True)
class Settings:
    """The options, checked and with their defaults."""

    columns: Columns
    figures: Figures

    @classmethod
    def of(cls, config: InstanceConfig) -> Settings:
        """Return the settings of an instance. Raises ConfigurationError with the name of the option."""
        aliases = _aliases(config.summary_metrics)
        keys = tuple(dict.fromkeys((config.accuracy_key, config.loss_key, *aliases.values())))
        position = {key: index for index, key in enumerate(keys)}
        columns = Columns(
            keys,
            _run_types(config.run_types),
            config.gpu_count_config_key,
            tuple(pattern.lower() for pattern in config.shared_host_names),
            by_user=config.by_user,
            by_group=config.by_group,
        )
        figures = Figures(
            accuracy=position[config.accuracy_key],
            loss=position[config.loss_key],
            aliases={alias: position[key] for alias, key in aliases.items()},
            prices=_prices(config.prices or {}),
            costs=config.prices is not None,
            stale_minutes=config.stale_minutes,
            by_state=config.by_state,
            by_user=config.by_user,
            by_run_type=config.by_run_type,
            by_group=config.by_group,
            gpu_details=config.gpu_details,
            single_runs=config.max_runs if config.per_run else 0,
        )
        return cls(columns, figures)


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
    for gpu_type, price in by_accelerator_type('prices', option).items():
        value = amount(price)
        if value is None:
            raise ConfigurationError(f'option `prices`: the price of {gpu_type} must be a number of USD, not {price!r}')
        prices[gpu_type] = value
    return prices

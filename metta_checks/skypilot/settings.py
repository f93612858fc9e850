"""The options of an instance, checked and with their defaults filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from datadog_checks.base import ConfigurationError

from ..core.accelerators import by_accelerator_type
from ..core.fields import amount, mapping
from .resources import ON_DEMAND, SPOT

if TYPE_CHECKING:
    from .config_models.instance import InstanceConfig

# USD per GPU-hour by GPU type and market.
GpuPrices = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Settings:
    """The options that decide which figures are shown.

    Attributes:
        gpu_prices: option `prices`
        by_user: count jobs and GPUs per user
        by_workspace: add the tag `workspace`
        single_jobs: number of jobs that get series of their own; 0 for none
        max_rows: number of task rows of the job queue to evaluate
        api_timing: show the time that the server takes for each operation
        pools: show the pools of workers
        idle: time without a job after which a cluster is idle; None: clusters are not asked for their jobs
    """

    gpu_prices: GpuPrices
    by_user: bool
    by_workspace: bool
    single_jobs: int
    max_rows: int
    api_timing: bool
    pools: bool
    idle: timedelta | None

    @classmethod
    def of(cls, config: InstanceConfig) -> Settings:
        """Resolve the options of an instance. Raises ConfigurationError for options that contradict each other."""
        if config.token and config.username:
            raise ConfigurationError('options `token` and `username` exclude each other: set one')
        return cls(
            gpu_prices=gpu_prices(config.prices),
            by_user=config.by_user,
            by_workspace=config.by_workspace,
            single_jobs=config.max_jobs if config.per_job else 0,
            max_rows=config.max_rows,
            api_timing=config.api_timing,
            pools=config.pools,
            idle=timedelta(minutes=config.idle_minutes) if config.idle_minutes else None,
        )


def gpu_prices(option: Mapping[str, Any]) -> GpuPrices:
    """Return option `prices`: {gpu_type: {ondemand: USD, spot: USD}}. Raises ConfigurationError naming the entry."""
    return {gpu_type: _by_market(gpu_type, entry) for gpu_type, entry in by_accelerator_type('prices', option).items()}


def _by_market(gpu_type: str, entry: Any) -> dict[str, float]:
    markets = mapping(entry)
    if not markets or set(markets) - {ON_DEMAND, SPOT}:
        raise ConfigurationError(
            f'option `prices`: {gpu_type} needs USD per GPU-hour as `ondemand`, `spot` or both, and nothing else'
        )
    prices: dict[str, float] = {}
    for market, value in markets.items():
        price = amount(value)
        if price is None:
            raise ConfigurationError(
                f'option `prices`: the {market} price of {gpu_type} must be an amount of USD, not {value!r:.40}'
            )
        prices[market] = price
    return prices

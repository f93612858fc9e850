"""The options of an instance, checked and with their defaults filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from datadog_checks.base import ConfigurationError

IDLE_INTERVAL = 6 * 3600


@dataclass(frozen=True, slots=True)
class Access:
    """Whose eyes AWS is seen with, and where it is."""

    profile: str | None
    access_key_id: str | None
    secret_access_key: str | None = field(repr=False)
    role_arn: str | None
    external_id: str | None
    endpoint_url: str | None
    connect_timeout: float
    read_timeout: float


@dataclass(frozen=True, slots=True)
class PriceSettings:
    """Where list prices come from. `sources` are asked in this order: `api`, `file`, `table`."""

    sources: tuple[str, ...]
    file: str | None
    # USD per hour by instance type.
    table: Mapping[str, float]
    spot: bool


@dataclass(frozen=True, slots=True)
class IdleSettings:
    """The rule for idle instances. `source` is `cloudwatch`, `compute_optimizer` or `off`."""

    source: str
    interval: int
    cpu_max_pct: float
    network_max_mb_per_day: float
    min_age_hours: float
    max_instances: int


@dataclass(frozen=True, slots=True)
class Settings:
    """All of it. Raises ConfigurationError, in one line, for options that contradict each other."""

    access: Access
    regions: tuple[str, ...]
    prices: PriceSettings
    idle: IdleSettings
    max_types: int
    tag_by: tuple[str, ...]
    price_snapshots: bool
    cost_explorer: bool

    @classmethod
    def of(cls, config: Any) -> Settings:
        """From the config model of an instance."""
        if bool(config.access_key_id) != bool(config.secret_access_key):
            raise ConfigurationError('options `access_key_id` and `secret_access_key` go together: set both or none')
        if config.access_key_id and config.profile:
            raise ConfigurationError('options `profile` and `access_key_id` exclude each other')
        if config.external_id and not config.role_arn:
            raise ConfigurationError('option `external_id` needs option `role_arn`')
        return cls(
            access=Access(
                profile=config.profile or None,
                access_key_id=config.access_key_id or None,
                secret_access_key=config.secret_access_key or None,
                role_arn=config.role_arn or None,
                external_id=config.external_id or None,
                endpoint_url=config.endpoint_url or None,
                connect_timeout=config.connect_timeout,
                read_timeout=config.read_timeout,
            ),
            regions=tuple(dict.fromkeys(config.regions or ())),
            prices=_prices(config.prices),
            idle=_idle(config.idle),
            max_types=config.max_types,
            tag_by=tuple(dict.fromkeys(config.tag_by or ())),
            price_snapshots=bool(config.price_snapshots),
            cost_explorer=bool(config.cost_explorer),
        )


def _prices(section: Any) -> PriceSettings:
    source = _given(section, 'source', 'auto')
    file, table = _given(section, 'file', None), _given(section, 'table', {})
    if source == 'file' and not file:
        raise ConfigurationError('option `prices.source: file` needs option `prices.file`, the path of a CSV file')
    if source == 'table' and not table:
        raise ConfigurationError('option `prices.source: table` needs option `prices.table`, USD per hour by type')
    wrong = [name for name, price in table.items() if not price > 0]
    if wrong:
        raise ConfigurationError(f'option `prices.table`: prices must be above 0 ({", ".join(sorted(wrong))})')
    known = [('api', True), ('file', bool(file)), ('table', bool(table))]
    sources = tuple(name for name, given in known if given) if source == 'auto' else (source,)
    return PriceSettings(sources, file, dict(table), _given(section, 'spot', True))


def _idle(section: Any) -> IdleSettings:
    return IdleSettings(
        source=_given(section, 'source', 'cloudwatch'),
        interval=_given(section, 'interval', IDLE_INTERVAL),
        cpu_max_pct=_given(section, 'cpu_max_pct', 5.0),
        network_max_mb_per_day=_given(section, 'network_max_mb_per_day', 5.0),
        min_age_hours=_given(section, 'min_age_hours', 24.0),
        max_instances=_given(section, 'max_instances', 1000),
    )


def _given(section: Any, name: str, default: Any) -> Any:
    value = getattr(section, name, None)
    return default if value is None else value

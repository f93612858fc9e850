"""The options of an instance, checked and with their defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from datadog_checks.base import ConfigurationError

from .tag_keys import TagKey, tag_keys

if TYPE_CHECKING:
    from .config_models.instance import Idle, InstanceConfig, Prices

READ_OPERATIONS = ('describe_instances', 'describe_instance_types', 'describe_volumes', 'describe_addresses')


@dataclass(frozen=True, slots=True)
class Access:
    """Credentials and endpoint for AWS calls. Timeouts are in seconds."""

    profile: str | None
    access_key_id: str | None
    secret_access_key: str | None = field(repr=False)
    role_arn: str | None
    external_id: str | None
    endpoint_url: str | None
    connect_timeout: float
    read_timeout: float

    @classmethod
    def of(cls, config: InstanceConfig) -> Access:
        """Return the options of the same names. Empty text counts as not set.

        Raises ConfigurationError for options that contradict each other.
        """
        _check_credentials(config)
        return cls(
            profile=config.profile or None,
            access_key_id=config.access_key_id or None,
            secret_access_key=config.secret_access_key or None,
            role_arn=config.role_arn or None,
            external_id=config.external_id or None,
            endpoint_url=config.endpoint_url or None,
            connect_timeout=config.connect_timeout,
            read_timeout=config.read_timeout,
        )


@dataclass(frozen=True, slots=True)
class PriceSettings:
    """The sources of list prices.

    Attributes:
        sources: `api`, `file` and `table`, in the order in which they are asked
        file: path of a CSV file
        table: USD per hour by instance type
        spot: whether to read spot prices
    """

    sources: tuple[str, ...] = ('api',)
    file: str | None = None
    table: Mapping[str, float] = field(default_factory=dict)
    spot: bool = True

    @classmethod
    def of(cls, section: Prices | None) -> PriceSettings:
        """Resolve the option `prices`. Raises ConfigurationError for a source without its file or table."""
        given = _given(section)
        source = given.pop('source', 'auto')
        settings = cls(**given)
        if source == 'file' and not settings.file:
            raise ConfigurationError('option `prices.source: file` needs option `prices.file`, the path of a CSV file')
        if source == 'table' and not settings.table:
            raise ConfigurationError('option `prices.source: table` needs option `prices.table`, USD per hour by type')
        wrong = sorted(name for name, price in settings.table.items() if not price > 0)
        if wrong:
            raise ConfigurationError(f'option `prices.table`: prices must be above 0 ({", ".join(wrong)})')
        return replace(settings, sources=settings.usable_sources if source == 'auto' else (source,))

    @property
    def by_place(self) -> bool:
        """True if prices depend on the place of a resource. The prices of the table do not."""
        return self.sources != ('table',)

    @property
    def usable_sources(self) -> tuple[str, ...]:
        """The sources that the options allow."""
        usable = {'api': True, 'file': bool(self.file), 'table': bool(self.table)}
        return tuple(name for name, is_usable in usable.items() if is_usable)


@dataclass(frozen=True, slots=True)
class IdleSettings:
    """The rule that finds idle instances. `source` is `cloudwatch`, `compute_optimizer` or `off`."""

    source: str = 'cloudwatch'
    interval: int = 6 * 3600
    cpu_max_pct: float = 5.0
    network_max_mb_per_day: float = 5.0
    min_age_hours: float = 24.0
    max_instances: int = 1000


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of an instance."""

    access: Access
    regions: tuple[str, ...]
    prices: PriceSettings
    idle: IdleSettings
    max_types: int
    tag_by: tuple[TagKey, ...]
    gpu_breakdown: bool
    read_snapshots: bool
    read_images: bool
    price_snapshots: bool
    capacity_reservations: bool
    spot_interruptions: bool
    cost_explorer: bool
    commitments: bool

    @property
    def tag_keys(self) -> tuple[str, ...]:
        """The keys of the EC2 tags in `tag_by`."""
        return tuple(one.key for one in self.tag_by)

    @property
    def operations(self) -> tuple[str, ...]:
        """The operations of EC2 that a refresh may call in each region, as the SDK names them."""
        optional = {
            'describe_spot_price_history': self.prices.spot,
            'describe_availability_zones': self.prices.by_place,
            'describe_snapshots': self.read_snapshots,
            'describe_images': self.read_snapshots and self.read_images,
            'describe_capacity_reservations': self.capacity_reservations,
            'describe_spot_instance_requests': self.spot_interruptions,
        }
        return (*READ_OPERATIONS, *(name for name, is_used in optional.items() if is_used))

    @classmethod
    def of(cls, config: InstanceConfig) -> Settings:
        """Resolve the options of an instance. Raises ConfigurationError for options that contradict each other."""
        return cls(
            access=Access.of(config),
            regions=tuple(dict.fromkeys(config.regions)),
            prices=PriceSettings.of(config.prices),
            idle=IdleSettings(**_given(config.idle)),
            max_types=config.max_types,
            tag_by=tag_keys(config.tag_by),
            gpu_breakdown=config.gpu_breakdown,
            read_snapshots=config.read_snapshots,
            read_images=config.read_images,
            price_snapshots=config.price_snapshots,
            capacity_reservations=config.capacity_reservations,
            spot_interruptions=config.spot_interruptions,
            cost_explorer=config.cost_explorer,
            commitments=config.commitments,
        )


def _check_credentials(config: InstanceConfig) -> None:
    if bool(config.access_key_id) != bool(config.secret_access_key):
        raise ConfigurationError('options `access_key_id` and `secret_access_key` go together: set both or none')
    if config.access_key_id and config.profile:
        raise ConfigurationError('options `profile` and `access_key_id` exclude each other')
    if config.external_id and not config.role_arn:
        raise ConfigurationError('option `external_id` needs option `role_arn`')


def _given(section: Idle | Prices | None) -> dict[str, Any]:
    """Return the options of a section that are set."""
    return {name: value for name, value in section or () if value is not None}

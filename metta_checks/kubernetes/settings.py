"""The options of an instance, checked and with their defaults filled in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from datadog_checks.base import ConfigurationError

from .namespaces import Namespaces

if TYPE_CHECKING:
    from .config_models.instance import InstanceConfig

# The waiting reasons of kubelet and container runtimes for an image that is not available.
IMAGE_PULL_ERRORS = (
    'ImagePullBackOff',
    'ErrImagePull',
    'InvalidImageName',
    'ErrImageNeverPull',
    'ImageInspectError',
    'RegistryUnavailable',
    'SignatureValidationFailed',
)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Option `thresholds`. Nothing is counted exactly at a threshold, except at the minimum age."""

    overallocated_ratio: float = 0.2
    overallocated_min_age_minutes: float = 15
    high_restarts: int = 5
    idle_cpu_millicores: float = 1
    idle_memory_mib: float = 10
    low_cpu_millicores: float = 10
    low_memory_mib: float = 50
    pending_stuck_minutes: float = 5


@dataclass(frozen=True, slots=True)
class Prices:
    """Option `prices`: USD per hour of a core and of a GiB."""

    cpu_core_hour: float
    memory_gib_hour: float


@dataclass(frozen=True, slots=True)
class Settings:
    """The options that decide which objects are read and which figures are shown.

    Attributes:
        cluster_name: value of the tag `cluster`; None for no tag
        namespaces: the namespaces to read
        collect_usage: read the metrics API
        collect_nodes: read the nodes
        cluster_idle: show the capacity that is neither requested nor used
        thresholds: option `thresholds`
        image_pull_errors: the waiting reasons that count as image pull errors
        max_namespaces: number of namespaces that get series of their own
        max_deployments: number of deployments that get series of their own; None for none
        prices: None without option `prices`
    """

    cluster_name: str | None = None
    namespaces: Namespaces = field(default_factory=Namespaces)
    collect_usage: bool = True
    collect_nodes: bool = True
    cluster_idle: bool = False
    thresholds: Thresholds = Thresholds()
    image_pull_errors: tuple[str, ...] = IMAGE_PULL_ERRORS
    max_namespaces: int = 50
    max_deployments: int | None = None
    prices: Prices | None = None

    @classmethod
    def of(cls, config: InstanceConfig) -> Settings:
        """Resolve the options of an instance. Raises ConfigurationError for options that contradict each other."""
        if config.cluster_idle and not (config.collect_usage and config.collect_nodes):
            raise ConfigurationError('option `cluster_idle` needs `collect_usage` and `collect_nodes`')
        namespaces, prices = config.namespaces, config.prices
        return cls(
            cluster_name=config.cluster_name or None,
            namespaces=Namespaces(namespaces.include or (), namespaces.exclude or ()) if namespaces else Namespaces(),
            collect_usage=config.collect_usage,
            collect_nodes=config.collect_nodes,
            cluster_idle=config.cluster_idle,
            thresholds=_thresholds(config),
            image_pull_errors=config.image_pull_error_reasons or IMAGE_PULL_ERRORS,
            max_namespaces=config.max_namespaces,
            max_deployments=config.per_deployment,
            prices=Prices(prices.cpu_core_hour, prices.memory_gib_hour) if prices else None,
        )


def _thresholds(config: InstanceConfig) -> Thresholds:
    return Thresholds(**{name: value for name, value in config.thresholds or () if value is not None})

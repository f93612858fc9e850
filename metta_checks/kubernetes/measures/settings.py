"""The numbers that a user may set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..config_models.instance import InstanceConfig

MIB = 2**20
GIB = 2**30


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Option `thresholds`. All comparisons are strict: at the threshold itself nothing is counted."""

    overallocated_ratio: float = 0.2
    overallocated_min_age_minutes: float = 15
    high_restarts: int = 5
    idle_cpu_millicores: float = 1
    idle_memory_mib: float = 10
    low_cpu_millicores: float = 10
    low_memory_mib: float = 50
    pending_stuck_minutes: float = 5


# What kubelet and container runtimes call the ways in which an image cannot be had.
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
class Prices:
    """Option `prices`: what a core and a GiB cost per hour."""

    cpu_core_hour: float
    memory_gib_hour: float


@dataclass(frozen=True, slots=True)
class Settings:
    """What of the instance's options concerns the figures."""

    thresholds: Thresholds = Thresholds()
    image_pull_errors: tuple[str, ...] = IMAGE_PULL_ERRORS
    max_namespaces: int = 50
    # Number of deployments to show; None for none.
    per_deployment: int | None = None
    prices: Prices | None = None

    @classmethod
    def of(cls, config: InstanceConfig) -> Settings:
        """Resolve the options of an instance."""
        prices = config.prices
        return cls(
            thresholds=Thresholds(**{name: value for name, value in config.thresholds or () if value is not None}),
            image_pull_errors=config.image_pull_error_reasons or IMAGE_PULL_ERRORS,
            max_namespaces=config.max_namespaces,
            per_deployment=config.per_deployment,
            prices=Prices(prices.cpu_core_hour, prices.memory_gib_hour) if prices else None,
        )

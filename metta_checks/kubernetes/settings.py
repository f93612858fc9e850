"""The options of an instance, checked and with their defaults filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from datadog_checks.base import ConfigurationError

from ..core.accelerators import accelerator_type, by_accelerator_type
from .accelerator_types import AcceleratorTypes
from .namespaces import Namespaces
from .prometheus import GpuUsage

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


# Defaults of option `gpu_usage`.
DCGM_UTILIZATION = 'DCGM_FI_DEV_GPU_UTIL'
WINDOW_MINUTES = 30
IDLE_PCT = 5.0
METRIC_NAME = re.compile(r'[a-zA-Z_:][a-zA-Z0-9_:]*')


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
    terminating_stuck_minutes: float = 5
    not_ready_minutes: float = 15


@dataclass(frozen=True, slots=True)
class Prices:
    """Option `prices`: USD per hour of a core, of a GiB, and of a GPU by type."""

    cpu_core_hour: float
    memory_gib_hour: float
    gpu_hour: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settings:
    """The options that decide which objects are read and which figures are shown.

    Attributes:
        cluster_name: value of the tag `cluster`; None for no tag
        namespaces: the namespaces to read
        collect_usage: read the metrics API
        collect_nodes: read the nodes
        resource_claims: read the devices of dynamic resource allocation
        cluster_idle: show the capacity that is neither requested nor used
        thresholds: option `thresholds`
        image_pull_errors: the waiting reasons that count as image pull errors
        max_namespaces: number of namespaces that get series of their own
        per_namespace: show requests and efficiency of each namespace
        max_deployments: number of deployments that get series of their own; None for none
        max_workloads: number of workloads of any kind that get series of their own; None for none
        accelerator_types: the types of accelerators by extended resource
        prices: None without option `prices`
        gpu_usage: None without option `gpu_usage`
    """

    cluster_name: str | None = None
    namespaces: Namespaces = field(default_factory=Namespaces)
    collect_usage: bool = True
    collect_nodes: bool = True
    resource_claims: bool = False
    cluster_idle: bool = False
    thresholds: Thresholds = Thresholds()
    image_pull_errors: tuple[str, ...] = IMAGE_PULL_ERRORS
    max_namespaces: int = 50
    per_namespace: bool = False
    max_deployments: int | None = None
    max_workloads: int | None = None
    accelerator_types: AcceleratorTypes = field(default_factory=AcceleratorTypes)
    prices: Prices | None = None
    gpu_usage: GpuUsage | None = None

    @classmethod
    def of(cls, config: InstanceConfig) -> Settings:
        """Resolve the options of an instance. Raises ConfigurationError for options that contradict each other."""
        if config.cluster_idle and not (config.collect_usage and config.collect_nodes):
            raise ConfigurationError('option `cluster_idle` needs `collect_usage` and `collect_nodes`')
        if config.gpu_usage and not config.collect_nodes:
            raise ConfigurationError('option `gpu_usage` needs `collect_nodes`')
        namespaces = config.namespaces
        return cls(
            cluster_name=config.cluster_name or None,
            namespaces=Namespaces(namespaces.include or (), namespaces.exclude or ()) if namespaces else Namespaces(),
            collect_usage=config.collect_usage,
            collect_nodes=config.collect_nodes,
            resource_claims=config.resource_claims,
            cluster_idle=config.cluster_idle,
            thresholds=_thresholds(config),
            image_pull_errors=config.image_pull_error_reasons or IMAGE_PULL_ERRORS,
            max_namespaces=config.max_namespaces,
            per_namespace=config.per_namespace,
            max_deployments=config.per_deployment,
            max_workloads=config.per_workload,
            accelerator_types=AcceleratorTypes(
                {resource: accelerator_type(name) for resource, name in (config.accelerator_types or {}).items()}
            ),
            prices=_prices(config),
            gpu_usage=_gpu_usage(config),
        )


def _thresholds(config: InstanceConfig) -> Thresholds:
    return Thresholds(**{name: value for name, value in config.thresholds or () if value is not None})


def _prices(config: InstanceConfig) -> Prices | None:
    option = config.prices
    if option is None:
        return None
    by_type = by_accelerator_type('prices.gpu_hour', option.gpu_hour or {})
    return Prices(option.cpu_core_hour, option.memory_gib_hour, by_type)


def _gpu_usage(config: InstanceConfig) -> GpuUsage | None:
    option = config.gpu_usage
    if option is None:
        return None
    for name in ('username', 'auth_token', 'tls_cert', 'headers', 'extra_headers'):
        if getattr(config, name):
            raise ConfigurationError(
                f'option `gpu_usage` cannot be combined with `{name}`, which would be sent to Prometheus, too; use '
                '`token` or a kubeconfig for the API server'
            )
    metric = option.metric or DCGM_UTILIZATION
    if not METRIC_NAME.fullmatch(metric):
        raise ConfigurationError(f'option `gpu_usage`: `metric` is not the name of a metric: {metric[:60]!r}')
    minutes = WINDOW_MINUTES if option.window_minutes is None else option.window_minutes
    idle_pct = IDLE_PCT if option.idle_pct is None else option.idle_pct
    return GpuUsage(option.prometheus_url, metric, option.selector or '', minutes * 60, idle_pct)

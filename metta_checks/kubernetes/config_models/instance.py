from __future__ import annotations

from types import MappingProxyType
from typing import Any, Optional

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from typing_extensions import Literal

from datadog_checks.base.utils.functions import identity
from datadog_checks.base.utils.models import validation

from . import defaults, validators


SECURE_FIELD_NAMES = frozenset(
    ['auth_token', 'kerberos_cache', 'kerberos_keytab', 'tls_ca_cert', 'tls_cert', 'tls_private_key']
)


class AuthToken(BaseModel):
    model_config = ConfigDict(
        arbitrary_types_allowed=True,
        frozen=True,
    )
    reader: Optional[MappingProxyType[str, Any]] = None
    writer: Optional[MappingProxyType[str, Any]] = None


class GpuUsage(BaseModel):
    model_config = ConfigDict(
        arbitrary_types_allowed=True,
        frozen=True,
    )
    idle_pct: Optional[float] = Field(None, ge=0.0)
    metric: Optional[str] = None
    prometheus_url: str
    selector: Optional[str] = None
    window_minutes: Optional[int] = Field(None, ge=2)


class MetricPatterns(BaseModel):
    model_config = ConfigDict(
        arbitrary_types_allowed=True,
        frozen=True,
    )
    exclude: Optional[tuple[str, ...]] = None
    include: Optional[tuple[str, ...]] = None


class Namespaces(BaseModel):
    model_config = ConfigDict(
        arbitrary_types_allowed=True,
        frozen=True,
    )
    exclude: Optional[tuple[str, ...]] = None
    include: Optional[tuple[str, ...]] = None


class Prices(BaseModel):
    model_config = ConfigDict(
        arbitrary_types_allowed=True,
        frozen=True,
    )
    cpu_core_hour: float = Field(..., ge=0.0)
    gpu_hour: Optional[MappingProxyType[str, float]] = None
    memory_gib_hour: float = Field(..., ge=0.0)


class Proxy(BaseModel):
    model_config = ConfigDict(
        arbitrary_types_allowed=True,
        frozen=True,
    )
    http: Optional[str] = None
    https: Optional[str] = None
    no_proxy: Optional[tuple[str, ...]] = None


class Thresholds(BaseModel):
    model_config = ConfigDict(
        arbitrary_types_allowed=True,
        frozen=True,
    )
    high_restarts: Optional[int] = Field(None, ge=0)
    idle_cpu_millicores: Optional[float] = Field(None, ge=0.0)
    idle_memory_mib: Optional[float] = Field(None, ge=0.0)
    low_cpu_millicores: Optional[float] = Field(None, ge=0.0)
    low_memory_mib: Optional[float] = Field(None, ge=0.0)
    not_ready_minutes: Optional[float] = Field(None, ge=0.0)
    overallocated_min_age_minutes: Optional[float] = Field(None, ge=0.0)
    overallocated_ratio: Optional[float] = Field(None, ge=0.0)
    pending_stuck_minutes: Optional[float] = Field(None, ge=0.0)
    terminating_stuck_minutes: Optional[float] = Field(None, ge=0.0)


class InstanceConfig(BaseModel):
    model_config = ConfigDict(
        validate_default=True,
        arbitrary_types_allowed=True,
        frozen=True,
    )
    accelerator_types: MappingProxyType[str, str] = None
    allow_redirects: bool = None
    api_server_url: Optional[str] = None
    auth_token: Optional[AuthToken] = None
    auth_type: str = None
    aws_host: Optional[str] = None
    aws_region: Optional[str] = None
    aws_service: Optional[str] = None
    cluster_idle: bool = None
    cluster_name: Optional[str] = None
    collect_nodes: bool = None
    collect_usage: bool = None
    connect_timeout: Optional[float] = None
    context: Optional[str] = None
    disable_generic_tags: bool = None
    empty_default_hostname: bool = None
    enable_legacy_tags_normalization: bool = None
    extra_headers: Optional[MappingProxyType[str, Any]] = None
    gpu_usage: Optional[GpuUsage] = None
    headers: Optional[MappingProxyType[str, Any]] = None
    image_pull_error_reasons: Optional[tuple[str, ...]] = None
    kerberos_auth: Literal['required', 'optional', 'disabled'] = None
    kerberos_cache: Optional[str] = None
    kerberos_delegate: bool = None
    kerberos_force_initiate: bool = None
    kerberos_hostname: Optional[str] = None
    kerberos_keytab: Optional[str] = None
    kerberos_principal: Optional[str] = None
    kubeconfig: Optional[str] = None
    log_requests: bool = None
    max_namespaces: int = Field(None, ge=1)
    metric_patterns: Optional[MetricPatterns] = None
    min_collection_interval: float = None
    namespaces: Optional[Namespaces] = None
    ntlm_domain: Optional[str] = None
    password: Optional[str] = None
    per_deployment: Optional[int] = Field(None, ge=1)
    per_namespace: bool = None
    per_workload: Optional[int] = Field(None, ge=1)
    persist_connections: bool = None
    prices: Optional[Prices] = None
    prometheus_token: Optional[str] = None
    proxy: Optional[Proxy] = None
    read_timeout: Optional[float] = None
    refresh_interval: int = Field(None, ge=0)
    refresh_timeout: int = Field(None, ge=1)
    request_size: float = None
    resource_claims: bool = None
    service: Optional[str] = None
    skip_proxy: bool = None
    source: Literal['kubernetes']
    tags: Optional[tuple[str, ...]] = None
    thresholds: Optional[Thresholds] = None
    timeout: float = None
    tls_ca_cert: Optional[str] = None
    tls_cert: Optional[str] = None
    tls_ciphers: Optional[tuple[str, ...]] = None
    tls_ignore_warning: bool = None
    tls_private_key: Optional[str] = None
    tls_protocols_allowed: Optional[tuple[str, ...]] = None
    tls_use_host_header: bool = None
    tls_verify: bool = None
    token: Optional[str] = None
    use_legacy_auth_encoding: bool = None
    username: Optional[str] = None

    @model_validator(mode='before')
    def _initial_validation(cls, values):
        return validation.core.initialize_config(getattr(validators, 'initialize_instance', identity)(values))

    @field_validator('*', mode='before')
    def _validate(cls, value, info):
        field = cls.model_fields[info.field_name]
        field_name = field.alias or info.field_name
        if value is not None and field_name in info.context['configured_fields']:
            value = getattr(validators, f'instance_{info.field_name}', identity)(value, field=field)

            if info.field_name in SECURE_FIELD_NAMES and hasattr(validation, 'security'):
                validation.security.check_field_trusted_provider(
                    info.field_name, value, info.context.get('security_config')
                )
        else:
            value = getattr(defaults, f'instance_{info.field_name}', lambda: value)()

        return validation.utils.make_immutable(value)

    @model_validator(mode='after')
    def _final_validation(cls, model):
        return validation.core.check_model(getattr(validators, 'check_instance', identity)(model))

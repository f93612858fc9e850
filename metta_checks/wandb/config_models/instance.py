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


class MetricPatterns(BaseModel):
    model_config = ConfigDict(
        arbitrary_types_allowed=True,
        frozen=True,
    )
    exclude: Optional[tuple[str, ...]] = None
    include: Optional[tuple[str, ...]] = None


class Proxy(BaseModel):
    model_config = ConfigDict(
        arbitrary_types_allowed=True,
        frozen=True,
    )
    http: Optional[str] = None
    https: Optional[str] = None
    no_proxy: Optional[tuple[str, ...]] = None


class InstanceConfig(BaseModel):
    model_config = ConfigDict(
        validate_default=True,
        arbitrary_types_allowed=True,
        frozen=True,
    )
    accuracy_key: str = None
    all_time: bool = None
    allow_redirects: bool = None
    api_key: str
    api_url: str = None
    auth_token: Optional[AuthToken] = None
    auth_type: str = None
    aws_host: Optional[str] = None
    aws_region: Optional[str] = None
    aws_service: Optional[str] = None
    by_group: bool = None
    by_run_type: bool = None
    by_state: bool = None
    by_user: bool = None
    connect_timeout: Optional[float] = None
    disable_generic_tags: bool = None
    empty_default_hostname: bool = None
    enable_legacy_tags_normalization: bool = None
    entity: str
    extra_headers: Optional[MappingProxyType[str, Any]] = None
    gpu_count_config_key: Optional[str] = None
    gpu_details: bool = None
    headers: Optional[MappingProxyType[str, Any]] = None
    kerberos_auth: Literal['required', 'optional', 'disabled'] = None
    kerberos_cache: Optional[str] = None
    kerberos_delegate: bool = None
    kerberos_force_initiate: bool = None
    kerberos_hostname: Optional[str] = None
    kerberos_keytab: Optional[str] = None
    kerberos_principal: Optional[str] = None
    log_requests: bool = None
    loss_key: str = None
    max_rows_per_refresh: int = Field(None, ge=100)
    max_runs: int = Field(None, ge=1)
    metric_patterns: Optional[MetricPatterns] = None
    min_collection_interval: float = None
    ntlm_domain: Optional[str] = None
    page_size: int = Field(None, ge=10, le=1000)
    password: Optional[str] = None
    per_run: bool = None
    persist_connections: bool = None
    prices: Optional[MappingProxyType[str, float]] = None
    projects: tuple[str, ...] = None
    proxy: Optional[Proxy] = None
    read_timeout: Optional[float] = None
    refresh_interval: int = Field(None, ge=0)
    refresh_timeout: int = Field(None, ge=1)
    request_size: float = None
    run_types: MappingProxyType[str, Any] = None
    service: Optional[str] = None
    shared_host_names: tuple[str, ...] = None
    skip_proxy: bool = None
    source: Literal['wandb']
    stale_minutes: float = Field(None, ge=1.0)
    summary_metrics: MappingProxyType[str, Any] = None
    sweeps: bool = None
    tags: Optional[tuple[str, ...]] = None
    timeout: float = None
    tls_ca_cert: Optional[str] = None
    tls_cert: Optional[str] = None
    tls_ciphers: Optional[tuple[str, ...]] = None
    tls_ignore_warning: bool = None
    tls_private_key: Optional[str] = None
    tls_protocols_allowed: Optional[tuple[str, ...]] = None
    tls_use_host_header: bool = None
    tls_verify: bool = None
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

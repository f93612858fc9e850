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


class Dora(BaseModel):
    model_config = ConfigDict(
        arbitrary_types_allowed=True,
        frozen=True,
    )
    environments: Optional[tuple[str, ...]] = None
    source: Optional[Literal['deployments', 'workflow', 'release']] = None
    workflows: Optional[tuple[str, ...]] = None


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


class Shard(BaseModel):
    model_config = ConfigDict(
        arbitrary_types_allowed=True,
        frozen=True,
    )
    count: int = Field(..., ge=1, le=1000)
    index: int = Field(..., ge=0)


class InstanceConfig(BaseModel):
    model_config = ConfigDict(
        validate_default=True,
        arbitrary_types_allowed=True,
        frozen=True,
    )
    allow_redirects: bool = None
    api_url: str = None
    app_id: Optional[str] = None
    app_installation_id: Optional[str] = None
    app_private_key: Optional[str] = None
    auth_token: Optional[AuthToken] = None
    auth_type: str = None
    aws_host: Optional[str] = None
    aws_region: Optional[str] = None
    aws_service: Optional[str] = None
    benchmark_workflows: tuple[str, ...] = None
    bots: Optional[tuple[str, ...]] = None
    connect_timeout: Optional[float] = None
    deployments: bool = None
    disable_generic_tags: bool = None
    dora: Optional[Dora] = None
    empty_default_hostname: bool = None
    enable_legacy_tags_normalization: bool = None
    exclude: Optional[tuple[str, ...]] = None
    exclude_bots: bool = None
    extra_headers: Optional[MappingProxyType[str, Any]] = None
    headers: Optional[MappingProxyType[str, Any]] = None
    hotfix_labels: Optional[tuple[str, ...]] = None
    hotfix_patterns: tuple[str, ...] = None
    include: Optional[tuple[str, ...]] = None
    issues: bool = None
    jobs: bool = None
    kerberos_auth: Literal['required', 'optional', 'disabled'] = None
    kerberos_cache: Optional[str] = None
    kerberos_delegate: bool = None
    kerberos_force_initiate: bool = None
    kerberos_hostname: Optional[str] = None
    kerberos_keytab: Optional[str] = None
    kerberos_principal: Optional[str] = None
    log_requests: bool = None
    max_repositories: int = Field(None, ge=1)
    max_requests: int = Field(None, ge=1)
    max_workflows: int = Field(None, ge=1)
    merge_commit_patterns: Optional[tuple[str, ...]] = None
    metric_patterns: Optional[MetricPatterns] = None
    min_collection_interval: float = None
    ntlm_domain: Optional[str] = None
    organization: Optional[str] = None
    organization_runners: bool = None
    password: Optional[str] = None
    persist_connections: bool = None
    proxy: Optional[Proxy] = None
    rate_limit_reserve_pct: float = Field(None, ge=0.0, le=100.0)
    read_timeout: Optional[float] = None
    refresh_interval: int = Field(None, ge=0)
    refresh_timeout: int = Field(None, ge=1)
    repositories: Optional[tuple[str, ...]] = None
    request_size: float = None
    required_events: tuple[str, ...] = None
    required_workflows: Optional[tuple[str, ...]] = None
    runners: bool = None
    service: Optional[str] = None
    shard: Optional[Shard] = None
    skip_proxy: bool = None
    source: Literal['github']
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
    token: Optional[str] = None
    use_legacy_auth_encoding: bool = None
    username: Optional[str] = None
    workflow_timeouts: Optional[MappingProxyType[str, float]] = None

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

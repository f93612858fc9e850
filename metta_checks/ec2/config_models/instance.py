from __future__ import annotations

from types import MappingProxyType
from typing import Optional

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from typing_extensions import Literal

from datadog_checks.base.utils.functions import identity
from datadog_checks.base.utils.models import validation

from . import defaults, validators


SECURE_FIELD_NAMES = frozenset(['tls_ca_cert', 'tls_cert', 'tls_private_key'])


class Idle(BaseModel):
    model_config = ConfigDict(
        arbitrary_types_allowed=True,
        frozen=True,
    )
    cpu_max_pct: Optional[float] = None
    interval: Optional[int] = Field(None, ge=60)
    max_instances: Optional[int] = Field(None, ge=1)
    min_age_hours: Optional[float] = None
    network_max_mb_per_day: Optional[float] = None
    source: Optional[Literal['cloudwatch', 'compute_optimizer', 'off']] = None


class MetricPatterns(BaseModel):
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
    file: Optional[str] = None
    source: Optional[Literal['auto', 'api', 'file', 'table']] = None
    spot: Optional[bool] = None
    table: Optional[MappingProxyType[str, float]] = None


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
    access_key_id: Optional[str] = None
    capacity_reservations: bool = None
    commitments: bool = None
    connect_timeout: float = None
    cost_explorer: bool = None
    disable_generic_tags: bool = None
    empty_default_hostname: bool = None
    enable_legacy_tags_normalization: bool = None
    endpoint_url: Optional[str] = None
    external_id: Optional[str] = None
    gpu_breakdown: bool = None
    idle: Optional[Idle] = None
    max_types: int = Field(None, ge=1)
    metric_patterns: Optional[MetricPatterns] = None
    min_collection_interval: float = None
    price_snapshots: bool = None
    prices: Optional[Prices] = None
    profile: Optional[str] = None
    proxy: Optional[Proxy] = None
    read_images: bool = None
    read_snapshots: bool = None
    read_timeout: float = None
    refresh_interval: int = Field(None, ge=0)
    refresh_timeout: int = Field(None, ge=1)
    regions: tuple[str, ...] = None
    role_arn: Optional[str] = None
    secret_access_key: Optional[str] = None
    service: Optional[str] = None
    skip_proxy: bool = None
    source: Literal['ec2']
    spot_interruptions: bool = None
    tag_by: tuple[str, ...] = None
    tags: Optional[tuple[str, ...]] = None
    tls_ca_cert: Optional[str] = None
    tls_cert: Optional[str] = None
    tls_private_key: Optional[str] = None
    tls_verify: bool = None

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

"""What the generator writes for a real source, in small: the models that the toolkit looks up for `tests.core`."""

from pydantic import BaseModel


class SharedConfig(BaseModel):
    """init_config."""


class InstanceConfig(BaseModel):
    """An instance."""

    source: str
    url: str
    token: str
    tags: list[str] | None = None
    refresh_interval: int = 900
    refresh_timeout: int = 600

"""Dispatcher: the one class that the Agent's loader finds."""

from __future__ import annotations

import importlib
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from datadog_checks.base import AgentCheck, ConfigurationError

from .core.errors import missing_library

if TYPE_CHECKING:
    from .core.source import Source

# Name of each source, and its class in metta_checks.<source>.check.
SOURCES = MappingProxyType(
    {
        'asana': 'AsanaCheck',
        'ec2': 'Ec2Check',
        'github': 'GitHubCheck',
        'kubernetes': 'KubernetesCheck',
        'skypilot': 'SkyPilotCheck',
        'wandb': 'WandbCheck',
    }
)


def source_class(source: str) -> type[Source[Any, Any]]:
    """Return the check class of a source, imported on demand: a missing library breaks only its own source.

    Raises ConfigurationError when a library of that source cannot be imported; the message names the package and the
    command that installs it.
    """
    module_name = f'metta_checks.{source}.check'
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ConfigurationError(f'source `{source}`: {missing_library(error)}') from error
    check_class: type[Source[Any, Any]] = getattr(module, SOURCES[source])
    return check_class


class MettaChecks(AgentCheck):
    """Creates the check of the source that `instance["source"]` names.

    The loader takes the first leaf class in the module, so nothing may derive from this class, and no other check class
    may be visible beside it (see docs/development.md).
    """

    # The loader treats the result as an instance of this class; mypy requires one.
    def __new__(  # type: ignore[misc]
        cls, name: str = '', init_config: Any = None, instances: Any = None, **_: Any
    ) -> AgentCheck:
        """Return the check of the source. Raises ConfigurationError for an unknown source or a missing library."""
        # `**_` accepts the `agentConfig` of the Agent's second attempt, so that the user sees only the first error.
        instance = (instances or [{}])[0] or {}
        source = instance.get('source')
        if not isinstance(source, str) or source not in SOURCES:
            stated = 'is missing' if source is None else f'is {source!r}'
            raise ConfigurationError(f'option `source` {stated}; it must be one of: {", ".join(SOURCES)}')
        return source_class(source)(name, init_config or {}, list(instances))

"""Options that a service is made with: a frozen dataclass for each service, filled by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self


class UnknownOption(ValueError):
    """The service does not have such an option."""


@dataclass(frozen=True)
class ServiceOptions:
    """Options of every service.

    Attributes:
        scale: factor for the amount of data
    """

    scale: float = 1.0

    @classmethod
    def parse(cls, service: str, values: Mapping[str, Any]) -> Self:
        """Options of a service from values by name; all others keep their defaults.

        Raises:
            UnknownOption: a name that the service does not have
        """
        known = [field.name for field in fields(cls)]
        if unknown := sorted(values.keys() - set(known)):
            raise UnknownOption(f'{service} has no option {", ".join(unknown)}; it has {", ".join(sorted(known))}')
        return cls(**values)

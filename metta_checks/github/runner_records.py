"""Records of self-hosted runners."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..core.fields import flag, integer, text
from .connections import GITHUB


@dataclass(frozen=True, slots=True)
class Runner:
    """A self-hosted runner of a repository or an organization.

    Attributes:
        id: GitHub's identifier
        os: operating system; `unknown` without one
        online: whether it is connected
        busy: whether it runs a job
        labels: its labels, in lower case, each once
    """

    id: int
    os: str
    online: bool
    busy: bool
    labels: tuple[str, ...] = ()

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> Runner:
        """Read a runner of REST. Raises BadPayload without an id."""
        names = (text(label.get('name')) for label in GITHUB.parts(value, 'labels'))
        return cls(
            id=GITHUB.required(integer, value, 'id', 'runner'),
            os=text(value.get('os')) or 'unknown',
            online=value.get('status') == 'online',
            busy=bool(GITHUB.optional(flag, value, 'busy')),
            labels=tuple(dict.fromkeys(name.lower() for name in names if name)),
        )

"""Records of deployments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..core.fields import moment, text
from .connections import GITHUB, nodes

# States in which a deployment ends.
FINAL_STATES = frozenset({'success', 'failure', 'error'})


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment of a commit to an environment.

    Attributes:
        id: GitHub's identifier
        environment: its name; `none` without one
        state: as GitHub shows it now, lower case: active, inactive, failure, in_progress, ...
        created: when it was created
        outcome: the first of its final states; None while it is in progress
        ended: when it reached that state
    """

    id: str
    environment: str
    state: str
    created: datetime
    outcome: str | None
    ended: datetime | None

    @classmethod
    def parse(cls, node: Mapping[str, Any]) -> Deployment:
        """Read a deployment of `queries.DEPLOYMENTS`. Raises BadPayload without id or createdAt."""
        ended, outcome = min(_final_states(node), default=(None, None))
        return cls(
            id=GITHUB.required(text, node, 'id', 'deployment'),
            environment=text(node.get('environment')) or 'none',
            state=(text(node.get('state')) or 'unknown').lower(),
            created=GITHUB.required(moment, node, 'createdAt', 'deployment'),
            outcome=outcome,
            ended=ended,
        )


def _final_states(deployment: Mapping[str, Any]) -> list[tuple[datetime, str]]:
    states = (
        (moment(one.get('createdAt')), (text(one.get('state')) or '').lower()) for one in nodes(deployment, 'statuses')
    )
    return [(at, state) for at, state in states if at is not None and state in FINAL_STATES]

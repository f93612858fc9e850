"""Records of deployments and of the commits between two of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from ..core.fields import moment, text
from .connections import GITHUB, nodes

# States in which a deployment ends.
SUCCESS = 'success'
FINAL_STATES = frozenset({SUCCESS, 'failure', 'error'})


class Deployment(NamedTuple):
    """A deployment of a commit to an environment."""

    # GitHub's identifier.
    id: str
    # Its name; `none` without one.
    environment: str
    # As GitHub shows it now, lower case: active, inactive, failure, in_progress, ...
    state: str
    created: datetime
    # The first of its final states; None while it is in progress.
    outcome: str | None
    # When it reached that state.
    ended: datetime | None
    # The commit that it deploys.
    commit: str = ''
    # When it first succeeded, whatever state it had before or has had since; None when it never did.
    succeeded: datetime | None = None

    @classmethod
    def parse(cls, node: Mapping[str, Any]) -> Deployment:
        """Read a deployment of `queries.DEPLOYMENTS`. Raises BadPayload without id or createdAt."""
        states = _final_states(node)
        ended, outcome = min(states, default=(None, None))
        return cls(
            id=GITHUB.required(text, node, 'id', 'deployment'),
            environment=text(node.get('environment')) or 'none',
            state=(text(node.get('state')) or 'unknown').lower(),
            created=GITHUB.required(moment, node, 'createdAt', 'deployment'),
            outcome=outcome,
            ended=ended,
            commit=text(node.get('commitOid')) or '',
            succeeded=min((at for at, state in states if state == SUCCESS), default=None),
        )


def _final_states(deployment: Mapping[str, Any]) -> list[tuple[datetime, str]]:
    states = (
        (moment(one.get('createdAt')), (text(one.get('state')) or '').lower()) for one in nodes(deployment, 'statuses')
    )
    return [(at, state) for at, state in states if at is not None and state in FINAL_STATES]

"""The blocks that are read only on request."""

from __future__ import annotations

from datetime import timedelta

from ..core.refresh import Attempt, Event
from ..core.stored import stored
from . import optional
from .client import Client
from .measures import optional as measures
from .reader import Place
from .records import Deployment

WINDOW = timedelta(days=7)


@stored
class DeploymentHistory:
    """The ends of deployments that are known, so that each is counted once and a change of outcome is an event.

    Attributes:
        ended: ids of the deployments of the window that have ended
        outcomes: the last outcome by environment; one that nobody deploys to any more keeps its own, so that a
            recovery after weeks is one
    """

    ended: frozenset[str]
    outcomes: dict[str, str]


class OptionalReader:
    """Deployments and runners of a repository."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def deployments(self, attempt: Attempt[DeploymentHistory], place: Place) -> None:
        """The deployments created in the window: all of them again, since their states change."""
        start = (attempt.now - WINDOW).timestamp()
        rows: list[Deployment] = []
        for row in optional.deployments(self._client, place.owner, place.name):
            if row is None:
                attempt.truncated(f'more than {len(rows)} deployments in 7 days, only these are counted')
                break
            if row.created < start:
                break
            rows.append(row)
        attempt.emit(measures.deployments(rows))
        before = attempt.state
        ended = frozenset(row.id for row in rows if row.outcome is not None)
        if before is not None:
            # One that was created before the last read, or was under way then, and is not now.
            new = [row for row in rows if row.id in ended - before.ended]
            attempt.emit(measures.finished(new, measures.environments(rows)))
        outcomes = dict(before.outcomes) if before is not None else {}
        for environment, outcome in measures.outcomes(rows).items():
            self._tell(attempt, place, environment, outcome, outcomes.get(environment))
            outcomes[environment] = outcome
        attempt.state = DeploymentHistory(ended, outcomes)

    @staticmethod
    def _tell(
        attempt: Attempt[DeploymentHistory], place: Place, environment: str, outcome: str, before: str | None
    ) -> None:
        if before is None or (before == 'success') == (outcome == 'success'):
            return
        key = f'{place.full_name} deployment {environment}'
        tags = {'environment': environment}
        if outcome == 'success':
            text = f'A deployment of {place.full_name} to {environment} succeeded again.'
            attempt.event(Event(f'{place.full_name}: {environment} recovered', text, key, 'success', tags))
        else:
            text = f'The last deployment of {place.full_name} to {environment} ended in {outcome}.'
            attempt.event(Event(f'{place.full_name}: deployment to {environment} failed', text, key, 'error', tags))

    def runners(self, attempt: Attempt[None], place: Place) -> None:
        """The self-hosted runners of the repository."""
        attempt.emit(measures.runners(optional.runners(self._client, place.owner, place.name)))

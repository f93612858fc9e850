"""The blocks that are read only on request."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from ..refresh import Attempt, Event
from . import optional
from .client import Client
from .measures import optional as measures
from .reader import Place
from .records import Deployment

WINDOW = timedelta(days=7)


class OptionalReader:
    """Deployments and runners of a repository."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def deployments(self, attempt: Attempt[Any], place: Place) -> None:
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
        remembered = attempt.state or {}
        done = {row.id for row in rows if row.outcome is not None}
        if not attempt.cold:
            # One that was created before the last read, or was under way then, and is not now.
            new = [row for row in rows if row.id in done - set(remembered['done'])]
            attempt.emit(measures.finished(new, measures.environments(rows)))
        latest = measures.outcomes(rows)
        for environment, row in latest.items():
            self._tell(attempt, place, environment, row, remembered.get('outcomes', {}).get(environment))
        attempt.state = {
            'done': sorted(done),
            # Environments nobody deploys to keep their last outcome, so that a recovery after weeks is one.
            'outcomes': {**remembered.get('outcomes', {}), **{name: row.outcome for name, row in latest.items()}},
        }

    @staticmethod
    def _tell(attempt: Attempt[Any], place: Place, environment: str, row: Deployment, before: str | None) -> None:
        if before is None or (before == 'success') == (row.outcome == 'success'):
            return
        key = f'{place.full_name} deployment {environment}'
        tags = {'environment': environment}
        if row.outcome == 'success':
            text = f'A deployment of {place.full_name} to {environment} succeeded again.'
            attempt.event(Event(f'{place.full_name}: {environment} recovered', text, key, 'success', tags))
        else:
            text = f'The last deployment of {place.full_name} to {environment} ended in {row.outcome}.'
            attempt.event(Event(f'{place.full_name}: deployment to {environment} failed', text, key, 'error', tags))

    def runners(self, attempt: Attempt[Any], place: Place) -> None:
        """The self-hosted runners of the repository."""
        attempt.emit(measures.runners(optional.runners(self._client, place.owner, place.name)))
        attempt.state = {}

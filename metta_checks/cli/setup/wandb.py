"""Weights & Biases: an entity and its projects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from metta_checks.wandb.check import REMEDIES
from metta_checks.wandb.client import ApiKey

from .asking import Service, rows, unconfigured
from .form import Choice, Form

API = 'https://api.wandb.ai'
VIEWER = 'query Viewer { viewer { entity teams { edges { node { name } } } } }'
PROJECTS = 'query Projects($entity: String) { models(entityName: $entity, first: 100) { edges { node { name } } } }'


def fill(form: Form) -> None:
    """Ask for server, key, entity and projects."""
    form.text('api_url', 'Address of the server', API)
    form.secret('api_key', 'API key')
    form.choose('entity', 'Entity (team or user)', lambda: _entities(form))
    form.choose('projects', 'Projects', lambda: _projects(form), several=True)


def _ask(form: Form, query: str, **variables: str) -> Any:
    url, key = str(form.values['api_url']), form.resolved('api_key')
    service = Service(unconfigured('wandb', form), url, 'W&B', lambda _: ApiKey(key), REMEDIES)
    return service.post('graphql', {'query': query, 'variables': variables})


def _entities(form: Form) -> list[Choice]:
    """Return the teams of the key's user, then the user."""
    answer = _ask(form, VIEWER)

    def read() -> Iterator[str]:
        viewer = answer['data']['viewer']
        yield from (edge['node']['name'] for edge in viewer['teams']['edges'])
        if viewer['entity']:
            yield viewer['entity']

    return [Choice(name) for name in dict.fromkeys(rows(read))]


def _projects(form: Form) -> list[Choice]:
    answer = _ask(form, PROJECTS, entity=form.values['entity'])
    return rows(lambda: (Choice(edge['node']['name']) for edge in answer['data']['models']['edges']))

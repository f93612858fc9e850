"""The REST fields that the check reads and all answers of the sandbox, compared with GitHub's published description."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from github import Auth

from sandbox import Running
from sandbox.github.access import INSTALLATION_ID
from sandbox.github.service import GitHubService

from .published import openapi
from .served import github_service

pytestmark = pytest.mark.integration

DESCRIPTIONS = ('api.github.com', 'ghes-3.17')
# The fields that the check reads. `?`: may be null, which the check handles even if GitHub does not announce it.
READ = {
    '/repos/{owner}/{repo}/actions/runs': {
        'total_count': 'integer',
        'workflow_runs.id': 'integer',
        'workflow_runs.name': 'string?',
        'workflow_runs.path': 'string',
        'workflow_runs.event': 'string',
        'workflow_runs.status': 'string?',
        'workflow_runs.conclusion': 'string?',
        'workflow_runs.created_at': 'string',
        'workflow_runs.updated_at': 'string',
        'workflow_runs.run_started_at': 'string',
        'workflow_runs.run_attempt': 'integer',
        'workflow_runs.head_branch': 'string?',
        'workflow_runs.head_sha': 'string',
        'workflow_runs.head_repository.id': 'integer',
        'workflow_runs.repository.id': 'integer',
    },
    '/repos/{owner}/{repo}/activity': {
        'id': 'integer',
        'timestamp': 'string',
        'before': 'string',
        'after': 'string',
        'actor.login': 'string',
    },
    '/rate_limit': {
        'resources.core.limit': 'integer',
        'resources.core.remaining': 'integer',
        'resources.graphql.limit': 'integer',
        'resources.graphql.remaining': 'integer',
    },
    '/app/installations/{installation_id}/access_tokens': {'token': 'string', 'expires_at': 'string'},
}
PARAMETERS = {
    '/repos/{owner}/{repo}/actions/runs': {'created', 'per_page', 'page', 'exclude_pull_requests'},
    '/repos/{owner}/{repo}/activity': {'activity_type', 'ref', 'time_period', 'per_page', 'after'},
}
# Null in real answers (deleted forks and accounts), although the descriptions do not say so.
SILENTLY_NULL = ('head_repository', 'actor', 'triggering_actor', 'user')


class Description:
    """A published description of the REST API."""

    def __init__(self, name: str) -> None:
        self._document = openapi(name)

    def resolve(self, value: dict[str, Any]) -> dict[str, Any]:
        """Return the schema that a reference names."""
        while '$ref' in value:
            target: Any = self._document
            for part in value['$ref'].removeprefix('#/').split('/'):
                target = target[part]
            value = target
        return value

    def answer(self, path: str, method: str = 'get') -> dict[str, Any]:
        """Return the schema of the successful answer."""
        responses = self._document['paths'][path][method]['responses']
        response = self.resolve(responses.get('200') or responses['201'])
        return response['content']['application/json']['schema']

    def parameters(self, path: str) -> set[str]:
        """Return the parameters of a GET."""
        return {self.resolve(one)['name'] for one in self._document['paths'][path]['get'].get('parameters', ())}

    def variants(self, schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield a schema and the schemas it is composed of."""
        schema = self.resolve(schema)
        yield schema
        for word in ('allOf', 'anyOf', 'oneOf'):
            for part in schema.get(word, ()):
                yield from self.variants(part)

    def property(self, schema: dict[str, Any], name: str) -> dict[str, Any] | None:
        """Return a property of an object; of the items, when the schema is a list."""
        for variant in self.variants(schema):
            if 'items' in variant:
                return self.property(variant['items'], name)
            if name in variant.get('properties', {}):
                return variant['properties'][name]
        return None

    def first(self, schema: dict[str, Any], key: str) -> Any:
        """Return the first value of a key in a schema and its parts, None without one."""
        return next((variant[key] for variant in self.variants(schema) if key in variant), None)

    def types(self, schema: dict[str, Any]) -> set[str]:
        """Return the JSON types that a schema allows, `null` among them."""
        found = set()
        for variant in self.variants(schema):
            kind = variant.get('type')
            found |= set(kind) if isinstance(kind, list) else {kind} if kind else set()
            if variant.get('nullable'):
                found.add('null')
            if 'properties' in variant:
                found.add('object')
        return found


@pytest.fixture(scope='module', params=DESCRIPTIONS)
def description(request) -> Description:
    return Description(request.param)


@pytest.fixture(scope='module')
def service() -> Iterator[GitHubService]:
    served = github_service(scale=0.1)
    with Running(served):
        yield served


@pytest.mark.parametrize('path', READ)
def test_every_field_we_read_is_described(description, path):
    method = 'post' if path.startswith('/app/') else 'get'
    for name, expected in READ[path].items():
        schema = description.answer(path, method)
        for part in name.split('.'):
            found = description.property(schema, part)
            assert found is not None, name
            schema = found
        types = description.types(schema)
        assert expected.rstrip('?') in types, name
        # The check must handle null where GitHub announces it.
        assert expected.endswith('?') or 'null' not in types, name


@pytest.mark.parametrize('path', PARAMETERS)
def test_every_parameter_we_send_is_described(description, path):
    assert PARAMETERS[path] <= description.parameters(path)


def test_runs_end_only_in_ways_that_are_known(description):
    """A new conclusion should fail this test before it appears on a dashboard."""
    statuses = description.resolve({'$ref': '#/components/parameters/workflow-run-status'})['schema']['enum']
    assert set(statuses) == {
        'completed', 'action_required', 'cancelled', 'failure', 'neutral', 'skipped', 'stale', 'success', 'timed_out',
        'in_progress', 'queued', 'requested', 'waiting', 'pending',
    }  # fmt: skip


# The sandbox answers only with fields that GitHub has.


def surprises(description: Description, value: Any, schema: dict[str, Any], where: str) -> Iterator[str]:
    """Yield the differences between an answer and its description."""
    if value is None:
        if 'null' not in description.types(schema) and not where.endswith(SILENTLY_NULL):
            yield f'{where} is null'
    elif isinstance(value, dict):
        for key, part in value.items():
            found = description.property(schema, key)
            if found is None:
                if not any(variant.get('additionalProperties') for variant in description.variants(schema)):
                    yield f'{where}.{key} is unknown'
            else:
                yield from surprises(description, part, found, f'{where}.{key}')
    elif isinstance(value, list):
        items = description.first(schema, 'items')
        if items is None:
            yield f'{where} is not a list'
            return
        for part in value[:20]:
            yield from surprises(description, part, items, f'{where}[]')
    else:
        yield from _odd_scalar(description, value, schema, where)


def _odd_scalar(
    description: Description, value: bool | float | str, schema: dict[str, Any], where: str
) -> Iterator[str]:
    types = description.types(schema)
    kinds = {bool: 'boolean', int: 'integer', float: 'number', str: 'string'}
    if kinds[type(value)] not in types and not (isinstance(value, int) and 'number' in types):
        yield f'{where} is {value!r}, not {sorted(types)}'
    enum = description.first(schema, 'enum')
    if enum is not None and value not in enum:
        yield f'{where} is {value!r}, not one of {enum}'


PATHS = (
    '/repos/{owner}/{repo}',
    '/repos/{owner}/{repo}/actions/runs',
    '/repos/{owner}/{repo}/actions/runs/{run_id}',
    '/repos/{owner}/{repo}/actions/runs/{run_id}/attempts/{attempt_number}',
    '/repos/{owner}/{repo}/actions/runs/{run_id}/attempts/{attempt_number}/jobs',
    '/repos/{owner}/{repo}/actions/runs/{run_id}/jobs',
    '/repos/{owner}/{repo}/actions/workflows',
    '/repos/{owner}/{repo}/actions/workflows/{workflow_id}',
    '/repos/{owner}/{repo}/actions/workflows/{workflow_id}/runs',
    '/repos/{owner}/{repo}/actions/runners',
    '/repos/{owner}/{repo}/activity',
    '/repos/{owner}/{repo}/branches',
    '/repos/{owner}/{repo}/branches/{branch}',
    '/repos/{owner}/{repo}/commits',
    '/repos/{owner}/{repo}/commits/{ref}',
    '/repos/{owner}/{repo}/compare/{basehead}',
    '/repos/{owner}/{repo}/contents/{path}',
    '/repos/{owner}/{repo}/deployments',
    '/repos/{owner}/{repo}/deployments/{deployment_id}/statuses',
    '/repos/{owner}/{repo}/issues',
    '/repos/{owner}/{repo}/issues/{issue_number}/timeline',
    '/repos/{owner}/{repo}/pulls',
    '/repos/{owner}/{repo}/pulls/{pull_number}',
    '/repos/{owner}/{repo}/pulls/{pull_number}/commits',
    '/repos/{owner}/{repo}/pulls/{pull_number}/files',
    '/repos/{owner}/{repo}/pulls/{pull_number}/reviews',
    '/repos/{owner}/{repo}/releases',
    '/orgs/{org}/actions/runners',
    '/rate_limit',
)


@pytest.mark.parametrize('path', PATHS)
def test_the_sandbox_answers_as_described(description, service, path):
    repository = service.metta
    pull = next(pull for pull in repository.pulls.values() if pull.reviews and pull.timeline)
    run = next(run for run in repository.runs.recent if run.run_attempt == 2)
    places = {
        'owner': repository.owner,
        'org': repository.owner,
        'repo': repository.name,
        'run_id': run.id,
        'attempt_number': 1,
        'workflow_id': run.workflow_id,
        'ref': repository.commits[0].oid,
        'branch': repository.default_branch,
        'path': '.github/workflows',
        'basehead': f'{repository.commits[9].oid}...{repository.commits[2].oid}',
        'deployment_id': repository.deployments[3].number,
        'issue_number': pull.number,
        'pull_number': pull.number,
    }
    headers = {'Authorization': f'Bearer {service.token}'}
    url = service.api_url + path.format(**places)
    answer = requests.get(url, headers=headers, params={'per_page': '100', 'state': 'all'}, timeout=30)
    assert answer.status_code == 200
    assert answer.json()
    assert list(dict.fromkeys(surprises(description, answer.json(), description.answer(path), ''))) == []


def test_access_tokens_are_answered_as_described(description, service):
    instance = service.app_instance()
    token = Auth.AppAuth(instance['app_id'], instance['app_private_key']).create_jwt()
    url = f'{service.api_url}/app/installations/{INSTALLATION_ID}/access_tokens'
    answer = requests.post(url, headers={'Authorization': f'Bearer {token}'}, timeout=30)
    assert answer.status_code == 201
    schema = description.answer('/app/installations/{installation_id}/access_tokens', 'post')
    assert list(surprises(description, answer.json(), schema, '')) == []


def test_a_surprise_would_be_found(description):
    schema = description.answer('/repos/{owner}/{repo}/activity')
    rows = [{'id': '1', 'ref': None, 'shoes': 4, 'activity_type': 'dance'}]
    found = list(surprises(description, rows, schema, ''))
    assert [line.split(', not')[0] for line in found] == [
        "[].id is '1'",
        '[].ref is null',
        '[].shoes is unknown',
        "[].activity_type is 'dance'",
    ]

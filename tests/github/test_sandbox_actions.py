"""The sandbox's workflow runs by attempt, their jobs, workflows, runners, and an index that lags."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests

from sandbox import Running
from sandbox.github.model import Run
from sandbox.github.service import GitHubService
from sandbox.github.site import LateIndex

from .served import github_service

pytestmark = pytest.mark.integration

ACTIONS = '/repos/metta-ai/metta/actions'


@pytest.fixture
def service() -> Iterator[GitHubService]:
    served = github_service(scale=0.03)
    with Running(served):
        yield served


def get(service: GitHubService, path: str, **params: Any) -> Any:
    headers = {'Authorization': f'Bearer {service.token}'}
    answer = requests.get(service.url + path, headers=headers, params=params, timeout=30)
    return answer.json() if answer.status_code == 200 else answer.status_code


def ended(service: GitHubService, conclusion: str) -> Run:
    path = '.github/workflows/tests.yml'
    return next(run for run in service.metta.runs.recent if run.conclusion == conclusion and run.path == path)


def test_attempts_keep_how_they_ended(service):
    run = ended(service, 'failure')
    first_end = run.updated_at
    run.run_again(service.clock.now() - timedelta(minutes=20))
    path = f'{ACTIONS}/runs/{run.id}'
    last = get(service, path)
    assert (last['run_attempt'], last['status'], last['conclusion']) == (2, 'in_progress', None)
    assert get(service, f'{path}/attempts/2') == last
    first = get(service, f'{path}/attempts/1')
    assert (first['run_attempt'], first['conclusion'], first['updated_at']) == (
        1, 'failure', f'{first_end:%Y-%m-%dT%H:%M:%SZ}',
    )  # fmt: skip
    assert first['created_at'] == last['created_at'] == first['run_started_at']
    assert last['previous_attempt_url'].endswith(f'/runs/{run.id}/attempts/1')
    assert first['previous_attempt_url'] is None
    assert get(service, f'{path}/attempts/3') == 404


def test_a_run_that_has_not_ended_cannot_be_run_again(service):
    run = next(run for run in service.metta.runs.recent if run.status == 'in_progress')
    with pytest.raises(ValueError, match='has not ended'):
        run.run_again(service.clock.now())


def test_jobs_lie_within_their_attempt(service):
    run = ended(service, 'failure')
    run.run_again(service.clock.now() - timedelta(minutes=20))
    path = f'{ACTIONS}/runs/{run.id}'
    first = get(service, f'{path}/attempts/1/jobs')['jobs']
    assert [job['name'] for job in first] == ['unit', 'integration', 'gpu']
    assert [job['conclusion'] for job in first] == ['success', 'success', 'failure']
    assert first[2]['labels'] == ['self-hosted', 'linux', 'gpu']
    for job in first:
        assert job['created_at'] <= job['started_at'] <= job['completed_at']
    last = get(service, f'{path}/jobs')['jobs']
    assert [job['status'] for job in last] == ['in_progress', 'queued', 'queued']
    assert {job['run_attempt'] for job in last} == {2}
    assert get(service, f'{path}/jobs', filter='all')['jobs'] == first + last
    assert get(service, f'{path}/attempts/2/jobs')['jobs'] == last


def test_a_broken_file_has_no_jobs(service):
    run = next(run for run in service.metta.runs.recent if run.conclusion == 'startup_failure')
    assert get(service, f'{ACTIONS}/runs/{run.id}/jobs') == {'total_count': 0, 'jobs': []}


def test_a_workflow_keeps_its_number_when_its_name_changes(service):
    run = ended(service, 'success')
    before = get(service, f'{ACTIONS}/workflows/tests.yml')
    for one in service.metta.runs.recent:
        if one.path == run.path:
            one.name = 'Tests, renamed'
    after = get(service, f'{ACTIONS}/workflows/{before["id"]}')
    assert (before['name'], after['name'], after['id']) == ('tests', 'Tests, renamed', before['id'])
    rows = get(service, f'{ACTIONS}/workflows/{before["id"]}/runs', per_page=100)['workflow_runs']
    assert {row['workflow_id'] for row in rows} == {before['id']} == {run.workflow_id}
    listed = get(service, f'{ACTIONS}/workflows', per_page=100)
    assert before['id'] in {row['id'] for row in listed['workflows']}
    assert get(service, f'{ACTIONS}/workflows/none.yml') == 404


@pytest.mark.parametrize(('late', 'missing'), [(LateIndex(), None), (LateIndex(rows=7), 7)])
def test_a_late_index_misses_rows_of_a_filtered_list_for_one_request(service, late, missing):
    service.late_index = late
    unfiltered = get(service, f'{ACTIONS}/runs')
    first, again = (get(service, f'{ACTIONS}/runs', created='>=2020-01-01') for _ in range(2))
    assert again['total_count'] == unfiltered['total_count']
    assert first['total_count'] == (0 if missing is None else again['total_count'] - missing)
    if missing:
        assert first['workflow_runs'][0]['id'] == again['workflow_runs'][missing]['id']


def test_runners_of_the_organization_have_labels(service):
    rows = get(service, '/orgs/metta-ai/actions/runners')['runners']
    assert [label['name'] for label in rows[0]['labels']] == ['self-hosted', 'Linux', 'X64', 'gpu', 'h100']
    service.denied.add('organization_self_hosted_runners')
    assert get(service, '/orgs/metta-ai/actions/runners') == 403

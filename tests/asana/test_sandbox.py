"""The sandbox refuses the same requests as Asana, and its data tells the story of the demo."""

from __future__ import annotations

import pytest
import requests

pytestmark = pytest.mark.integration


@pytest.fixture
def asana(serve):
    return serve('asana', tasks=300, bugs=150, projects=5, activity=False)


@pytest.fixture
def get(asana):
    """GET a path with the token; returns (status, body)."""
    with requests.Session() as session:
        session.headers['Authorization'] = f'Bearer {asana.access_token}'

        def ask(path, **params):
            answer = session.get(f'{asana.url}/api/1.0/{path}', params=params)
            return answer.status_code, answer.json()

        yield ask


def tasks_path(asana):
    return f'projects/{asana.bugs_project}/tasks'


@pytest.mark.parametrize('limit', ['0', '101', 'all'])
def test_a_limit_is_1_to_100(asana, get, limit):
    status, body = get(tasks_path(asana), limit=limit)
    assert status == 400
    assert body['errors'][0]['message'].startswith('limit:')


def test_a_long_list_needs_pages(serve):
    asana = serve('asana', tasks=1500, bugs=1200, projects=3, activity=False)
    headers = {'Authorization': f'Bearer {asana.access_token}'}
    answer = requests.get(f'{asana.url}/api/1.0/{tasks_path(asana)}', headers=headers)
    assert answer.status_code == 400
    assert 'too large' in answer.json()['errors'][0]['message']


def test_only_the_fields_asked_for_are_there(asana, get):
    _, body = get(tasks_path(asana), limit=5)
    assert set(body['data'][0]) == {'gid', 'resource_type', 'resource_subtype', 'name'}
    _, body = get(tasks_path(asana), limit=5, opt_fields='completed,memberships.section.name')
    row = body['data'][0]
    assert set(row) == {'gid', 'completed', 'memberships'}
    assert set(row['memberships'][0]) == {'section'}
    assert set(row['memberships'][0]['section']) == {'gid', 'name'}


def test_offsets_are_opaque_and_expire(asana, get):
    _, first = get(tasks_path(asana), limit=100)
    offset = first['next_page']['offset']
    assert not offset.isdigit()
    status, second = get(tasks_path(asana), limit=100, offset=offset)
    assert (status, second['next_page']) == (200, None)
    assert not {row['gid'] for row in first['data']} & {row['gid'] for row in second['data']}
    assert get('projects', workspace=asana.workspace.gid, limit=100, offset=offset)[0] == 400
    asana.pass_time(601)
    status, body = get(tasks_path(asana), limit=100, offset=offset)
    assert (status, body['errors'][0]['message']) == (400, 'offset: Your pagination token has expired')


def test_completed_since_leaves_out_what_was_completed_before(asana, get):
    now = asana.clock.now().isoformat()
    _, body = get(tasks_path(asana), limit=100, completed_since=now, opt_fields='completed')
    assert not any(row['completed'] for row in body['data'])
    assert get(tasks_path(asana), limit=100, completed_since='yesterday')[0] == 400


def test_search_lags_and_costs_extra(asana, get):
    path = f'workspaces/{asana.workspace.gid}/tasks/search'
    task = asana.create_task({asana.bugs_project: 'Triage'})
    before = asana.clock.now().replace(year=2020).isoformat()

    def found():
        _, body = get(path, **{'modified_at.after': before, 'sort_by': 'modified_at', 'limit': '10'})
        return task.gid in {row['gid'] for row in body['data']}

    assert not found()
    asana.pass_time(15)
    assert found()
    asana.premium = False
    assert get(path, limit=10)[0] == 402


def test_requests_beyond_the_limit_are_refused_and_count(serve):
    asana = serve('asana', tasks=100, bugs=20, projects=3, activity=False, rate_limit=3)
    headers = {'Authorization': f'Bearer {asana.access_token}'}

    def ask():
        return requests.get(f'{asana.url}/api/1.0/users/me', headers=headers)

    assert [ask().status_code for _ in range(4)] == [200, 200, 200, 429]
    assert ask().headers['Retry-After'] == '60'
    asana.clock.advance(59)
    assert ask().status_code == 429
    asana.clock.advance(61)
    assert ask().status_code == 200


def test_free_workspaces_may_ask_less(serve):
    asana = serve('asana', tasks=100, bugs=20, projects=3, activity=False, premium=False)
    headers = {'Authorization': f'Bearer {asana.access_token}'}
    with requests.Session() as session:
        session.headers.update(headers)
        statuses = [session.get(f'{asana.url}/api/1.0/users/me').status_code for _ in range(151)]
    assert statuses.index(429) == 150


def test_a_move_is_not_a_modification(asana):
    task = next(asana.workspace.tasks_of(asana.bugs_project))
    modified = task.modified_at
    asana.workspace.place(task, asana.bugs_project, 'Backlog', asana.clock.now())
    assert task.modified_at == modified


def test_the_same_seed_gives_the_same_workspace(serve):
    first, second = serve('asana', activity=False), serve('asana', activity=False)
    second.clock.advance((first.clock.now() - second.clock.now()).total_seconds())
    shape = [
        [
            (t.gid, tuple(t.memberships), t.completed, t.assignee and t.assignee.gid)
            for t in one.workspace.tasks.values()
        ]
        for one in (first, second)
    ]
    assert shape[0] == shape[1]


def test_the_story(asana, serve):
    demo = serve('asana', activity=False).workspace
    archived = [project for project in demo.projects.values() if project.archived]
    assert (len(demo.projects), len(archived), len(demo.users)) == (36, 3, 15)
    assert {user.zone for user in demo.users} == {'Europe/Berlin', 'America/Los_Angeles'}
    assert 1_400 <= len(demo.tasks) < 1_500
    two = [task for task in demo.tasks.values() if list(task.memberships.values())[:1] == ['In progress']]
    bugs = next(project for project in demo.projects.values() if project.name == 'Bugs')
    assert len([task for task in two if bugs.gid in task.memberships]) == 8
    assert any(task.subtype == 'milestone' for task in demo.tasks.values())

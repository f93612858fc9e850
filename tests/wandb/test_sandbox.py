"""The sandbox answers as W&B does: filters, orders, cursors. Other tests rely on it."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from metta_checks.core.times import parse_http_date
from sandbox import Clock, Organization
from sandbox.wandb.data import MAIN, Generator, Project, Run
from sandbox.wandb.filters import BadFilter, compile_filter, sort_key
from sandbox.wandb.machines import Machine, Writer
from sandbox.wandb.options import FLEET, UNCLEAR, WandbOptions
from sandbox.wandb.schema import Root, answer
from sandbox.wandb.service import WandbService

pytestmark = pytest.mark.unit

ORGANIZATION = Organization()
CLOCK = Clock()
PROJECTS = Generator(ORGANIZATION, CLOCK.now(), 0.2, 0.2).projects()
RUNS = list(PROJECTS[MAIN].runs.values())
FAILED = [run for run in RUNS if run.state == 'failed']


def accuracy(run):
    value = run.summary.get('accuracy')
    return value if isinstance(value, float) else 0.0


def matching(filters):
    predicate = compile_filter(filters)
    return {run.id for run in RUNS if predicate(run)}


def test_the_runs_are_those_of_the_organization():
    running = [run for run in RUNS if run.state == 'running']
    jobs = {job.name: job for job in ORGANIZATION.running_jobs}
    assert len(running) == 44
    for run in running:
        job = jobs[run.display_name]
        assert run.user == job.owner
        assert run.gpu_type == job.gpu.lower()
        assert (CLOCK.now() - run.created).total_seconds() == pytest.approx(job.age_hours * 3600)
    assert sum((CLOCK.now() - run.created).total_seconds() > 86400 for run in running) == 36
    assert len({run.user for run in running}) == 20
    silent_hours = {
        run.id: (CLOCK.now() - run.heartbeat).total_seconds() / 3600 for run in running if run.heartbeat is not None
    }
    assert len(silent_hours) == len(running)
    assert sorted(round(hours, 1) for hours in silent_hours.values())[-3:] == [0.7, 6, 31]
    resumed = [run for run in running if jobs[run.display_name].recoveries and run.pulse]
    assert resumed
    for run in resumed:
        life = (CLOCK.now() - run.created).total_seconds() - 3600 * silent_hours[run.id]
        assert run.compute < life - 1499


def test_the_same_seed_gives_the_same_runs():
    again = Generator(Organization(), CLOCK.now(), 0.2, 0.2).projects()
    assert [run.summary for run in again[MAIN].runs.values()] == [run.summary for run in RUNS]


@pytest.mark.parametrize(
    ('filters', 'expected'),
    [
        ({}, lambda run: True),
        ({'state': 'failed'}, lambda run: run.state == 'failed'),
        ({'state': {'$ne': 'failed'}}, lambda run: run.state != 'failed'),
        ({'state': {'$in': ['failed', 'killed']}}, lambda run: run.state in ('failed', 'killed')),
        ({'state': {'$nin': ['failed', 'killed']}}, lambda run: run.state not in ('failed', 'killed')),
        ({'display_name': {'$regex': '^ptm'}}, lambda run: run.display_name.startswith('ptm')),
        ({'displayName': {'$regex': '7$'}}, lambda run: run.display_name.endswith('7')),
        ({'tags': 'stable'}, lambda run: 'stable' in run.tags),
        ({'tags': {'$in': ['stable', 'x']}}, lambda run: 'stable' in run.tags),
        ({'heartbeatAt': {'$exists': False}}, lambda run: run.heartbeat is None),
        ({'heartbeatAt': {'$gte': '2000-01-01T00:00:00Z'}}, lambda run: run.heartbeat is not None),
        ({'summary_metrics.accuracy': {'$gt': 0.8}}, lambda run: accuracy(run) > 0.8),
        ({'config.num_gpus': {'$gte': 8}}, lambda run: run.config['num_gpus'] >= 8),
        ({'config.num_gpus.value': 8}, lambda run: run.config['num_gpus'] == 8),
        ({'$and': [{'state': 'failed'}, {'tags': 'stable'}]}, lambda run: run in FAILED and 'stable' in run.tags),
        ({'$or': [{'state': 'failed'}, {'tags': 'stable'}]}, lambda run: run in FAILED or 'stable' in run.tags),
        ({'$nor': [{'state': 'failed'}, {'tags': 'stable'}]}, lambda run: not (run in FAILED or 'stable' in run.tags)),
        ({'state': 'failed', 'group': 'ptm'}, lambda run: run.state == 'failed' and run.group == 'ptm'),
    ],
)
def test_filters(filters, expected):
    wanted = {run.id for run in RUNS if expected(run)}
    assert matching(filters) == wanted
    assert wanted


def test_times_compare_as_times():
    moment = sorted(run.heartbeat for run in RUNS if run.heartbeat)[100]
    text = moment.isoformat()
    found = matching({'heartbeatAt': {'$gte': text}}) | matching({'heartbeatAt': {'$lt': text}})
    assert found == {run.id for run in RUNS if run.heartbeat}
    assert matching({'created_at': {'$lt': text}}) == {run.id for run in RUNS if run.created < moment}


@pytest.mark.parametrize(
    'filters', [{'color': 'red'}, {'state': {'$like': 'x'}}, {'createdAt': {'$gt': 'soon'}}, ['x']]
)
def test_what_the_server_does_not_understand_is_refused(filters):
    with pytest.raises(BadFilter):
        compile_filter(filters)


def test_absent_values_come_first_and_strings_last():
    key, descending = sort_key('-summary_metrics.accuracy')
    values = [run.summary.get('accuracy') for run in sorted(RUNS, key=key)]
    kinds = [{type(None): 0, float: 1, str: 2}[type(value)] for value in values]
    assert descending
    assert kinds == sorted(kinds)
    assert set(kinds) == {0, 1, 2} or set(kinds) == {0, 1}


WALK = """
query Runs($project: String!, $after: String, $first: Int, $order: String) {
  project(name: $project, entityName: "e") {
    runs(after: $after, first: $first, order: $order) { edges { node { name } } pageInfo { hasNextPage endCursor } }
  }
}
"""


@given(
    st.sampled_from(['+created_at', '-created_at', 'created_at', '-heartbeat_at', '-summary_metrics.accuracy']),
    st.integers(3, 40),
    st.lists(st.tuples(st.integers(0, 59), st.booleans()), max_size=6),
)
def test_a_crawl_meets_each_run_once_and_may_miss_one_for_each_that_is_deleted_meanwhile(order, size, changes):
    project = Project('p')
    for run in RUNS[:60]:
        project.add(run)
    root = Root(None, lambda: {'p': project}, 'e')
    removed = set()
    pending = list(changes)
    seen = []
    cursor = None
    while True:
        variables = {'project': 'p', 'after': cursor, 'first': size, 'order': order}
        status, body = answer(root, WALK, variables, 'Runs', old=False)
        assert (status, body.get('errors')) == (200, None)
        connection = body['data']['project']['runs']
        seen += [edge['node']['name'] for edge in connection['edges']]
        if not connection['pageInfo']['hasNextPage']:
            break
        cursor = connection['pageInfo']['endCursor']
        if pending:
            index, remove = pending.pop()
            if remove and project.runs.pop(RUNS[index].id, None):
                removed.add(RUNS[index].id)
            root.clear()
    assert len(seen) == len(set(seen))
    # Cursors are positions, which a deletion moves: https://github.com/wandb/wandb/issues/6614.
    assert len(set(project.runs) - set(seen)) <= len(removed)


@pytest.mark.integration
class TestOverHttp:
    """Statuses and headers."""

    def ask(self, service, query='{ viewer { username } }', key=None, **variables):
        body = {'query': query, 'variables': variables}
        auth = ('api', key or service.instance()['api_key'])
        return requests.post(f'{service.url}/graphql', json=body, auth=auth, timeout=30)

    def test_the_key(self, serve):
        service = serve('wandb', scale=0.1)
        assert self.ask(service).json() == {'data': {'viewer': {'username': 'datadog-agent'}}}
        assert self.ask(service, key='wrong').status_code == 401

    def test_documents_that_do_not_fit_the_schema_are_refused_as_a_whole(self, serve):
        service = serve('wandb', scale=0.1, old_schema=True)
        query = '{ project(name: "metta", entityName: "metta-ai") { runs { edges { node { computeSeconds } } } } }'
        refused = self.ask(service, query)
        assert refused.status_code == 400
        assert 'computeSeconds' in refused.json()['errors'][0]['message']
        assert self.ask(service, query.replace('computeSeconds', 'state')).status_code == 200
        assert self.ask(service, '{ nonsense').status_code == 400

    def test_bad_filters_are_errors_in_the_answer(self, serve):
        query = 'query Q($f: JSONString) { project(name: "metta", entityName: "metta-ai") { runCount(filters: $f) } }'
        service = serve('wandb', scale=0.1)
        body = self.ask(service, query, f=json.dumps({'color': 1})).json()
        assert 'unknown field' in body['errors'][0]['message']
        assert self.ask(service, query, f='{}').json()['data']['project']['runCount'] == 260

    def test_the_rate_limit(self, serve):
        service = serve('wandb', scale=0.1)
        service.requests_left = 1
        assert self.ask(service).headers['RateLimit-Remaining'] == '0'
        assert self.ask(service).status_code == 429
        service.pass_time(30)
        assert self.ask(service).status_code == 200

    def test_hidden_and_unknown_projects_are_null(self, serve):
        service = serve('wandb', scale=0.1)
        for name in ('metta-private', 'no-such-project'):
            query = '{ project(name: "NAME", entityName: "metta-ai") { id } }'.replace('NAME', name)
            assert self.ask(service, query).json() == {'data': {'project': None}}

    def test_the_server_has_a_clock_of_its_own(self, serve):
        service = serve('wandb', scale=0.1, clock_skew=960, activity=False)
        answer = self.ask(service)
        assert parse_http_date(answer.headers['Date']) == service.clock.now() + timedelta(seconds=960)
        assert max(run.last_seen for run in service.projects[MAIN].runs.values()) > service.clock.now()

    def test_schemas_and_projects_differ(self, serve):
        service = serve('wandb', scale=0.1, missing_fields=['Run.host', 'Run.config.keys'], denied_projects=[MAIN])
        query = '{ project(name: "metta-evals", entityName: "metta-ai") { runs { edges { node { PART } } } } }'
        for part, message in (
            ('host', 'Cannot query field "host" on type "Run".'),
            ('config(keys: ["a"])', 'Unknown argument "keys" on field "Run.config".'),
        ):
            refused = self.ask(service, query.replace('PART', part))
            assert (refused.status_code, refused.json()['errors'][0]['message']) == (400, message)
        denied = self.ask(service, '{ project(name: "metta", entityName: "metta-ai") { id } }').json()
        assert denied == {'data': {'project': None}, 'errors': [{'message': 'permission denied', 'path': ['project']}]}


class TestMachines:
    """The SDK describes the machine; the readings of its processes say what a run uses."""

    def test_the_configuration_names_the_machine_and_its_gpus(self):
        writer = Writer(Machine.of('box', 'NVIDIA L4', 2), (1,))
        run = Run(1, 'a', 'running', CLOCK.now(), None, 0, None, 'l4', 2, 'other', config={'lr': 1}, writers=(writer,))
        told = run.settings['_wandb']['value']['e'][writer.id]
        assert (told['host'], told['gpu'], told['gpu_count']) == ('box', 'NVIDIA L4', 2)
        assert [gpu['uuid'] for gpu in told['gpu_nvidia']] == list(writer.machine.uuids)
        assert run.settings['lr'] == {'value': 1, 'desc': None}
        assert run.info == {'gpu': 'NVIDIA L4', 'gpuCount': 2, 'cpuCount': 32}
        assert writer.held_uuids == {writer.machine.uuids[1]}

    def test_readings_of_processes_name_the_gpus_of_the_run(self):
        machine = Machine.of('box', 'NVIDIA L4', 2)
        readings = dict(Writer(machine, (1,), label='rank1').readings({machine.uuids[0]: 70.0}))
        assert readings['system.gpu.0.gpu/l:rank1'] == 70
        assert readings['system.gpu.1.gpu/l:rank1'] == 0
        assert 'system.gpu.process.1.gpu/l:rank1' in readings
        assert 'system.gpu.process.0.gpu/l:rank1' not in readings

    def test_machines_of_one_name_have_gpus_of_their_own(self):
        one, two = (Machine.of('vm', 'NVIDIA L4', 1, serial) for serial in ('one', 'two'))
        assert one.host == two.host
        assert one.uuids != two.uuids


def test_the_rare_situations_are_additional():
    plain, rare = (
        WandbService(Organization(), CLOCK, WandbOptions(scale=0.1, rare=switch)) for switch in (False, True)
    )
    assert list(rare.projects) == [*plain.projects, FLEET, UNCLEAR]
    for name, project in plain.projects.items():
        assert rare.projects[name].runs == project.runs
    agents = [run for run in rare.projects[FLEET].runs.values() if run.display_name.startswith('agent-')]
    assert len({run.host for run in agents}) == 1
    assert {(run.info or {}).get('gpuCount') for run in agents} == {8}
    live = [run for run in agents if run.state == 'running']
    assert len(frozenset().union(*(run.writers[0].held_uuids for run in live))) == 8

"""The check only reads. Whatever it may ask, with every option on, stands in requests.json.

To renew the list after a change: METTA_WRITE_REQUESTS=1 pytest tests/security/test_read_only.py; the difference says
what is new.
"""

from __future__ import annotations

import ast
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from metta_checks.github import queries
from metta_checks.testing import Driver
from sandbox.every_option import every_option

pytestmark = pytest.mark.integration

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
LIST = HERE / 'requests.json'
# Options that replace those of `every_option` or add to them, so that more is asked.
MORE: dict[str, dict[str, Any]] = {
    'github': {'by_user': True, 'organization': 'metta-ai', 'required_workflows': ['tests']},
    'asana': {'by_user': True},
}
ID = re.compile(
    r'(?<=/repos/)[^/]+/[^/]+|(?<=/namespaces/)[^/]+|(?<=/)\d{3,}(?=/|$)|(?<=/installations/)\d+'
    r'|(?<=/attempts/)\d+|(?<=/compare/)[0-9a-f.]+'
)
# POSTs that read: GraphQL, and operations whose parameters do not fit into an address.
READING_POSTS = {
    'github': {'/graphql', '/app/installations/*/access_tokens'},
    'wandb': {'/graphql'},
    'skypilot': {
        '/jobs/queue',
        '/jobs/queue/v2',
        '/jobs/pool_status',
        '/queue',
        '/status',
        '/cost_report',
        '/list_accelerators',
        '/users',
    },
}
READING_ACTIONS = re.compile(r'(Describe|Get|List)[A-Z]')
# Each source in a few ways: servers of other versions are asked other things.
WAYS: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = {
    'github': [({}, {}), ({'ghes': True}, {'dora': {'source': 'workflow', 'workflows': ['*']}})],
    'asana': [({}, {}), ({'premium': False}, {})],
    'ec2': [({}, {}), ({}, {'regions': None, 'idle': {'source': 'compute_optimizer', 'interval': 60}})],
    'wandb': [({'activity': False}, {}), ({'activity': False, 'old_schema': True}, {})],
    'skypilot': [({'rare': True}, {}), ({'api_version': 14}, {}), ({'auth': 'basic'}, {})],
    'kubernetes': [({'pods': 60}, {}), ({'pods': 60}, {'namespaces': {'include': ['default']}})],
}
SMALL: dict[str, dict[str, Any]] = {
    'github': {'runs_in_window': 60, 'prs': 30, 'scale': 0.05},
    'asana': {'scale': 0.05},
    'ec2': {'scale': 0.05},
    'wandb': {'scale': 0.05},
    'skypilot': {'scale': 0.1},
    'kubernetes': {},
}


def requests_of(source, serve) -> list[str]:
    """Every kind of request, once: cold, warm, and what diagnosis asks."""
    found = set()
    for switches, options in WAYS[source]:
        service = serve(source, **{**SMALL[source], **switches})
        every = {**every_option(service), **MORE.get(source, {}), **options}
        drivers = [Driver.of(service, **every)]
        if source == 'github':
            of_releases = {**every, 'dora': {'source': 'release'}}
            drivers.append(Driver({**service.app_instance(), **of_releases}, service.clock))
        for driver in drivers:
            for _ in range(3):
                driver.run()
                service.pass_time(900)
            assert all(finding.status != 'fail' for finding in driver.findings())
        found |= set(asked(source, service))
    return sorted(found)


def asked(source, service):
    if source == 'ec2':
        yield from (entry.partition(' ')[0] for entry in service.asked)
        return
    for entry in service.log:
        path = ID.sub('*', entry.path)
        operation = ''
        if path.endswith('/graphql'):
            query = json.loads(entry.body)['query'].lstrip()
            operation = ' ' + ' '.join(query.partition('(')[0].partition('{')[0].split())
        yield f'{entry.method} {path}{operation}'


def listed():
    return json.loads(LIST.read_text(encoding='utf-8')) if LIST.exists() else {}


@pytest.mark.parametrize('source', WAYS)
def test_what_is_asked_is_what_is_listed(source, serve):
    found = requests_of(source, serve)
    if os.environ.get('METTA_WRITE_REQUESTS'):
        LIST.write_text(json.dumps({**listed(), source: found}, indent=1, sort_keys=True) + '\n', encoding='utf-8')
    assert found == listed()[source]


@pytest.mark.parametrize('source', WAYS)
def test_what_is_listed_only_reads(source):
    for request in listed()[source]:
        if source == 'ec2':
            service, _, action = request.partition(':')
            assert READING_ACTIONS.match(action), request
            assert service in ('ec2', 'sts', 'pricing', 'cloudwatch', 'ce', 'compute-optimizer'), request
            continue
        method, path, *operation = request.split(' ')
        if method == 'POST':
            # The two kinds of address that GitHub Enterprise Server has.
            assert path.removeprefix('/api/v3').removeprefix('/api') in READING_POSTS[source], request
            assert not path.endswith('/graphql') or operation[0] == 'query', request
        else:
            assert method in ('GET', 'HEAD'), request


def test_no_document_changes_anything():
    for document in queries.DOCUMENTS.values():
        assert re.match(r'query\b', document.lstrip())
        assert not re.search(r'\b(mutation|subscription)\b', document)


def test_no_source_can_send_anything_but_get_and_post():
    """The adapter takes the method as a text; nobody gives it another one."""
    for path in (ROOT / 'metta_checks').rglob('*.py'):
        if 'as_code' in path.parts or 'cli' in path.parts or 'verify' in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = ast.unparse(node.func.value).lower()
                if owner.endswith(('api', 'http', 'session')):
                    assert node.func.attr not in ('put', 'patch', 'delete'), (path, node.lineno)
                if node.func.attr == 'send' and node.args and isinstance(node.args[0], ast.Constant):
                    assert node.args[0].value in ('get', 'post'), (path, node.lineno)

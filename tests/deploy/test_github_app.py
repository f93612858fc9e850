"""The permissions of the GitHub App against what the source asks GitHub for."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from graphql import FieldNode, parse
from graphql.language import visitor

from metta_checks.testing import Driver

from .documents import ROOT, document

APP = 'github-app.yaml'
# Paths by the permission that GitHub's REST reference asks for.
PATHS = {
    r'/repos/[^/]+/[^/]+/actions/runs(/\d+/(attempts/\d+(/jobs)?|approvals))?': 'actions',
    r'/repos/[^/]+/[^/]+/actions/workflows(/\d+/runs)?': 'actions',
    r'/repos/[^/]+/[^/]+/contents/\.github/workflows': 'contents',
    r'/repos/[^/]+/[^/]+/compare/.+': 'contents',
    r'/repos/[^/]+/[^/]+/activity': 'contents',
    r'/repos/[^/]+/[^/]+/actions/runners': 'administration',
    r'/orgs/[^/]+/actions/runners': 'organization_self_hosted_runners',
    # Nobody is refused.
    r'/rate_limit': '',
    r'/app/installations/\d+/access_tokens': '',
}
# Connections and objects that are guarded by more than the right to see the repository, wherever they are asked for.
GUARDED = {
    'defaultBranchRef': {'contents'},
    'refs': {'contents'},
    'ref': {'contents'},
    'history': {'contents'},
    'releases': {'contents'},
    'pullRequests': {'pull_requests'},
    'files': {'pull_requests'},
    'reviews': {'pull_requests'},
    'issues': {'issues'},
    'statusCheckRollup': {'statuses', 'checks'},
    'mergeQueue': {'merge_queues'},
    'deployments': {'deployments'},
}
# Of the repository itself and of its owner.
METADATA = {'repository', 'repositories', 'repositoryOwner'}
PLAIN = {
    '__typename',
    'diskUsage',
    'forkCount',
    'isArchived',
    'isDisabled',
    'isFork',
    'name',
    'nameWithOwner',
    'owner',
    'stargazerCount',
    'url',
}
OPTIONS: dict[str, dict[str, Any]] = {
    'deployments': {'deployments': True},
    'dora': {'dora': {'source': 'deployments'}},
    'jobs': {'jobs': True},
    'runners': {'runners': True},
    'organization_runners': {'organization_runners': True},
}


def granted(*options: str) -> set[str]:
    """Return the permissions that are granted, with these options on."""
    app = document(APP)
    return {*app['permissions'], *(name for option in options for name in app['options'][option])}


class Fields(visitor.Visitor):
    """All fields of a query, and those directly on a repository."""

    def __init__(self) -> None:
        super().__init__()
        self.all: set[str] = set()
        self.of_repository: set[str] = set()
        self._above: list[str] = []

    def enter_field(self, node: FieldNode, *_) -> None:
        self.all.add(node.name.value)
        if self._above and self._above[-1] == 'repository':
            self.of_repository.add(node.name.value)
        self._above.append(node.name.value)

    def leave_field(self, *_) -> None:
        self._above.pop()


def needed(service) -> set[str]:
    """The permissions behind everything in a service's log. Fails on what nobody has classified."""
    found = set()
    for entry in service.log:
        if entry.path.endswith('/graphql'):
            fields = Fields()
            visitor.visit(parse(json.loads(entry.body)['query']), fields)
            unknown = fields.of_repository - GUARDED.keys() - PLAIN
            assert not unknown, f'which permission do these need? {unknown}'
            found |= {'metadata'} if fields.all & METADATA else set()
            found |= {name for field in fields.all & GUARDED.keys() for name in GUARDED[field]}
        else:
            [permission] = [name for path, name in PATHS.items() if re.fullmatch(path, entry.path)]
            found |= {permission} - {''}
    return found


def recorded(serve, **options) -> set[str]:
    """The permissions of a first refresh, of a later one and of `doctor`."""
    service = serve('github', scale=0.05)
    driver = Driver.of(service, refresh_interval=0, **options)
    for _ in range(2):
        run = driver.run()
        assert (run.error, run.warnings) == ('', [])
        service.pass_time(900)
    assert [finding for finding in driver.findings() if finding.status == 'fail'] == []
    return needed(service)


def test_the_permissions_are_exactly_what_is_asked_for(serve):
    assert recorded(serve) == granted()


@pytest.mark.parametrize('option', OPTIONS)
def test_an_option_needs_what_is_written_beside_it(serve, option):
    assert recorded(serve, **OPTIONS[option]) == granted(option)


def test_each_permission_that_is_taken_away_or_added_is_noticed(serve):
    asked = recorded(serve, **{name: value for options in OPTIONS.values() for name, value in options.items()})
    whole = granted(*OPTIONS)
    assert asked == whole
    for name in whole:
        assert asked - (whole - {name}) == {name}
    assert (whole | {'secrets'}) - asked == {'secrets'}


def test_an_app_reads_and_is_told_nothing():
    app = document(APP)
    assert app['events'] == []
    levels = [*app['permissions'].values(), *(level for some in app['options'].values() for level in some.values())]
    assert set(levels) == {'read'}


def test_the_documentation_of_the_source_says_the_same():
    table = re.search(r'\| permission \| for \|\n\| --- \| --- \|\n(.*?)\n\n', page(), re.DOTALL)
    assert table is not None
    words = {word for row in table[1].splitlines() for word in row.split('|')[1].strip().split(', ')}
    written = {
        'Commit statuses': 'statuses',
        'Self-hosted runners (of the organization)': 'organization_self_hosted_runners',
    }
    names = {written.get(word, word.lower().replace(' ', '_')) for word in words}
    assert names == granted(*OPTIONS)


def page() -> str:
    return (ROOT / 'docs' / 'sources' / 'github.md').read_text(encoding='utf-8')

"""GitHub Enterprise Server: parts of the API that a version lacks."""

from __future__ import annotations

import pytest
from datadog_checks.base import AgentCheck

from metta_checks.testing import Driver
from tests.github.scripted import ScriptedGitHub, commit
from tests.github.scripted_hooks import status

from ..case import case

M = 'metta.github.'
VERSION = 'X-GitHub-Enterprise-Version'


def serves(github: ScriptedGitHub, version: str | None, code: int = 404) -> None:
    """Answer as a server of this version without the list of activities."""
    answer = github.answer

    def with_version(request):
        response = answer(request)
        if version:
            response.headers[VERSION] = version
        return response

    setattr(github, 'answer', with_version)  # noqa: B010  (a method cannot be assigned to by name)
    github.hooks['activity'] = status(github, code, {'message': 'Not Found'})


@case('G', 'https://docs.github.com/en/enterprise-server@3.16/rest/repos/repos')
def test_a_server_without_the_list_of_activities(scripted):
    """A server without the list of activities.

    GitHub Enterprise Server 3.14 answers 404 to the list of activities, and to everything else as github.com does. The
    instance reads it for three days.

    Right: The first refresh warns once and names the version from which on force pushes are known. After that, the
    service check is OK, and the list is asked for once a day. `commits.force_merge_7d` is absent, not 0.

    Unchanged: Nothing says that the name may be wrong, and `prs.open` is 1.
    """
    serves(scripted, '3.14.2')
    scripted.hooks['Now'] = lambda request, variables: scripted.json(
        {'data': {'repository': {**scripted.overview(), 'nameWithOwner': f'metta/{variables["name"]}'}}}
    )
    driver = Driver.of(scripted, repositories=['metta/one', 'metta/two'])
    run = driver.run()
    [line] = run.warnings
    assert 'metta/one, block activity: GitHub Enterprise Server 3.14.2 has no list of activities' in line
    assert line.endswith('version 3.17 has one')
    for _ in range(3 * 24):
        scripted.pass_time(3600)
        run = driver.run()
        assert (run.status, run.warnings) == (AgentCheck.OK, [])
    assert scripted.asked().count('activity') == 1 + 3
    assert run.series(M + 'commits.force_merge_7d') == {}
    assert set(run.series(M + 'prs.open').values()) == {1}


@case('G', 'https://docs.github.com/en/enterprise-server@3.17/rest/repos/repos', guard=True)
def test_an_update_of_the_server(scripted):
    """An update of the server.

    The server is updated to 3.17 and has the list of activities then.

    Right: `commits.force_merge_7d` appears within a day.

    Unchanged: The service check is OK.
    """
    serves(scripted, '3.16.1')
    driver = Driver.of(scripted)
    driver.run()
    del scripted.hooks['activity']
    for _ in range(25):
        scripted.pass_time(3600)
        run = driver.run()
    assert (run.status, run.value(M + 'commits.force_merge_7d')) == (AgentCheck.OK, 1)


@case('G', 'https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api', guard=True)
@pytest.mark.parametrize(('version', 'code'), [(None, 404), ('3.17.0', 404), ('3.18.4', 404), ('3.14.2', 500)])
def test_a_failure_that_the_version_does_not_explain(scripted, version, code):
    """A failure that the version does not explain.

    github.com or a server of version 3.17 answers 404 to the list of activities, or an older server answers 500.

    Right: The warning stays in every refresh.

    Unchanged: `prs.open` is 1.
    """
    serves(scripted, version, code)
    driver = Driver.of(scripted)
    for _ in range(3):
        run = driver.run()
        assert (run.status, run.value(M + 'prs.open')) == (AgentCheck.WARNING, 1)
        assert 'block activity' in run.warnings[0]
        scripted.pass_time(900)


@case('C', 'https://docs.github.com/en/enterprise-server@3.16/rest/repos/repos', guard=True)
def test_no_list_of_activities_while_the_repository_is_unknown(scripted):
    """No list of activities while the repository itself is unknown.

    An older server shows a repository in one refresh. In the next one, GraphQL fails with 500, and REST answers 404,
    because the repository is gone.

    Right: The server is not taken for one without the list: the list is asked for in the next refresh.

    Unchanged: The warning shows the failure.
    """
    serves(scripted, '3.14.2')
    activity = scripted.hooks.pop('activity')
    driver = Driver.of(scripted)
    driver.run()
    scripted.hooks |= {'activity': activity, 'Now': status(scripted, 500)}
    scripted.pass_time(900)
    run = driver.run()
    assert run.errors()['activity', 'not_found'] == 1
    scripted.hooks.clear()
    scripted.log.clear()
    scripted.commits.insert(0, commit('d' * 40, hours=1))
    scripted.pass_time(900)
    run = driver.run()
    assert 'activity' in scripted.asked()
    assert run.value(M + 'commits.force_merge_7d') == 1


@case('G', 'https://docs.github.com/en/enterprise-server@3.16/rest/repos/repos')
def test_the_finding_about_an_older_server(scripted):
    """The finding about an older server.

    `metta-checks doctor` asks a server of version 3.14.

    Right: One finding says that force pushes are unknown, and from which version on they are known.

    Unchanged: The other findings are as on github.com.
    """
    serves(scripted, '3.14.2')
    found = {one.name: one for one in Driver.of(scripted).findings()}
    assert found['force pushes'].status == 'warning'
    assert 'version 3.17' in found['force pushes'].message
    assert found['metta/one actions'].status == 'ok'

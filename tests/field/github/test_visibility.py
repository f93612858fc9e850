"""Visibility: repositories that an instance is meant to read, and that GitHub does not show."""

from __future__ import annotations

import pytest
from datadog_checks.base import AgentCheck

from metta_checks.testing import Driver
from tests.github.scripted import connection
from tests.github.scripted_hooks import status

from ..case import case

M = 'metta.github.'
PARTIAL = {'X-GitHub-SSO': 'partial-results; organizations=21955855,20582480'}
HOUR = 3600


@pytest.fixture
def acme(scripted):
    """Return a driver of all repositories of the organization acme, and a function that says which ones GitHub lists.

    The function takes names, and flags by name. The id of a repository is its name, unless `ids` says otherwise.
    """
    scripted.hooks['Now'] = lambda request, variables: scripted.json(
        {
            'data': {
                'repository': {
                    **scripted.overview(),
                    'nameWithOwner': f'{variables["owner"]}/{variables["name"]}',
                }
            }
        }
    )

    def lists(*names, headers=None, ids=None, **flags):
        rows = [
            {
                'id': (ids or {}).get(name, name),
                'nameWithOwner': f'acme/{name}',
                'isArchived': flags.get(name) == 'archived',
                'isDisabled': flags.get(name) == 'disabled',
                'isFork': flags.get(name) == 'fork',
            }
            for name in names
        ]
        data = {'repositoryOwner': {'repositories': connection(rows)}}
        scripted.hooks['Repositories'] = lambda request, _: scripted.json({'data': data}, 200, headers)

    def driver(**options):
        return Driver.of(scripted, **{'repositories': None, 'organization': 'acme', **options})

    return driver, lists


def repositories(run):
    return sorted(tag for tags in run.series(M + 'repo.stars') for tag in tags if tag.startswith('repo:'))


def gap(driver, run, message):
    """Check the warning, the service check and the finding of a gap."""
    assert run.status == AgentCheck.WARNING
    assert any(message in line for line in run.warnings)
    finding = next(one for one in driver.findings() if one.name == 'organization acme')
    assert finding.status == 'warning'
    assert message in finding.message


@case('C', 'https://github.com/MODSetter/SurfSense/issues/116')
def test_an_organization_without_a_visible_repository(acme):
    """An organization without a visible repository.

    The token may see the organization, but none of its repositories: GraphQL answers with an empty list.

    Right: The service check is WARNING and says so. `metta-checks doctor` has a finding about it.

    Unchanged: No figure of a repository is sent.
    """
    driver, lists = acme
    lists()
    check = driver()
    run = check.run()
    gap(check, run, 'GitHub shows no repository of organization acme to these credentials; give the token access')
    assert repositories(run) == []


@case('C', 'https://github.com/githubexporter/github-exporter/issues/84')
def test_an_organization_of_archived_repositories(acme):
    """An organization of archived repositories.

    GitHub shows three repositories: one is archived, one is disabled, one is a fork.

    Right: The service check is WARNING, and says that all three are not read, and how to read them.

    Unchanged: No figure of a repository is sent.
    """
    driver, lists = acme
    lists('one', 'two', 'three', one='archived', two='disabled', three='fork')
    check = driver()
    run = check.run()
    gap(check, run, 'all 3 repositories of organization acme that GitHub shows are archived, disabled or forks')
    assert repositories(run) == []


@case('C', 'https://github.com/change-metrics/monocle/issues/741')
@pytest.mark.parametrize(
    ('options', 'message', 'read'),
    [
        ({'include': ['api-*']}, 'option `include`: `api-*` fits none of the 2 repositories', []),
        ({'include': ['web', 'api-*']}, 'option `include`: `api-*` fits none of the 2 repositories', ['repo:acme/web']),
        ({'exclude': ['*']}, 'option `exclude` leaves none of the 2 repositories', []),
    ],
)
def test_a_pattern_that_selects_nothing(acme, options, message, read):
    """A pattern that selects nothing.

    The organization has the repositories `web` and `docs`. The option `include` has a pattern that fits neither, alone
    or beside one that fits, or `exclude` fits both.

    Right: The service check is WARNING and names the pattern.

    Unchanged: Repositories that another pattern fits are read.
    """
    driver, lists = acme
    lists('web', 'docs')
    check = driver(**options)
    run = check.run()
    gap(check, run, message)
    assert repositories(run) == read


@case('C', 'https://docs.github.com/en/rest/authentication/authenticating-to-the-rest-api')
def test_a_list_that_leaves_organizations_out(acme, scripted):
    """A list that leaves organizations out.

    The token is not authorized for the single sign-on of two organizations. GitHub answers the list of repositories
    with 200, without theirs, and with the header `X-GitHub-SSO: partial-results` and the ids of the organizations.

    Right: The service check is WARNING with the ids in every refresh, also while the list is not read again. A
    repository that was known before stays known, however long GitHub leaves it out.

    Unchanged: The repositories in the list are read.
    """
    driver, lists = acme
    lists('web', 'docs')
    check = driver()
    assert repositories(check.run()) == ['repo:acme/docs', 'repo:acme/web']
    lists('web', headers=PARTIAL)
    for _ in range(9):
        scripted.pass_time(900)
        run = check.run()
    assert repositories(run) == ['repo:acme/docs', 'repo:acme/web']
    gap(check, run, 'organizations with the ids 21955855, 20582480; authorize the token for their single sign-on')
    lists('web', 'docs')
    scripted.pass_time(HOUR)
    assert check.run().status == AgentCheck.OK


@case('C', 'https://docs.github.com/en/rest/authentication/authenticating-to-the-rest-api')
def test_an_answer_that_leaves_an_organization_out(scripted):
    """An answer that leaves an organization out.

    The instance lists its repositories by name. The first query is answered with the header
    `X-GitHub-SSO: partial-results` and the id of an organization.

    Right: The service check is WARNING with the id.

    Unchanged: `prs.open` is 1.
    """
    data = {'data': {'repository': scripted.overview()}}
    headers = {'X-GitHub-SSO': 'partial-results; organizations=7'}
    scripted.hooks['Now'] = lambda request, _: scripted.json(data, 200, headers)
    run = Driver.of(scripted).run()
    assert run.status == AgentCheck.WARNING
    assert 'the organizations with the ids 7; authorize the token' in run.message
    assert run.value(M + 'prs.open') == 1


@case('C', 'https://github.com/max-sixty/tend/pull/348')
def test_a_list_that_is_empty_once(acme, scripted):
    """A list that is empty once.

    The list of repositories, read every hour, is empty once and complete again an hour later.

    Right: The known repositories are read all the time, with their history. The service check is WARNING for that hour.

    Unchanged: The next list makes it OK again.
    """
    driver, lists = acme
    lists('web', 'docs')
    check = driver()
    check.run()
    lists()
    scripted.pass_time(HOUR)
    run = check.run()
    assert repositories(run) == ['repo:acme/docs', 'repo:acme/web']
    assert 'GitHub shows no repository of organization acme' in run.message
    lists('web', 'docs')
    scripted.pass_time(HOUR)
    scripted.log.clear()
    run = check.run()
    assert (repositories(run), run.status) == (['repo:acme/docs', 'repo:acme/web'], AgentCheck.OK)
    # A cold refresh would read the pull requests in larger pages.
    assert scripted.asked().count('ClosedPullRequests') == 0


@case('C', 'https://github.com/styfle/cancel-workflow-action/issues/150', guard=True)
def test_repositories_that_are_gone(acme, scripted):
    """Repositories that are gone.

    The organization deletes the repository `docs` and archives the repository `api`.

    Right: `docs` is read until two lists lack it. `api` is dropped with the first list that shows it as archived.

    Unchanged: `web` is read.
    """
    driver, lists = acme
    lists('web', 'docs', 'api')
    check = driver()
    check.run()
    lists('web', 'api', api='archived')
    scripted.pass_time(HOUR)
    assert 'repo:acme/api' not in repositories(check.run())
    scripted.pass_time(HOUR)
    run = check.run()
    assert (repositories(run), run.status) == (['repo:acme/web'], AgentCheck.OK)


@case(
    'A', 'https://docs.github.com/en/repositories/creating-and-managing-repositories/renaming-a-repository', guard=True
)
def test_a_renamed_repository_of_an_organization(acme, scripted):
    """A renamed repository of an organization.

    The organization renames `docs` to `handbook`. GitHub also answers to the former name.

    Right: The repository is read once, under its new name.

    Unchanged: `web` is read.
    """
    driver, lists = acme
    lists('web', 'docs')
    check = driver()
    check.run()
    lists('web', 'handbook', ids={'handbook': 'docs'})
    scripted.pass_time(HOUR)
    run = check.run()
    assert repositories(run) == ['repo:acme/handbook', 'repo:acme/web']


@case('G', 'https://github.com/cli/cli/issues/2661')
def test_an_organization_that_github_refuses_to_show(acme, scripted):
    """An organization that GitHub refuses to show.

    After a good hour, GraphQL answers the list of repositories with 200 and an error of type FORBIDDEN, because the
    organization now enforces SAML single sign-on.

    Right: The service check is WARNING with GitHub's reason and the page to authorize the token on.

    Unchanged: The known repositories are read.
    """
    driver, lists = acme
    lists('web')
    check = driver()
    check.run()
    error = {'type': 'FORBIDDEN', 'path': ['repositoryOwner'], 'message': 'Resource protected by SAML enforcement.'}
    scripted.hooks['Repositories'] = lambda request, _: scripted.json(
        {'data': {'repositoryOwner': None}, 'errors': [error]},
        200,
        {'X-GitHub-SSO': 'required; url=https://github.com/orgs/acme/sso?authorization_request=SECRET'},
    )
    scripted.pass_time(HOUR)
    run = check.run()
    assert run.status == AgentCheck.WARNING
    assert (
        'Resource protected by SAML enforcement.; authorize the token for single sign-on: https://github.com/orgs/'
        in (run.message)
    )
    assert repositories(run) == ['repo:acme/web']


@case('E', 'https://github.com/ossf/allstar/issues/36')
def test_a_list_that_fails_beside_listed_repositories(acme, scripted):
    """A list that fails beside repositories that are configured by name.

    The instance has the options `organization` and `repositories`. GitHub fails to list the organization's
    repositories with 500, from the start.

    Right: The repositories in the configuration are read, and the service check is WARNING with the failure.

    Unchanged: The next refresh reads the list, and all repositories.
    """
    driver, lists = acme
    scripted.hooks['Repositories'] = status(scripted, 500)
    check = driver(repositories=['acme/web'])
    run = check.run()
    assert (repositories(run), run.status) == (['repo:acme/web'], AgentCheck.WARNING)
    assert 'only known repositories are read: ' in run.message
    lists('web', 'docs')
    scripted.pass_time(900)
    run = check.run()
    assert (repositories(run), run.status) == (['repo:acme/docs', 'repo:acme/web'], AgentCheck.OK)


@case('G', 'https://github.com/renovatebot/renovate/issues/20253')
def test_findings_say_what_github_says(scripted):
    """Findings say what GitHub says.

    `metta-checks doctor` tries the first query and the list of runs. GitHub shows the repository without its merge
    queue, because a permission is missing, and refuses the runs because of the IP allow list.

    Right: One finding is about the merge queue, another one about the runs, both with GitHub's reason.

    Unchanged: The repository itself is readable.
    """
    reason = 'Resource not accessible by personal access token'
    error = {'type': 'FORBIDDEN', 'path': ['repository', 'mergeQueue'], 'message': reason}
    data = {'repository': {**scripted.overview(), 'mergeQueue': None}}
    scripted.hooks['Now'] = lambda request, _: scripted.json({'data': data, 'errors': [error]})
    scripted.hooks['runs'] = status(scripted, 403, {'message': 'The organization has an IP allow list enabled.'})
    found = {one.name: one for one in Driver.of(scripted).findings()}
    part = 'metta/one contents and pull requests'
    assert found[part].status == 'ok'
    assert (found[f'{part}: mergeQueue'].status, found[f'{part}: mergeQueue'].message) == ('warning', reason)
    assert found['metta/one actions'].message.endswith('The organization has an IP allow list enabled.')
    assert 'read access' not in found['metta/one actions'].remedy

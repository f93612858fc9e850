"""Refusals: GitHub's own reason is shown, with the advice that it gives."""

from __future__ import annotations

from datetime import timedelta

import pytest
from datadog_checks.base import AgentCheck

from metta_checks.testing import Driver
from tests.github.scripted import INSTALLATION_TOKEN, NOW
from tests.github.scripted_hooks import status, with_errors
from tests.github.test_answers import private_key  # noqa: F401  (a fixture)

from ..case import case

M = 'metta.github.'
SAML = 'Resource protected by organization SAML enforcement. You must grant your token access to this organization.'
ALLOW_LIST = (
    'Although you appear to have the correct authorization credentials, the `acme` organization has an IP allow list '
    'enabled, and 192.0.2.7 is not permitted to access this resource.'
)
LIFETIME = (
    "The 'acme' organization forbids access via a fine-grained personal access tokens if the token's lifetime is "
    "greater than 366 days. Please adjust your token's lifetime at the following URL: "
    'https://github.com/settings/personal-access-tokens/1234567'
)
BLOCKED = {
    'message': 'Repository access blocked',
    'block': {'reason': 'dmca', 'created_at': '2026-01-02T03:04:05Z', 'html_url': 'https://github.com/acme/notices/1'},
}
SECRET = 'AZSCKL4U24YHCHE7ONQWEZLO'
SIGN_ON = {'X-GitHub-SSO': f'required; url=https://github.com/orgs/acme/sso?authorization_request={SECRET}'}
ADVICE = 'authorize the token for single sign-on: https://github.com/orgs/acme/sso'
NAME = 'check the name'


@pytest.fixture
def app(scripted, private_key):  # noqa: F811
    """Return a driver that signs in as a GitHub App."""
    return Driver.of(scripted, token=None, app_id='1', app_installation_id='2', app_private_key=private_key)


def lines(run):
    return run.warnings or [run.error]


@case('G', 'https://github.com/cli/cli/issues/2661')
@pytest.mark.parametrize('reason', [SAML, ALLOW_LIST])
def test_a_repository_that_graphql_refuses_to_show(scripted, reason):
    """A repository that GraphQL refuses to show.

    The organization enforces SAML single sign-on or has an IP allow list. GraphQL answers 200 with `repository: null`
    and an error of type FORBIDDEN. For SAML, it has `saml_failure` in its extensions, and the header `X-GitHub-SSO`
    names the page on which the token is authorized.

    Right: The warning shows GitHub's reason, and for SAML the page without its query, which holds a secret. The reason
    is `permission`. Nothing says that the name may be wrong.

    Unchanged: The figures of the runs, which REST shows, are there.
    """
    is_saml = reason == SAML
    error = {'type': 'FORBIDDEN', 'path': ['repository'], 'message': reason, 'extensions': {'saml_failure': is_saml}}
    scripted.hooks['Now'] = lambda request, _: scripted.json(
        {'data': {'repository': None}, 'errors': [error]}, 200, SIGN_ON if is_saml else {}
    )
    run = Driver.of(scripted).run()
    assert run.errors()['repository', 'permission'] == 1
    line = lines(run)[0]
    assert f'GitHub refused access to repository metta/one: {reason}' in line
    assert (ADVICE in line) == is_saml
    assert NAME not in line
    assert SECRET not in str(run)
    assert run.value(M + 'ci.workflow_runs_7d') == 2


@case('G', 'https://github.com/aquasecurity/trivy/issues/10567')
@pytest.mark.parametrize('reason', [SAML, ALLOW_LIST, LIFETIME, 'Resource not accessible by personal access token'])
@pytest.mark.parametrize('what', ['Now', 'runs'])
def test_the_whole_reason_of_a_refusal(scripted, reason, what):
    """The whole reason of a refusal.

    GitHub refuses a request with 403 and says why: SAML enforcement, the IP allow list, the lifetime of the token with
    the page to change it on (about 240 characters), or a missing permission.

    Right: The warning ends with the whole reason. Nothing is added that GitHub did not say, such as that a permission
    is missing.

    Unchanged: The reason is `permission`, and the other API goes on.
    """
    scripted.hooks[what] = status(scripted, 403, {'message': reason})
    run = Driver.of(scripted).run()
    block = 'repository' if what == 'Now' else 'ci'
    assert run.errors()[block, 'permission'] == 1
    assert lines(run)[0].endswith(f'answered HTTP 403: {reason}')
    present = 'ci.workflow_runs_7d' if what == 'Now' else 'prs.open'
    assert run.value(M + present) is not None


@case('G', 'https://docs.github.com/en/rest/authentication/authenticating-to-the-rest-api')
@pytest.mark.parametrize('code', [403, 404])
def test_the_page_for_single_sign_on(scripted, code):
    """The page for single sign-on.

    REST hides the runs of a protected repository with 403 or 404. The header `X-GitHub-SSO` names the page on which the
    token is authorized, with a request in its query.

    Right: The warning shows the page without its query. Nothing says that the name may be wrong.

    Unchanged: `prs.open` is 1.
    """
    scripted.hooks['runs'] = status(scripted, code, {'message': 'Not Found' if code == 404 else SAML}, SIGN_ON)
    run = Driver.of(scripted).run()
    [line] = run.warnings
    assert line.endswith(ADVICE)
    assert NAME not in line
    assert SECRET not in str(run)
    assert run.value(M + 'prs.open') == 1


@case('G', 'https://github.com/fwouts/prmonitor/issues/1042')
def test_single_sign_on_for_a_part_of_an_answer(scripted):
    """Single sign-on for a part of an answer.

    GraphQL answers with the repository, without its merge queue. The error has the type FORBIDDEN, and the header
    `X-GitHub-SSO` names the page to authorize the token on.

    Right: The warning about the merge queue ends with the page.

    Unchanged: `repo.stars` is 5.
    """
    error = {'type': 'FORBIDDEN', 'path': ['repository', 'mergeQueue'], 'message': SAML}
    data = {'repository': {**scripted.overview(), 'mergeQueue': None}}
    scripted.hooks['Now'] = lambda request, _: scripted.json({'data': data, 'errors': [error]}, 200, SIGN_ON)
    run = Driver.of(scripted).run()
    [line] = run.warnings
    assert line.endswith(f'GitHub returned no mergeQueue: {SAML}; {ADVICE}')
    assert run.value(M + 'repo.stars') == 5


@case('E', 'https://github.com/dlvhdr/gh-dash/issues/140')
def test_two_organizations_that_refuse_for_different_reasons(scripted):
    """Two organizations that refuse for different reasons.

    One query asks for a repository of each organization. The first one enforces single sign-on, which the extensions
    of its error and the header `X-GitHub-SSO` say. The second one has an IP allow list.

    Right: Each repository has its own reason. Only the first one has the page to authorize the token on.

    Unchanged: The reason of both is `permission`.
    """
    saml = {'type': 'FORBIDDEN', 'path': ['repository0'], 'message': SAML, 'extensions': {'saml_failure': True}}
    allow_list = {'type': 'FORBIDDEN', 'path': ['repository1'], 'message': ALLOW_LIST}
    body = {'data': {'repository0': None, 'repository1': None}, 'errors': [saml, allow_list]}
    scripted.hooks['Now'] = lambda request, _: scripted.json(body, 200, SIGN_ON)
    run = Driver.of(scripted, repositories=['acme/one', 'beta/two']).run()
    assert run.errors()['repository', 'permission'] == 2
    [one] = [line for line in run.warnings if 'acme/one, block repository' in line]
    [two] = [line for line in run.warnings if 'beta/two, block repository' in line]
    assert one.endswith(f'{SAML}; {ADVICE}')
    assert two.endswith(ALLOW_LIST)


@case('G', 'https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps')
def test_scopes_of_a_classic_token(scripted):
    """Scopes of a classic token.

    GitHub refuses the list of runs with 403. Its headers name the scopes of which the request needs one, and the scopes
    of the token.

    Right: The warning shows both.

    Unchanged: `prs.open` is 1.
    """
    headers = {'X-Accepted-OAuth-Scopes': 'repo', 'X-OAuth-Scopes': 'gist, read:org'}
    scripted.hooks['runs'] = status(scripted, 403, {'message': 'Must have admin rights to Repository.'}, headers)
    run = Driver.of(scripted).run()
    assert run.warnings[0].endswith(
        'admin rights to Repository.; the request needs one of the scopes repo, and the token has gist, read:org'
    )
    assert run.value(M + 'prs.open') == 1


@case('G', 'https://github.com/github/docs/pull/32002')
@pytest.mark.parametrize(
    'header',
    [
        'required; url=https://ada:hunter2@github.example/orgs/acme/sso',
        'required; url=javascript:alert(1)',
        f'required; url=https://github.com/{"a" * 5000}',
        'required; url=https://github.com/orgs/acme\x9b31m/sso',
    ],
    ids=['password', 'scheme', 'length', 'control'],
)
def test_a_sign_on_page_that_must_not_be_shown_as_it_is(scripted, header):
    """A sign-on page that must not be shown as it is.

    The header `X-GitHub-SSO` names a page with a user and a password, of another scheme, of 5,000 characters, or with a
    control character.

    Right: No password and no control character is shown, and the line stays short.

    Unchanged: GitHub's reason is shown.
    """
    scripted.hooks['runs'] = status(scripted, 403, {'message': SAML}, {'X-GitHub-SSO': header})
    [line] = Driver.of(scripted).run().warnings
    assert SAML in line
    assert 'hunter2' not in line
    assert 'javascript' not in line
    assert line.isprintable()
    assert len(line) < 600


@case('G', 'https://github.com/github/rest-api-description/issues/3314')
def test_a_repository_that_is_blocked_for_legal_reasons(scripted):
    """A repository that is blocked for legal reasons.

    REST answers 451 for one of two repositories. The body says why in `message` and `block`.

    Right: The warning shows the message, the reason and the page of the block.

    Unchanged: The other figures of the repository are there.
    """
    scripted.hooks['runs'] = status(scripted, 451, BLOCKED)
    run = Driver.of(scripted).run()
    [line] = run.warnings
    assert line.endswith('answered HTTP 451: Repository access blocked, dmca, https://github.com/acme/notices/1')
    assert run.value(M + 'prs.open') == 1


@case('G', 'https://github.com/mend/renovate-ce-ee/issues/391')
def test_an_installation_that_is_suspended(scripted, app):
    """An installation that is suspended.

    An owner of the organization has suspended the App. GitHub answers 403 to the request for an installation token.

    Right: The service check is CRITICAL with GitHub's reason, since no request can be sent. The token is asked for once
    per refresh, not once per block.

    Unchanged: Nothing says that a permission is missing.
    """
    scripted.hooks['access_tokens'] = status(scripted, 403, {'message': 'This installation has been suspended'})
    run = app.run()
    assert run.status == AgentCheck.CRITICAL
    assert 'GitHub gives no token for installation 2 of App 1' in run.error
    assert 'answered HTTP 403: This installation has been suspended' in run.error
    assert 'permission' not in run.error
    assert scripted.asked() == ['access_tokens']


@case(
    'G',
    'https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app',
)
@pytest.mark.parametrize(
    'reason',
    [
        "'Expiration time' claim ('exp') must be a numeric value representing the future time at which it expires",
        'A JSON web token could not be decoded',
    ],
)
def test_a_refused_app(scripted, app, reason):
    """A refused App.

    GitHub refuses the JWT of the App with 401 and says why: the clock of this machine is wrong, or the key belongs to
    another App.

    Right: The error shows GitHub's reason, and the token is asked for once.

    Unchanged: The service check is CRITICAL.
    """
    scripted.hooks['access_tokens'] = status(scripted, 401, {'message': reason})
    run = app.run()
    assert f'the credentials were not accepted: {reason}; check option `token` (or the App options)' in run.error
    assert run.status == AgentCheck.CRITICAL
    assert scripted.asked() == ['access_tokens']


@case('G', 'https://docs.github.com/en/rest/apps/installations#revoke-an-installation-access-token', guard=True)
def test_an_installation_token_that_was_revoked(scripted, app):
    """An installation token that was revoked.

    A token that GitHub gave a minute ago is refused with 401.

    Right: The check asks for another one, once, and reads everything with it.

    Unchanged: No warning appears.
    """
    expires = (NOW + timedelta(hours=1)).strftime('%Y-%m-%dT%H:%M:%SZ')
    tokens = iter(['revoked', INSTALLATION_TOKEN])
    scripted.hooks['access_tokens'] = lambda request, _: scripted.json(
        {'token': next(tokens), 'expires_at': expires}, 201
    )
    run = app.run()
    assert (run.warnings, run.value(M + 'prs.open')) == ([], 1)
    assert scripted.asked()[:4] == ['access_tokens', 'Now', 'access_tokens', 'Now']


@case('G', 'https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api')
def test_a_token_that_is_refused(scripted):
    """A token that is refused.

    GitHub answers 401 to the first query, with the message that the account is locked.

    Right: The error shows GitHub's message and the option to check.

    Unchanged: The service check is CRITICAL, and no other request is sent.
    """
    scripted.hooks['*'] = status(scripted, 401, {'message': 'Your account was locked.'})
    run = Driver.of(scripted).run()
    assert 'the credentials were not accepted: Your account was locked.; check option `token`' in run.error
    assert run.status == AgentCheck.CRITICAL
    assert scripted.asked() == ['Now']


@case('G', 'https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api')
def test_a_request_that_github_rejects(scripted):
    """A request that GitHub rejects.

    GitHub answers 422 to the list of runs, and 500 to the list of activities, and says why.

    Right: Both warnings show GitHub's message.

    Unchanged: `prs.open` is 1.
    """
    scripted.hooks['runs'] = status(scripted, 422, {'message': 'Validation Failed: created'})
    scripted.hooks['activity'] = status(scripted, 500, {'message': 'Server Error: feature disabled'})
    run = Driver.of(scripted).run()
    assert [line.rpartition(' answered ')[2] for line in run.warnings] == [
        'HTTP 500: Server Error: feature disabled',
        'HTTP 422: Validation Failed: created',
    ]
    assert run.value(M + 'prs.open') == 1


@case('G', 'https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api', guard=True)
def test_a_name_that_does_not_exist(scripted):
    """A name that does not exist.

    GraphQL answers `repository: null` with an error of type NOT_FOUND. REST answers 404 with the words "Not Found".

    Right: The warning says to check the name and the permissions, because GitHub gives no reason.

    Unchanged: The reason is `not_found`.
    """
    error = {'type': 'NOT_FOUND', 'path': ['repository'], 'message': "Could not resolve to a Repository 'metta/one'."}
    scripted.hooks['Now'] = with_errors(scripted, {'repository': None}, error)
    scripted.hooks['runs'] = status(scripted, 404, {'message': 'Not Found'})
    run = Driver.of(scripted).run()
    assert run.errors()['repository', 'not_found'] == 1
    assert 'GitHub has no repository metta/one, or these credentials may not read it; check the name' in run.error


@case('G', 'https://github.com/octokit/graphql.js/issues/14')
def test_nothing_but_an_error_without_a_path(scripted):
    """Nothing but an error without a path.

    GraphQL answers `repository: null`, with one error that names no path and no type.

    Right: The warning shows the error. Nothing says that the name may be wrong.

    Unchanged: The figures of the runs are there.
    """
    scripted.hooks['Now'] = with_errors(scripted, {'repository': None}, {'message': 'The listing moved to a new shard'})
    run = Driver.of(scripted).run()
    assert 'GitHub did not show repository metta/one: The listing moved to a new shard' in lines(run)[0]
    assert NAME not in lines(run)[0]
    assert run.errors()['repository', 'rejected'] == 1
    assert run.value(M + 'ci.workflow_runs_7d') == 2


@case('E')
def test_a_failure_in_place_of_a_repository(scripted):
    """A failure in place of a repository.

    GraphQL answers `repository: null`, the cost of the query, and "Something went wrong while executing your query".

    Right: The check asks for smaller pages, and then says that the query is too heavy. It does not say that the
    repository was not found.

    Unchanged: The figures of the runs are there.
    """
    error = {'message': 'Something went wrong while executing your query. This may be the result of a timeout.'}
    data = {'repository': None, 'rateLimit': {'cost': 1}}
    scripted.hooks['Now'] = with_errors(scripted, data, error)
    run = Driver.of(scripted).run()
    assert run.errors()['repository', 'too_heavy'] == 1
    assert scripted.asked().count('Now') == 3
    assert run.value(M + 'ci.workflow_runs_7d') == 2

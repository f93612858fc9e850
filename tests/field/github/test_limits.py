"""Rate limits: every shape in which GitHub asks to wait, and answers that only look like one."""

from __future__ import annotations

from datetime import timedelta

import pytest

from metta_checks.testing import Driver
from tests.github.scripted import NOW

from ..case import case

M = 'metta.github.'
TEN = [f'metta/repository-{number}' for number in range(10)]
SECONDARY = 'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.'
PAGE = 'https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits'
RESET = str(int((NOW + timedelta(minutes=40)).timestamp()))
USED_UP = {
    'x-ratelimit-remaining': '0',
    'x-ratelimit-limit': '5000',
    'x-ratelimit-reset': RESET,
    'x-ratelimit-resource': 'graphql',
}


def refuse(github, body, status=200, headers=None, what='*'):
    """Answer every request in this way."""
    github.hooks[what] = lambda request, variables: github.json(body, status, headers)


def allow(github):
    """Answer all requests again, to the first query under the name that it asks for."""

    def first(request, variables):
        named = {'nameWithOwner': f'{variables["owner"]}/{variables["name"]}'}
        return github.json({'data': {'repository': {**github.overview(), **named}}})

    github.hooks = {'Now': first}


def graphql(message, **fields):
    return {'data': None, 'errors': [{'message': message, **fields}]}


def titles(run):
    return [event['msg_title'] for event in run.events]


def waits(github, seconds, asked, **options):
    """Run into a limit, and check that no request is sent before its end, and the event is sent once."""
    driver = Driver.of(github, **options)
    run = driver.run()
    assert github.asked() == asked
    assert len(run.events) == 1
    assert run.errors()['repository', 'rate_limit'] == len(options.get('repositories', ['metta/one']))
    github.log.clear()
    github.pass_time(seconds - 1)
    run = driver.run()
    assert (github.asked(), run.events) == ([], [])
    allow(github)
    github.pass_time(2)
    run = driver.run()
    assert set(run.series(M + 'prs.open').values()) == {1}
    assert 'Now' in github.asked()


@case('G', 'https://github.com/yanyongyu/githubkit/issues/271')
@pytest.mark.parametrize(
    'error',
    [
        {'type': 'RATE_LIMIT', 'code': 'graphql_rate_limit'},
        {'type': 'RATE_LIMIT'},
        {'code': 'graphql_rate_limit'},
        {'extensions': {'code': 'graphql_rate_limit'}},
    ],
)
def test_points_that_are_used_up_by_their_newer_name(scripted, error):
    """Points that are used up, by their newer name.

    GraphQL answers 200 with an error of type `RATE_LIMIT`, or of code `graphql_rate_limit` in the error or in its
    `extensions`. The header `x-ratelimit-reset` names a time 40 minutes ahead. `x-ratelimit-remaining` is not 0,
    because the query costs more points than are left. The instance reads ten repositories.

    Right: One request to GraphQL, none before the reset, one event, and the reason `rate_limit` for every repository.

    Unchanged: REST has a limit of its own: the ten lists of runs are read.
    """
    refuse(
        scripted,
        graphql('API rate limit already exceeded for user ID 7.', **error),
        headers={**USED_UP, 'x-ratelimit-remaining': '3'},
        what='Now',
    )
    driver = Driver.of(scripted, repositories=TEN)
    run = driver.run()
    assert scripted.asked() == ['Now', *['runs'] * 10]
    assert titles(run) == ['GitHub rate limit: graphql']
    assert run.errors()['repository', 'rate_limit'] == 10
    assert list(run.series(M + 'ci.workflow_runs_7d').values()) == [2] * 10
    scripted.log.clear()
    scripted.pass_time(39 * 60)
    run = driver.run()
    assert (set(scripted.asked()), run.events) == ({'runs'}, [])
    allow(scripted)
    scripted.pass_time(62)
    assert set(driver.run().series(M + 'prs.open').values()) == {1}


@case('G', 'https://github.com/yanyongyu/githubkit/issues/271')
@pytest.mark.parametrize('status', [200, 403, 429])
@pytest.mark.parametrize('headers', [{}, {'x-ratelimit-reset': RESET, 'x-ratelimit-remaining': '9'}])
def test_retry_after_beside_used_up_points(scripted, status, headers):
    """`Retry-After` beside points that are used up.

    GraphQL answers 200, 403 or 429 with an error of type `RATE_LIMITED` and the header `Retry-After: 120`, with or
    without a reset 40 minutes ahead. The instance reads ten repositories.

    Right: One request, none to GraphQL or REST in the next 120 s, then all is read. One event.

    Unchanged: The reset does not lengthen the wait, since points are left.
    """
    refuse(scripted, graphql('Used up.', type='RATE_LIMITED'), status, {**headers, 'Retry-After': '120'})
    waits(scripted, 120, ['Now'], repositories=TEN)


@case('G', 'https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api')
@pytest.mark.parametrize(
    ('body', 'headers', 'seconds'),
    [
        (graphql('Slow down.'), {'Retry-After': '90'}, 90),
        ({'message': 'Slow down.', 'documentation_url': PAGE}, {'Retry-After': '90'}, 90),
        ({'message': 'Slow down.', 'documentation_url': PAGE}, {}, 60),
        ({'message': 'Slow down.', 'documentation_url': PAGE}, {'Retry-After': '0'}, 60),
        (graphql(SECONDARY), {}, 60),
    ],
)
def test_a_secondary_limit_with_status_200(scripted, body, headers, seconds):
    """A secondary limit with status 200.

    GraphQL answers 200 without data. The header `Retry-After: 90`, the address of the documentation on rate limits, or
    only the words of the message say that this is a secondary limit. The instance reads ten repositories.

    Right: One request, none to GraphQL or REST in the next 90 s, or in the next minute when no time is named. One
    event.

    Unchanged: Everything is read after that.
    """
    refuse(scripted, body, headers=headers)
    waits(scripted, seconds, ['Now'], repositories=TEN)


@case('G', 'https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api')
def test_secondary_limits_with_status_200_that_go_on(scripted):
    """Secondary limits with status 200 that go on.

    GraphQL answers 200 with the words of a secondary limit, without a time, to every request.

    Right: The check waits 60 s, then 120 s, then 240 s, as GitHub asks its clients to.

    Unchanged: No figure appears.
    """
    refuse(scripted, graphql(SECONDARY))
    driver = Driver.of(scripted)
    driver.run()
    for seconds in (60, 120, 240):
        scripted.log.clear()
        scripted.pass_time(seconds - 1)
        driver.run()
        assert scripted.asked() == []
        scripted.pass_time(2)
        run = driver.run()
        assert scripted.asked() == ['Now']
        assert run.value(M + 'prs.open') is None


@case('G', 'https://github.com/hub4j/github-api/issues/2009')
@pytest.mark.parametrize(
    ('body', 'headers'),
    [
        ({'message': 'Please wait.', 'documentation_url': PAGE}, {}),
        ({'message': 'Please wait.'}, {'gh-limited-by': 'search-elapsed-time-shared-grouped'}),
        ({'message': SECONDARY}, {}),
    ],
)
def test_a_secondary_limit_with_status_403_that_names_no_time(scripted, body, headers):
    """A secondary limit with status 403 that names no time.

    GitHub answers 403 without `Retry-After`, and requests are left. Only the address of the documentation, the header
    `gh-limited-by` or the message says that this is a secondary limit.

    Right: One request, none in the next minute, one event.

    Unchanged: Everything is read after that.
    """
    refuse(scripted, body, 403, {**headers, 'x-ratelimit-remaining': '4000', 'x-ratelimit-reset': RESET})
    waits(scripted, 60, ['Now'], repositories=TEN)


@case('G', 'https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api', guard=True)
@pytest.mark.parametrize('status', [403, 429])
def test_retry_after_alone(scripted, status):
    """`Retry-After` alone.

    GitHub answers 403 or 429 with `Retry-After: 120`, an HTML page and no further header.

    Right: One request, none in the next 120 s.

    Unchanged: Everything is read after that.
    """
    scripted.hooks['*'] = lambda request, _: scripted.json('<html></html>', status, {'Retry-After': '120'})
    driver = Driver.of(scripted, repositories=TEN)
    driver.run()
    scripted.pass_time(119)
    driver.run()
    assert scripted.asked() == ['Now']
    allow(scripted)
    scripted.pass_time(2)
    assert set(driver.run().series(M + 'prs.open').values()) == {1}


@case('G', 'https://github.com/EnricoMi/publish-unit-test-result-action/issues/419')
def test_one_event_for_both_limits(scripted):
    """One event for both limits.

    A secondary limit stops the requests to GraphQL and to REST for 300 s.

    Right: One event that names both, not one for each.

    Unchanged: The event is not sent again during the wait.
    """
    refuse(scripted, {'message': SECONDARY, 'documentation_url': PAGE}, 429, {'Retry-After': '300'})
    driver = Driver.of(scripted)
    assert titles(driver.run()) == ['GitHub rate limit: core, graphql']
    scripted.pass_time(200)
    assert driver.run().events == []


@case('I', 'https://github.com/octokit/plugin-throttling.js/issues/632')
def test_a_reset_that_has_passed(scripted):
    """A reset that has passed by the clock of this machine.

    The points are used up, and the reset is a minute ago, since this machine's clock is ahead. The instance reads ten
    repositories.

    Right: One request, and none in the next minute. A time that has passed does not say how long to wait.

    Unchanged: Everything is read after that.
    """
    past = str(int((NOW - timedelta(minutes=1)).timestamp()))
    refuse(scripted, graphql('Used up.', type='RATE_LIMITED'), 403, {**USED_UP, 'x-ratelimit-reset': past}, what='Now')
    driver = Driver.of(scripted, repositories=TEN)
    driver.run()
    scripted.pass_time(58)
    driver.run()
    assert scripted.asked().count('Now') == 1
    allow(scripted)
    scripted.pass_time(3)
    assert set(driver.run().series(M + 'prs.open').values()) == {1}


@case('G', 'https://github.com/hivecommons/hive/pull/360')
@pytest.mark.parametrize(
    'message',
    [
        'The `abuse-desk` organization has an IP allow list enabled, and your IP address is not permitted.',
        'Resource not accessible by personal access token: RATE_LIMITED.yml',
    ],
)
def test_words_of_a_limit_in_a_refusal(scripted, message):
    """The words of a limit in a refusal of another kind.

    GitHub refuses the list of runs with 403. The message names an organization `abuse-desk`, or a file
    `RATE_LIMITED.yml`. No header speaks of a limit, and the documentation is the page of the endpoint.

    Right: The reason is `permission`, the warning shows GitHub's message, and nothing waits: the next refresh asks
    again.

    Unchanged: `prs.open` is 1, and no event is sent.
    """
    page = 'https://docs.github.com/rest/rate-limit/rate-limit#get-rate-limit-status-for-the-authenticated-user'
    refuse(scripted, {'message': message, 'documentation_url': page}, 403, what='runs')
    driver = Driver.of(scripted)
    run = driver.run()
    assert run.errors() == {('ci', 'permission'): 1}
    assert any(message in line for line in run.warnings)
    assert (run.value(M + 'prs.open'), run.events) == (1, [])
    scripted.log.clear()
    scripted.pass_time(900)
    driver.run()
    assert 'runs' in scripted.asked()


@case('G', 'https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api', guard=True)
def test_the_last_point_buys_an_answer(scripted):
    """The last point buys an answer.

    The first query of a refresh is answered with data, with an error about the merge queue, and with
    `x-ratelimit-remaining: 0`.

    Right: The answer counts: `repo.stars` is 5. The next query waits for the reset.

    Unchanged: The warning about the merge queue appears.
    """
    error = {'type': 'FORBIDDEN', 'path': ['repository', 'mergeQueue'], 'message': 'Resource not accessible.'}
    scripted.hooks['Now'] = lambda request, _: scripted.json(
        {'data': {'repository': {**scripted.overview(), 'mergeQueue': None}}, 'errors': [error]}, 200, USED_UP
    )
    run = Driver.of(scripted).run()
    assert run.value(M + 'repo.stars') == 5
    assert 'ClosedPullRequests' not in scripted.asked()
    assert any('Resource not accessible.' in line for line in run.warnings)

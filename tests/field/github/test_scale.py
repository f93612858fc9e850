"""Organizations of many repositories: queries about several of them at once, and what concerns only one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from metta_checks.testing import Driver
from tests.github.scripted import ScriptedGitHub, asked_for, connection

from ..case import case

M = 'metta.github.'
ONE = 'repo:metta-ai/service-007'
OPERATION = re.compile(r'query (\w+)')
TWENTY = [f'metta/part-{number:02d}' for number in range(20)]
TIMEOUT = 'Something went wrong while executing your query. Please include `AB12:34CD` when reporting this issue.'


def first_queries(github: ScriptedGitHub) -> int:
    return github.asked().count('Now')


def seen(run) -> set[str]:
    """Return the repositories with a number of open pull requests."""
    return {tag.removeprefix('repo:') for tags in run.series(M + 'prs.open') for tag in tags if tag.startswith('repo:')}


def each(github: ScriptedGitHub, replace):
    """Answer the first query with `replace(name, repository)` for each repository: what is shown, and an error."""

    def hook(request, variables: Mapping[str, Any]):
        data: dict[str, Any] = {}
        errors = []
        for alias, name in asked_for(variables).items():
            data[alias], error = replace(name, {**github.overview(), 'nameWithOwner': name})
            if error is not None:
                errors.append({**error, 'path': [alias, *error.get('path', ())]})
        return github.json({'data': {**data, 'rateLimit': {'cost': 1}}} | ({'errors': errors} if errors else {}))

    github.hooks['Now'] = hook
    return hook


@case('E', 'https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api')
def test_many_repositories_share_a_query(scripted):
    """An instance reads twenty repositories.

    GitHub counts a GraphQL query by the connections that it asks for, and lets a query name several repositories.

    Right: One query covers all twenty, and each has its own figures. Its points are in `api.shared_points`, because
    they belong to no single repository.

    Unchanged: An instance of one repository has its points in `api.points`.
    """
    run = Driver.of(scripted, repositories=TWENTY).run()
    assert first_queries(scripted) == 1
    assert seen(run) == set(TWENTY)
    assert run.warnings == []
    assert run.require(M + 'api.shared_points') > 0
    alone = Driver.of(scripted, repositories=TWENTY[:1]).run()
    assert alone.require(M + 'api.points', 'org:metta', f'repo:{TWENTY[0]}') > 0


@case('E', 'https://github.com/octokit/graphql.js/issues/14')
def test_one_of_many_repositories_does_not_exist(scripted):
    """One of twenty repositories was deleted.

    GitHub answers the query with null for it and an error NOT_FOUND that names its part, and with all others.

    Right: The blocks of this repository fail, and the message names it. The others have their figures.

    Unchanged: The query is not sent again.
    """
    gone = {'type': 'NOT_FOUND', 'message': 'Could not resolve to a Repository with the name.'}
    each(scripted, lambda name, repository: (None, gone) if name == TWENTY[7] else (repository, None))
    run = Driver.of(scripted, repositories=TWENTY).run()
    assert first_queries(scripted) == 1
    assert seen(run) == {*TWENTY} - {TWENTY[7]}
    assert run.errors()['repository', 'not_found'] == 1
    assert any(TWENTY[7] in line and 'check the name' in line for line in run.warnings)


@case(
    'E', 'https://docs.github.com/en/repositories/creating-and-managing-repositories/renaming-a-repository', guard=True
)
def test_one_of_many_repositories_was_renamed(scripted):
    """One of twenty repositories has a new name.

    GitHub answers the query under the former name with the repository under its new name.

    Right: The figures have the new name as their tag, and none has the former one.

    Unchanged: The other repositories keep theirs.
    """
    each(
        scripted,
        lambda name, repository: (
            {**repository, 'nameWithOwner': 'metta/new'} if name == TWENTY[3] else repository,
            None,
        ),
    )
    run = Driver.of(scripted, repositories=TWENTY).run()
    assert seen(run) == {*TWENTY, 'metta/new'} - {TWENTY[3]}
    assert run.warnings == []


@case('E', 'https://github.com/cli/cli/issues/6013')
def test_one_of_many_repositories_hides_its_issues(scripted):
    """The credentials may not see the issues of one of twenty repositories.

    GitHub declares the list of issues non-null. So this repository is null, with an error FORBIDDEN about its issues.

    Right: `repo.issues_open` is absent for this repository, and all its other figures are there. GitHub's message is
    shown.

    Unchanged: The other repositories are asked once, and the next refresh does not ask for the hidden issues.
    """

    forbidden = {'type': 'FORBIDDEN', 'path': ['openIssues'], 'message': 'Resource not accessible by integration'}
    hides = each(scripted, lambda name, repository: (None, forbidden) if name == TWENTY[5] else (repository, None))

    def hook(request, variables):
        if b'openIssues' in request.get_data():
            return hides(request, variables)
        shown = {key: value for key, value in scripted.overview().items() if key != 'openIssues'}
        return scripted.json({'data': {'repository': {**shown, 'nameWithOwner': TWENTY[5]}}})

    scripted.hooks['Now'] = hook
    driver = Driver.of(scripted, repositories=TWENTY)
    for queries in (2, 2):
        scripted.log.clear()
        run = driver.run()
        assert first_queries(scripted) == queries
        assert seen(run) == set(TWENTY)
        assert len(run.series(M + 'repo.issues_open')) == 19
        assert any(TWENTY[5] in line and 'not accessible' in line for line in run.warnings)
        scripted.pass_time(900)


@case('E', 'https://github.com/cli/cli/issues/4893')
@pytest.mark.parametrize('with_others', [True, False])
def test_one_of_many_repositories_is_too_heavy(scripted, with_others):
    """GitHub cannot answer the query for one of twenty repositories within its ten seconds.

    It answers "Something went wrong" and null for this repository, beside the others or in place of the whole answer.

    Right: The query is divided until the repository is alone. Then it is too heavy, which is not the same as not found.
    All others have their figures.

    Unchanged: The next refresh asks for this repository alone and for the others together.
    """
    heavy = TWENTY[11]

    def hook(request, variables):
        names = asked_for(variables)
        if heavy not in names.values():
            return None
        data = {
            alias: None if name == heavy or not with_others else {**scripted.overview(), 'nameWithOwner': name}
            for alias, name in names.items()
        }
        path = {'path': [alias for alias, name in names.items() if name == heavy]} if with_others else {}
        return scripted.json({'data': data, 'errors': [{'message': TIMEOUT, **path}]})

    scripted.hooks['Now'] = hook
    driver = Driver.of(scripted, repositories=TWENTY)
    run = driver.run()
    assert seen(run) == {*TWENTY} - {heavy}
    assert run.errors()['repository', 'too_heavy'] == 1
    assert ('repository', 'not_found') not in run.errors()
    assert first_queries(scripted) <= 12
    scripted.log.clear()
    scripted.pass_time(900)
    run = driver.run()
    assert seen(run) == {*TWENTY} - {heavy}
    assert first_queries(scripted) <= 4


@case('E', 'https://github.com/orgs/community/discussions/24631')
def test_a_query_for_many_repositories_takes_too_long(scripted):
    """GitHub needs more than ten seconds for more than six repositories.

    It answers HTTP 502 to every query for more.

    Right: The query is divided until it is light enough. All repositories have their figures, and the number of
    repositories that succeeded is used for a day.

    Unchanged: Nothing is reported.
    """
    scripted.hooks['Now'] = lambda request, variables: (
        scripted.json({'message': 'Bad gateway'}, 502) if len(asked_for(variables)) > 6 else None
    )
    driver = Driver.of(scripted, repositories=TWENTY)
    run = driver.run()
    assert seen(run) == set(TWENTY)
    assert run.warnings == []
    scripted.log.clear()
    scripted.pass_time(900)
    driver.run()
    assert first_queries(scripted) == 4, 'twenty repositories, five at a time'


@case('E', 'https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api')
def test_an_outage_of_graphql_is_not_asked_again_for_every_repository(scripted):
    """GraphQL is down while an instance reads twenty repositories.

    It answers HTTP 502 to every query.

    Right: After a few queries, all repositories wait for the next try, and their last figures are kept. A smaller
    query is not remembered as the right one.

    Unchanged: The figures of workflow runs, which REST answers, are read.
    """
    driver = Driver.of(scripted, repositories=TWENTY)
    driver.run()
    scripted.hooks['Now'] = lambda request, variables: scripted.json({'message': 'Bad gateway'}, 502)
    scripted.log.clear()
    scripted.pass_time(900)
    run = driver.run()
    assert first_queries(scripted) <= 12
    assert run.errors()['repository', 'http_5xx'] == 20
    assert seen(run) == set(TWENTY)
    scripted.hooks.clear()
    scripted.log.clear()
    scripted.pass_time(900)
    assert driver.run().warnings == []
    assert first_queries(scripted) == 1


def asked(github) -> Counter[str]:
    """Count the requests since the last call, by GraphQL operation and last part of a REST path."""
    found = Counter(OPERATION.findall(entry.body)[0] if '"query"' in entry.body else entry.path for entry in github.log)
    github.log.clear()
    counted: Counter[str] = Counter()
    for what, number in found.items():
        counted[what.rsplit('/', 1)[-1]] += number
    return counted


@pytest.fixture
def organization(serve):
    """Return an organization of 43 small repositories, one of them without commits."""
    return serve('github', scale=0.02, more_repositories=40, required_workflows=())


@case('E', 'https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api')
def test_the_requests_of_an_organization(organization):
    """An App reads all repositories of an organization, in most of which nothing happens for hours.

    GitHub answers 304 to a request with the ETag of an unchanged list, and does not count it. An ETag belongs to one
    token, and the token of an installation lives an hour.

    Right: The first refresh needs two REST requests per repository, and few GraphQL requests. A later one needs one
    conditional REST request per repository, which does not count, and few others. In the refresh after the token was
    renewed, every list of runs counts once, and nothing else does.

    Unchanged: All figures equal those of an instance that reads one repository alone.
    """
    options = {'repositories': None, 'organization': 'metta-ai'}
    driver = Driver({**organization.app_instance(), **options}, organization.clock)
    run = driver.run()
    assert run.warnings == []
    first = asked(organization)
    number = len(seen(run))
    assert number == 43
    rest = {'runs', 'activity'}
    assert sum(first[what] for what in rest) <= 2 * number + 4
    # Attempts of workflow runs that were run again are read once.
    attempts = sum(count for what, count in first.items() if what.isdigit())
    assert sum(count for what, count in first.items() if what not in rest) - attempts <= 20
    renewed = 0
    for _ in range(8):
        used = organization.bucket('core').used
        organization.pass_time(900)
        run = driver.run()
        assert run.warnings == []
        later = asked(organization)
        # In the large repository, something happens in every refresh.
        assert sum(later.values()) <= number + 14
        assert later['runs'] <= number + 3
        counted = organization.bucket('core').used - (used if organization.bucket('core').used >= used else 0)
        renewed += later['access_tokens']
        assert counted <= (number + 8 if later['access_tokens'] else 8)
    assert renewed == 2
    alone = Driver.of(organization, repositories=[ONE.removeprefix('repo:')])
    for _ in range(3):
        organization.pass_time(900)
        run, single = driver.run(), alone.run()

    def of_one(run) -> dict:
        figures = run.figures(())
        return {key: value for key, value in figures.items() if ONE in key[1] and not key[0].endswith('.points')}

    assert of_one(run) == of_one(single)


@case('E')
def test_the_closed_pull_requests_of_one_of_many_repositories_are_hidden(scripted):
    """GitHub does not show the closed pull requests of one of twenty repositories.

    In the query for the first pages of several repositories, the list of this one is null, with an error.

    Right: The repository is asked for alone. It fails alone, and the others have their figures.

    Unchanged: The others are not asked again.
    """
    forbidden = {'type': 'FORBIDDEN', 'message': 'Resource not accessible by integration'}

    def many(request, variables):
        data = {
            alias: None if name == TWENTY[4] else {'closedPullRequests': connection(scripted.closed)}
            for alias, name in asked_for(variables).items()
        }
        errors = [{**forbidden, 'path': [alias]} for alias, value in data.items() if value is None]
        return scripted.json({'data': data, **({'errors': errors} if errors else {})})

    scripted.hooks['FirstClosed'] = many
    scripted.hooks['ClosedPullRequests'] = lambda request, variables: scripted.json(
        {'data': {'repository': None}, 'errors': [{**forbidden, 'path': ['repository']}]}
    )
    run = Driver.of(scripted, repositories=TWENTY).run()
    assert seen(run) == {*TWENTY} - {TWENTY[4]}
    assert scripted.asked().count('FirstClosed') == 2
    assert scripted.asked().count('ClosedPullRequests') == 1

"""Releases and the merge queue of busy repositories."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from datadog_checks.base import AgentCheck

from metta_checks.testing import Driver
from tests.github.scripted import ago, release
from tests.github.scripted_hooks import with_errors

from ..case import case

ENTRIES = 'metta.github.merge_queue.entries'
OLDEST = 'metta.github.merge_queue.oldest_minutes'
RELEASES = 'metta.github.releases.published_30d'
AGE = 'metta.github.releases.age_days'


def page(rows: list[dict[str, Any]], size: int, after: str | None) -> dict[str, Any]:
    """Return a page of a connection."""
    start = int(after or 0)
    return {
        'totalCount': len(rows),
        'pageInfo': {'hasNextPage': start + size < len(rows), 'endCursor': str(start + size)},
        'nodes': rows[start : start + size],
    }


def serve_first_query(github, part: Callable[[str], dict[str, Any]]) -> None:
    """Let the service answer the first query with another part, made from the text of the query."""

    def answer(request, _):
        text = request.get_json()['query']
        return github.json({'data': {'repository': {**github.overview(), **part(text)}, 'rateLimit': {'cost': 1}}})

    github.hooks['Now'] = answer


def serve_queue(github, rows: list[dict[str, Any]]) -> None:
    """Let the service answer with these entries of the merge queue."""

    def part(text):
        size = 100 if 'entries(first: 100)' in text else 50
        return {'mergeQueue': {'entries': page(rows, size, None), 'nextEntryEstimatedTimeToMerge': 600}}

    serve_first_query(github, part)
    github.hooks['MergeQueue'] = lambda _, variables: github.json(
        {'data': {'repository': {'mergeQueue': {'entries': page(rows, 100, variables['after'])}}}}
    )


def serve_releases(github, rows: list[dict[str, Any]]) -> None:
    """Let the service answer with these releases, in GitHub's order."""
    serve_first_query(github, lambda text: {'releases': page(rows, 50 if 'releases(first: 50' in text else 20, None)})
    github.hooks['Releases'] = lambda _, variables: github.json(
        {'data': {'repository': {'releases': page(rows, variables['page'], variables['after'])}}}
    )


@case('J', 'https://docs.github.com/en/graphql/reference/objects#mergequeue')
def test_a_merge_queue_of_eighty(scripted):
    """Eighty pull requests are in the merge queue.

    The one that has waited longest, for 5 hours, is the last one: others were moved before it.

    Right: `merge_queue.entries` adds up to 80, and `merge_queue.oldest_minutes` is 300.

    Unchanged: The first query is enough.
    """
    rows = [{'enqueuedAt': ago(minutes=10 + index), 'state': 'QUEUED'} for index in range(79)]
    serve_queue(scripted, [*rows, {'enqueuedAt': ago(hours=5), 'state': 'AWAITING_CHECKS'}])
    run = Driver.of(scripted).run()
    assert sum(run.series(ENTRIES).values()) == 80
    assert run.value(OLDEST) == 300
    assert 'MergeQueue' not in scripted.asked()


@case('J', 'https://docs.github.com/en/graphql/guides/using-pagination-in-the-graphql-api')
def test_a_merge_queue_of_two_hundred_and_fifty(scripted):
    """Two hundred and fifty pull requests are in the merge queue.

    GitHub gives at most a hundred entries per page.

    Right: `merge_queue.entries` adds up to 250. The other pages cost two requests.

    Unchanged: `merge_queue.eta_minutes` is 10.
    """
    serve_queue(scripted, [{'enqueuedAt': ago(minutes=10), 'state': 'QUEUED'}] * 250)
    run = Driver.of(scripted).run()
    assert run.value(ENTRIES, 'state:queued') == 250
    assert scripted.asked().count('MergeQueue') == 2
    assert run.value('metta.github.merge_queue.eta_minutes') == 10


@case('J', 'https://docs.github.com/en/graphql/reference/objects#release')
def test_a_release_every_night(scripted):
    """A release every night.

    In the last 30 days, 25 nightly releases were published, after 30 older ones.

    Right: `releases.published_30d` is 25.

    Unchanged: `releases.age_days` is 1, and the first query is enough.
    """
    serve_releases(
        scripted,
        [release(f'nightly-{index}', days=1 + index) for index in range(25)]
        + [release(f'v{index}', days=40 + index) for index in range(30)],
    )
    run = Driver.of(scripted).run()
    assert (run.value(RELEASES), run.value(AGE)) == (25, 1)
    assert 'Releases' not in scripted.asked()


@case('J', 'https://github.com/ewjoachim/sphinx-github-changelog/pull/209')
def test_a_release_every_six_hours(scripted):
    """A release every six hours, one of an old commit.

    GitHub sorts releases by the date of their commits, not by the date of their publication. 119 releases were
    published in the last 30 days. The last one of them is of a commit of last year.

    Right: `releases.published_30d` is 119, which takes one further query of two pages.

    Unchanged: No release is an event in the first refresh.
    """
    rows = [release(f'build-{index}', hours=6 + 6 * index) for index in range(118)]
    serve_releases(scripted, [*rows, release('v1.0.9', days=2), *[release(f'v{i}', days=60 + i) for i in range(90)]])
    run = Driver.of(scripted).run()
    assert run.value(RELEASES) == 119
    assert scripted.asked().count('Releases') == 2
    assert run.events == []


@case('J', 'https://docs.github.com/en/graphql/guides/using-pagination-in-the-graphql-api')
def test_more_releases_than_are_read(scripted):
    """A release per commit.

    1,500 releases were published in the last 30 days. The check reads a thousand.

    Right: `releases.published_30d` is absent, and the service check is WARNING.

    Unchanged: The number of open pull requests and the merge queue are there.
    """
    serve_releases(scripted, [release(f'build-{index}', minutes=20 * index) for index in range(1500)])
    run = Driver.of(scripted).run()
    assert run.value(RELEASES) is None
    assert run.status == AgentCheck.WARNING
    assert run.value('metta.collector.truncated', 'block:repository') == 1
    assert run.value('metta.github.prs.open') == 1
    assert run.value(ENTRIES, 'state:queued') == 1


def lists(nodes: Any) -> dict[str, Any]:
    """Return the part of the repository with these releases."""
    return {'releases': nodes if nodes is None else {**page([], 50, None), 'nodes': nodes}}


UNSHOWN = {
    'all releases': {'releases': None},
    'one release': lists([None, release('v1', days=3)]),
    'branches': {'branches': None},
}


@case('C', 'https://github.com/octokit/graphql.js/issues/14')
@pytest.mark.parametrize('part', UNSHOWN)
def test_a_release_while_github_does_not_show_all(scripted, part):
    """A release is published shortly before GitHub does not show a part of the repository.

    In the first refresh after the release, GitHub answers null for all releases, for the new release, or for the
    branches, beside an error without a path. The next refresh shows everything.

    Right: Event `Release v2` is sent once.

    Unchanged: There is no event for `v1`, which was known before.
    """
    driver = Driver.of(scripted)
    driver.run()
    scripted.pass_time(900)
    both = lists([release('v2', minutes=-2), release('v1', days=3)])
    hidden = {**scripted.overview(), **both, **UNSHOWN[part]}
    error = {'message': 'Something went wrong while executing your query.'}
    scripted.hooks['Now'] = with_errors(scripted, {'repository': hidden}, error)
    titles = [event['msg_title'] for event in driver.run().events]
    for _ in range(2):
        scripted.pass_time(900)
        serve_first_query(scripted, lambda _: both)
        titles += [event['msg_title'] for event in driver.run().events]
    assert [title for title in titles if title.startswith('Release')] == ['Release v2']

"""Figures of the commits of the default branch. The accounts of co-authors are not in REST and come from GraphQL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

from github import GithubException
from github.Commit import Commit

from .people import Bots, person
from .reading import Reading, Row

CO_AUTHOR = re.compile(r'^co-authored-by:\s*(.*?)\s*<([^>]*)>\s*$', re.IGNORECASE | re.MULTILINE)
REVERT = re.compile(r'Revert "(?!Revert ")|revert(\([^)]*\))?:')
HOTFIXES = (r'^\[?hotfix\b',)
AUTHORS = """
query($owner: String!, $name: String!, $oid: GitObjectID!) {
  repository(owner: $owner, name: $name) {
    object(oid: $oid) { ... on Commit { authors(first: 100) { nodes { name email user { login } } } } }
  }
}
"""
FILES = """
query($owner: String!, $name: String!, $since: GitTimestamp!, $after: String) {
  repository(owner: $owner, name: $name) {
    defaultBranchRef {
      target {
        ... on Commit {
          history(first: 100, since: $since, after: $after) {
            nodes { committedDate changedFilesIfAvailable parents(first: 1) { totalCount } }
            pageInfo { hasNextPage endCursor }
          }
        }
      }
    }
  }
}
"""


def rows(reading: Reading) -> Iterator[Row]:
    """Yield the figures of the commits of the week."""
    commits = [commit for commit in _history(reading) if reading.covers(commit.commit.committer.date)]
    yield 'commits.total_7d', len(commits), {}
    headlines = [commit.commit.message.partition('\n')[0] for commit in commits]
    hotfix = [re.compile(pattern, re.IGNORECASE) for pattern in reading.option('hotfix_patterns', HOTFIXES)]
    fixes = sum(any(pattern.search(line) for pattern in hotfix) for line in headlines)
    yield 'commits.hotfix', fixes, {}
    yield 'commits.reverts', sum(bool(REVERT.match(line)) for line in headlines), {}
    yield from _contributions(reading, [commit for commit in commits if len(commit.parents) < 2])


def _contributions(reading: Reading, plain: list[Commit]) -> Iterator[Row]:
    """Yield the figures of people and lines, which leave merge commits out."""
    bots = Bots(reading.option('bots', ()))
    people = [set(_people(reading, commit, bots)) for commit in plain]
    active = set().union(*people)
    by_people = sum(map(bool, people))
    yield 'commits.per_developer_7d', by_people / len(active) if active else None, {}
    yield 'developers.active_7d', len(active), {}
    # One request per commit, since lists have no statistics.
    changes = [commit.stats for commit in plain]
    yield 'code.lines_added_7d', sum(one.additions for one in changes), {}
    yield 'code.lines_deleted_7d', sum(one.deletions for one in changes), {}
    files = list(_files(reading))
    known = [number for number in files if number is not None]
    # Null is not 0: the sum is unknown with one commit whose files GitHub has not counted.
    yield 'code.file_changes_7d', sum(known) if len(known) == len(files) else None, {}


def _files(reading: Reading) -> Iterator[int | None]:
    """Yield the number of files of each commit that is not a merge; None where GitHub has not counted them."""
    after: str | None = None
    while True:
        since = f'{reading.start:%Y-%m-%dT%H:%M:%SZ}'
        if (branch := reading.graphql(FILES, since=since, after=after)['defaultBranchRef']) is None:
            return
        history = branch['target']['history']
        for node in history['nodes']:
            plain = node['parents']['totalCount'] < 2
            if plain and reading.covers(datetime.fromisoformat(node['committedDate'])):
                yield node['changedFilesIfAvailable']
        if not history['pageInfo']['hasNextPage']:
            return
        after = history['pageInfo']['endCursor']


def _history(reading: Reading) -> Iterator[Commit]:
    try:
        yield from reading.repository.get_commits(sha=reading.repository.default_branch, since=reading.start)
    except GithubException as error:
        # An empty repository answers with 409 instead of a history.
        if error.status != 409:
            raise


def _people(reading: Reading, commit: Commit, bots: Bots) -> Iterator[str]:
    author = commit.commit.author
    signatures = [(commit.author.login if commit.author else None, author.email, author.name)]
    if CO_AUTHOR.search(commit.commit.message):
        found = reading.graphql(AUTHORS, oid=commit.sha)['object']['authors']['nodes']
        signatures = [((row['user'] or {}).get('login'), row['email'] or '', row['name'] or '') for row in found]
    for login, email, name in signatures:
        if not bots.is_signature(login, email, name):
            yield person(login, email, name)

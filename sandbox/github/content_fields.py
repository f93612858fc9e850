"""Resolvers of the GraphQL fields of commits and pull requests that are more than an attribute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphql import GraphQLResolveInfo

from .connections import FIELDS, Connection, Places, keys, moment, resolves, snake
from .fields import Head, Ref
from .model import Commit, File, Pull, Signature

# GitHub computes no longer list of a pull request's files.
MAX_FILES = 3_000


# Commits. A head of a branch is a commit with a history; all other fields are the commit's.


def _commit(source: Commit | Head) -> Commit:
    return source.commit if isinstance(source, Head) else source


@resolves('Ref.target')
def target(source: Ref, _: GraphQLResolveInfo) -> Head | None:
    if source.name == source.repository.default_branch:
        return Head(source.repository, source.repository.commits[0])
    pulls = source.repository.pulls.values()
    return next((Head(source.repository, one.commits[-1]) for one in pulls if one.head_ref_name == source.name), None)


@resolves('Commit.history')
def history(source: Head, _: GraphQLResolveInfo, **arguments: Any) -> Connection:
    commits = source.repository.commits
    places = commits.between(moment(arguments.get('since')), moment(arguments.get('until')))
    return Connection(Places(commits, places), **arguments)


def _of_commit(attribute: str) -> Callable[..., Any]:
    return lambda source, _: getattr(_commit(source), attribute)


for _name in (
    'oid', 'committedDate', 'authoredDate', 'message', 'messageHeadline', 'additions', 'deletions',
):  # fmt: skip
    FIELDS[f'Commit.{_name}'] = _of_commit(snake(_name))


@resolves('Commit.id')
def commit_id(source: Commit | Head, _: GraphQLResolveInfo) -> str:
    return f'C_kwDO{_commit(source).oid}'


@resolves('Commit.abbreviatedOid')
def abbreviated(source: Commit | Head, _: GraphQLResolveInfo) -> str:
    return _commit(source).oid[:7]


@resolves('Commit.url')
def commit_url(source: Commit | Head, info: GraphQLResolveInfo) -> str:
    return f'{info.context.site.url}/commit/{_commit(source).oid}'


@resolves('Commit.changedFilesIfAvailable')
def changed_files(source: Commit | Head, _: GraphQLResolveInfo) -> int | None:
    commit = _commit(source)
    return len(commit.files) if commit.counts_files else None


@resolves('Commit.parents')
def parents(source: Commit | Head, _: GraphQLResolveInfo, **arguments: Any) -> Connection:
    return Connection(_commit(source).parents, **arguments)


@resolves('Commit.author')
def commit_author(source: Commit | Head, _: GraphQLResolveInfo) -> Signature:
    return _commit(source).signatures[0]


@resolves('Commit.authors')
def authors(source: Commit | Head, _: GraphQLResolveInfo, **arguments: Any) -> Connection:
    return Connection(_commit(source).signatures, **arguments)


@resolves('GitActor.date')
def actor_date(_: Signature, __: GraphQLResolveInfo) -> None:
    return None


@resolves('Commit.statusCheckRollup')
def rollup(source: Commit | Head, _: GraphQLResolveInfo) -> Commit | None:
    commit = _commit(source)
    return commit if commit.rollup is not None else None


@resolves('StatusCheckRollup.state')
def rollup_state(source: Commit, _: GraphQLResolveInfo) -> str:
    return source.rollup


@resolves('StatusCheckRollup.commit')
def rollup_commit(source: Commit, _: GraphQLResolveInfo) -> Commit:
    return source


# Pull requests.


@resolves('PullRequest.url')
def pull_url(source: Pull, info: GraphQLResolveInfo) -> str:
    return f'{info.context.site.url}/{source.repository.name_with_owner}/pull/{source.number}'


@resolves('PullRequest.totalCommentsCount')
def total_comments(source: Pull, _: GraphQLResolveInfo) -> int:
    return source.comments + source.review_comments


@resolves('PullRequest.commits')
def pull_commits(source: Pull, _: GraphQLResolveInfo, **arguments: Any) -> Connection:
    return Connection(source.commits, **arguments, make=lambda commit: {'commit': commit, 'pull': source})


keys('PullRequestCommit', 'commit')
FIELDS['PullRequestCommit.pullRequest'] = lambda source, _: source['pull']


@resolves('PullRequest.mergeCommit')
def merge_commit(source: Pull, _: GraphQLResolveInfo) -> Commit | None:
    return next((row for row in source.repository.commits.recent if row.committed_date == source.merged_at), None)


@resolves('PullRequest.labels', 'Issue.labels')
def labels(source: Any, _: GraphQLResolveInfo, **arguments: Any) -> Connection:
    return Connection(source.labels, **arguments)


@resolves('Label.name')
def label_name(source: str, _: GraphQLResolveInfo) -> str:
    return source


@resolves('PullRequest.reviews')
def reviews(source: Pull, _: GraphQLResolveInfo, **arguments: Any) -> Connection:
    states, author = arguments.pop('states', None), arguments.pop('author', None)
    rows = [
        review
        for review in source.reviews
        if (states is None or review.state in states)
        and (author is None or (review.author is not None and review.author.login == author))
    ]
    return Connection(rows, **arguments)


@resolves('PullRequest.timelineItems')
def timeline_items(source: Pull, _: GraphQLResolveInfo, **arguments: Any) -> Connection:
    kinds = arguments.get('itemTypes')
    since = moment(arguments.get('since'))
    rows = [
        event
        for event in source.timeline
        if (kinds is None or event.kind in kinds) and (since is None or event.created_at >= since)
    ]
    return Connection(rows, **arguments)


def _file(row: File) -> dict[str, Any]:
    return dict(zip(('path', 'additions', 'deletions'), row, strict=True))


@resolves('PullRequest.files')
def files(source: Pull, info: GraphQLResolveInfo, **arguments: Any) -> Connection | None:
    if source.number in info.context.site.unlisted_files:
        return None
    return Connection(source.files[:MAX_FILES], **arguments, make=_file)


keys('PullRequestChangedFile', 'path', 'additions', 'deletions')

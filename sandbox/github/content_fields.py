"""Resolvers of the GraphQL fields of commits and pull requests that are more than an attribute."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from graphql import GraphQLResolveInfo

from .comparison import Comparison, compared
from .connections import FIELDS, Connection, Places, keys, moment, resolves, snake
from .fields import Head, Ref
from .model import Commit, Deployment, File, Issue, Pull, Release, Repository

OPINIONS = ('APPROVED', 'CHANGES_REQUESTED', 'DISMISSED')
# GitHub lists at most this many files of a pull request.
MAX_FILES = 3_000


# Commits. A head of a branch is a commit with a history; all other fields are the commit's.


def _commit(source: Commit | Head) -> Commit:
    return source.commit if isinstance(source, Head) else source


@resolves('Ref.target')
def target(source: Ref, _: GraphQLResolveInfo) -> Head | None:
    """Return the last commit of a branch; null for a branch without a pull request."""
    if source.name == source.repository.default_branch:
        return Head(source.repository, source.repository.commits[0])
    pulls = source.repository.pulls.values()
    return next((Head(source.repository, one.commits[-1]) for one in pulls if one.head_ref_name == source.name), None)


@resolves('Commit.history')
def history(source: Head, _: GraphQLResolveInfo, **arguments: Any) -> Connection:
    """List a commit and those before it, between `since` and `until`, the newest first.

    A commit of another branch has the history of the default branch.
    """
    commits = source.repository.commits
    places = commits.between(moment(arguments.get('since')), moment(arguments.get('until')))
    newest = commits[0].oid == source.commit.oid
    own = 0 if newest else source.repository.place_of(source.commit.oid) or 0
    return Connection(Places(commits, range(max(own, places.start), max(own, places.stop))), **arguments)


@resolves('Deployment.commit')
def deployed_commit(source: Deployment, info: GraphQLResolveInfo) -> Head:
    """Return the commit that was deployed."""
    return Head(_repository_of(source, info), source.commit)


@resolves('Deployment.ref')
def deployed_ref(source: Deployment, info: GraphQLResolveInfo) -> Ref:
    """Return the default branch, from which everything is deployed."""
    repository = _repository_of(source, info)
    return Ref(repository, repository.default_branch)


def _repository_of(deployment: Deployment, info: GraphQLResolveInfo) -> Repository:
    return next(row for row in info.context.site.repositories if deployment in row.deployments)


@resolves('Release.tagCommit')
def tag_commit(source: Release, info: GraphQLResolveInfo) -> Head | None:
    """Return the commit of a release: the newest one of its time."""
    # Releases of two repositories may be equal.
    rows = info.context.site.repositories
    repository = next(row for row in rows if any(release is source for release in row.releases))
    return None if repository.is_empty else Head(repository, repository.commit_at(source.created_at))


@resolves('Ref.compare')
def compare(source: Ref, _: GraphQLResolveInfo, headRef: str) -> Comparison | None:  # noqa: N803 GitHub's name
    """Compare a branch with a commit or another branch."""
    return compared(source.repository, source.name, headRef)


@resolves('Comparison.commits')
def compared_commits(source: Comparison, _: GraphQLResolveInfo, **arguments: Any) -> Connection:
    """List the commits that only the head has, the oldest first."""
    return Connection(Places(source.repository.commits, source.places), **arguments)


def _of_commit(attribute: str) -> Callable[..., Any]:
    read = attrgetter(attribute)
    return lambda source, _: read(_commit(source))


for _name in (
    'id', 'oid', 'abbreviatedOid', 'committedDate', 'authoredDate', 'message', 'messageHeadline', 'additions',
    'deletions', 'changedFilesIfAvailable', 'author',
):  # fmt: skip
    FIELDS[f'Commit.{_name}'] = _of_commit(snake(_name))


@resolves('Commit.url')
def commit_url(source: Commit | Head, info: GraphQLResolveInfo) -> str:
    """Return the page of a commit."""
    return f'{info.context.site.url}/commit/{_commit(source).oid}'


@resolves('Commit.parents')
def parents(source: Commit | Head, _: GraphQLResolveInfo, **arguments: Any) -> Connection:
    """List the parents of a commit: two for a merge."""
    return Connection(_commit(source).parents, **arguments)


@resolves('Commit.authors')
def authors(source: Commit | Head, _: GraphQLResolveInfo, **arguments: Any) -> Connection:
    """List the author of a commit and the co-authors."""
    return Connection(_commit(source).signatures, **arguments)


FIELDS['GitActor.date'] = lambda *_: None


@resolves('Commit.statusCheckRollup')
def rollup(source: Commit | Head, _: GraphQLResolveInfo) -> Commit | None:
    """Return the commit as the summary of its checks; null without checks."""
    commit = _commit(source)
    return commit if commit.rollup is not None else None


FIELDS['StatusCheckRollup.state'] = _of_commit('rollup')
FIELDS['StatusCheckRollup.commit'] = lambda source, _: source


# Pull requests.


@resolves('PullRequest.url')
def pull_url(source: Pull, info: GraphQLResolveInfo) -> str:
    """Return the page of a pull request."""
    return f'{info.context.site.url}/{source.repository.name_with_owner}/pull/{source.number}'


@resolves('PullRequest.commits')
def pull_commits(source: Pull, _: GraphQLResolveInfo, **arguments: Any) -> Connection:
    """List the commits of a pull request, the oldest first."""
    return Connection(source.commits, **arguments, make=lambda commit: {'commit': commit, 'pull_request': source})


keys('PullRequestCommit', 'commit', 'pullRequest')


@resolves('PullRequest.mergeCommit')
def merge_commit(source: Pull, _: GraphQLResolveInfo) -> Commit | None:
    """Return the commit with which a pull request was merged."""
    return next((row for row in source.repository.commits.recent if row.committed_date == source.merged_at), None)


@resolves('PullRequest.labels', 'Issue.labels')
def labels(source: Issue | Pull, _: GraphQLResolveInfo, **arguments: Any) -> Connection:
    """List labels."""
    return Connection(source.labels, **arguments)


# A label is its name.
FIELDS['Label.name'] = lambda source, _: source


@resolves('PullRequest.reviews')
def reviews(source: Pull, _: GraphQLResolveInfo, **arguments: Any) -> Connection:
    """List reviews by state and author, the oldest first."""
    states, author = arguments.pop('states', None), arguments.pop('author', None)
    rows = [
        review
        for review in source.reviews
        if (states is None or review.state in states)
        and (author is None or (review.author is not None and review.author.login == author))
    ]
    return Connection(rows, **arguments)


@resolves('PullRequest.latestOpinionatedReviews')
def latest_opinionated_reviews(source: Pull, _: GraphQLResolveInfo, **arguments: Any) -> Connection:
    """List the last approval, request for changes or dismissal of each reviewer."""
    newest = {review.author: review for review in source.reviews if review.state in OPINIONS}
    return Connection(list(newest.values()), **arguments)


@resolves('PullRequest.latestReviews')
def latest_reviews(source: Pull, _: GraphQLResolveInfo, **arguments: Any) -> Connection:
    """List the last review of each reviewer."""
    return Connection(list({review.author: review for review in source.reviews}.values()), **arguments)


@resolves('PullRequest.timelineItems')
def timeline_items(source: Pull, _: GraphQLResolveInfo, **arguments: Any) -> Connection:
    """List events of a pull request by type and time, the oldest first."""
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
    """List the changed files of a pull request; null when GitHub could not compute them."""
    if source.number in info.context.site.unlisted_files:
        return None
    return Connection(source.files[:MAX_FILES], **arguments, make=_file)


keys('PullRequestChangedFile', 'path', 'additions', 'deletions')

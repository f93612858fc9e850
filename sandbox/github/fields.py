"""Resolvers of the fields of the query, accounts, repositories, issues and deployments that are more than an attribute.

All values are read on request.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, TypeVar

from graphql import GraphQLError, GraphQLResolveInfo

from .connections import FIELDS, Connection, failure, keys, moment, resolves
from .model import Account, Commit, Deployment, Issue, Pull, Release, Repository

T = TypeVar('T', Issue, Pull)

HEADS = 'refs/heads/'
REPOSITORY_ORDERS = {'NAME': attrgetter('name'), 'CREATED_AT': attrgetter('created_at')}


@dataclass(frozen=True, slots=True)
class Ref:
    """A branch."""

    repository: Repository
    name: str

    prefix = HEADS
    typename = 'Ref'

    @property
    def id(self) -> str:
        """The global id."""
        return f'REF_{self.repository.database_id}_{self.name}'


@dataclass(frozen=True, slots=True)
class Head:
    """A commit, seen as the head of a branch: it has a history."""

    repository: Repository
    commit: Commit

    typename = 'Commit'


@dataclass(frozen=True, slots=True)
class Owner:
    """An organization."""

    login: str
    typename = 'Organization'

    @property
    def id(self) -> str:
        """The global id."""
        return f'O_kgDO{self.login}'


# The query's own fields.


@resolves('Query.repository')
def repository(_: Any, info: GraphQLResolveInfo, owner: str, name: str, **options: Any) -> Repository:
    """Find a repository by its name, or by a former one unless `followRenames` is false."""
    follow = options.get('followRenames', True)
    found: Repository | None = info.context.site.find(owner, name, follow=follow)
    if found is None:
        raise failure(f"Could not resolve to a Repository with the name '{owner}/{name}'.", 'NOT_FOUND')
    return found


@resolves('Query.organization')
def organization(_: Any, info: GraphQLResolveInfo, login: str) -> Owner:
    """Find the organization by its login in any case."""
    if login.lower() != info.context.site.organization.name.lower():
        raise failure(f"Could not resolve to an Organization with the login of '{login}'.", 'NOT_FOUND')
    return Owner(info.context.site.organization.name)


@resolves('Query.repositoryOwner')
def repository_owner(_: Any, info: GraphQLResolveInfo, login: str) -> Owner | None:
    """Find the organization by its login; unlike `organization`, an unknown login is null without an error."""
    name = info.context.site.organization.name
    return Owner(name) if login.lower() == name.lower() else None


@resolves('Query.viewer')
def viewer(_: Any, info: GraphQLResolveInfo) -> Account:
    """Return the account that every token belongs to."""
    account: Account = info.context.site.people.accounts[0]
    return account


@resolves('Query.rateLimit')
def rate_limit(_: Any, info: GraphQLResolveInfo, **__: Any) -> dict[str, Any] | None:
    """Return the limit of GraphQL points with the cost of this query; null on an Enterprise Server."""
    bucket = info.context.site.bucket('graphql')
    if bucket is None:
        return None
    price = info.context.cost
    return {
        'cost': price.points,
        'node_count': price.nodes,
        'limit': bucket.limit,
        'used': bucket.used,
        'remaining': bucket.remaining,
        'reset_at': bucket.reset_at,
    }


keys('RateLimit', 'cost', 'limit', 'nodeCount', 'remaining', 'resetAt', 'used')
keys('PageInfo', 'startCursor', 'endCursor', 'hasNextPage', 'hasPreviousPage')


@resolves('Query.node')
def node(_: Any, info: GraphQLResolveInfo, id: str) -> Pull | Repository:
    """Find a pull request or repository by its global id."""
    found: Pull | Repository | None = info.context.site.node(id)
    if found is None:
        raise _no_node(id)
    return found


@resolves('Query.nodes')
def nodes(_: Any, info: GraphQLResolveInfo, ids: list[str]) -> list[Pull | Repository | GraphQLError]:
    """Find pull requests and repositories. An unknown id makes its row null, with an error, and leaves the others."""
    return [info.context.site.node(wanted) or _no_node(wanted) for wanted in ids]


def _no_node(wanted: str) -> GraphQLError:
    return failure(f"Could not resolve to a node with the global id of '{wanted}'", 'NOT_FOUND')


# Accounts.


@resolves('User.url', 'Bot.url', 'Organization.url')
def account_url(source: Account | Owner, info: GraphQLResolveInfo) -> str:
    """Return the page of an account."""
    return f'{info.context.site.url}/{source.login}'


@resolves('User.resourcePath', 'Bot.resourcePath', 'Organization.resourcePath')
def account_path(source: Account | Owner, _: GraphQLResolveInfo) -> str:
    """Return the path of an account's page."""
    return f'/{source.login}'


@resolves('Organization.repositories', 'RepositoryOwner.repositories')
def repositories(source: Owner, info: GraphQLResolveInfo, **arguments: Any) -> Connection:
    """List the organization's repositories."""
    rows = [
        row
        for row in info.context.site.repositories
        if arguments.get('isArchived') in (None, row.is_archived) and arguments.get('isFork') in (None, row.is_fork)
    ]
    order = arguments.get('orderBy')
    if order and order['field'] in REPOSITORY_ORDERS:
        rows.sort(key=REPOSITORY_ORDERS[order['field']], reverse=order['direction'] == 'DESC')
    return Connection(rows, **arguments)


# Repositories.


@resolves('Repository.owner')
def owner(source: Repository, _: GraphQLResolveInfo) -> Owner:
    """Return the organization that owns a repository."""
    return Owner(source.owner)


@resolves('Repository.url')
def repository_url(source: Repository, info: GraphQLResolveInfo) -> str:
    """Return the page of a repository."""
    return f'{info.context.site.url}/{source.name_with_owner}'


@resolves('Repository.defaultBranchRef')
def default_branch_ref(source: Repository, _: GraphQLResolveInfo) -> Ref | None:
    """Return the default branch; an empty repository has none."""
    return None if source.is_empty else Ref(source, source.default_branch)


@resolves('Repository.ref')
def ref(source: Repository, _: GraphQLResolveInfo, qualifiedName: str) -> Ref | None:  # noqa: N803 GitHub's name
    """Find a branch by its name, with or without `refs/heads/`."""
    name = qualifiedName.removeprefix(HEADS)
    return Ref(source, name) if name in source.branches else None


@resolves('Repository.refs')
def refs(source: Repository, _: GraphQLResolveInfo, refPrefix: str, **arguments: Any) -> Connection:  # noqa: N803 GitHub's name
    """List the branches. Tags are not kept: another prefix has no rows."""
    names = source.branches if refPrefix.rstrip('/') == HEADS.rstrip('/') else []
    if arguments.get('query'):
        names = [name for name in names if arguments['query'] in name]
    return Connection(names, **arguments, make=lambda name: Ref(source, name))


@resolves('Repository.object')
def git_object(source: Repository, _: GraphQLResolveInfo, **arguments: Any) -> Head | None:
    """Find a commit by its id, or the head of the default branch."""
    wanted = arguments.get('oid') or arguments.get('expression')
    if wanted in (source.default_branch, 'HEAD', f'{HEADS}{source.default_branch}') and not source.is_empty:
        return Head(source, source.commits[0])
    return next((Head(source, commit) for commit in source.commits.recent if commit.oid == wanted), None)


def _ordered(rows: list[Any], order: dict[str, str] | None) -> list[Any]:
    """By GitHub's order (default: oldest first), ties by number."""
    order = order or {'field': 'CREATED_AT', 'direction': 'ASC'}
    field = order['field'].lower()
    rows.sort(key=lambda row: (getattr(row, field), row.number), reverse=order['direction'] == 'DESC')
    return rows


def _labeled(rows: Iterable[T], labels: list[str] | None) -> list[T]:
    return [row for row in rows if labels is None or set(labels) & set(row.labels)]


@resolves('Repository.pullRequests')
def pull_requests(
    source: Repository, _: GraphQLResolveInfo, states: list[str] | None = None, **arguments: Any
) -> Connection:
    """List pull requests by state, branch and label."""
    rows = [
        pull
        for pull in _labeled(source.pulls.values(), arguments.get('labels'))
        if (states is None or pull.state in states)
        and arguments.get('baseRefName') in (None, pull.base_ref_name)
        and arguments.get('headRefName') in (None, pull.head_ref_name)
    ]
    return Connection(_ordered(rows, arguments.get('orderBy')), **arguments)


@resolves('Repository.pullRequest')
def pull_request(source: Repository, _: GraphQLResolveInfo, number: int) -> Pull:
    """Find a pull request by its number."""
    found = source.pulls.get(number)
    if found is None:
        raise failure(f'Could not resolve to a PullRequest with the number of {number}.', 'NOT_FOUND')
    return found


@resolves('Repository.issues')
def issues(source: Repository, _: GraphQLResolveInfo, **arguments: Any) -> Connection:
    """List issues by state, label and time of the last change."""
    filters = arguments.get('filterBy') or {}
    states = arguments.get('states') or filters.get('states')
    since = moment(filters.get('since'))
    rows = [
        issue
        for issue in _labeled(source.issues, arguments.get('labels') or filters.get('labels'))
        if (states is None or issue.state in states) and (since is None or issue.updated_at >= since)
    ]
    return Connection(_ordered(rows, arguments.get('orderBy')), **arguments)


@resolves('Repository.releases')
def releases(source: Repository, _: GraphQLResolveInfo, **arguments: Any) -> Connection:
    """List releases, the newest first unless told otherwise."""
    order = arguments.get('orderBy') or {'field': 'CREATED_AT', 'direction': 'DESC'}
    key = 'tag_name' if order['field'] == 'NAME' else 'created_at'
    rows = sorted(source.releases, key=attrgetter(key), reverse=order['direction'] == 'DESC')
    return Connection(rows, **arguments)


@resolves('Release.url')
def release_url(source: Release, info: GraphQLResolveInfo) -> str:
    """Return the page of a release."""
    return f'{info.context.site.url}/releases/tag/{source.tag_name}'


@resolves('Repository.mergeQueue')
def merge_queue(source: Repository, _: GraphQLResolveInfo, branch: str | None = None) -> Repository | None:
    """Return the repository as its merge queue; null without one, and for any branch but the default branch."""
    fits = branch in (None, source.default_branch)
    return source if fits and source.merge_queue is not None else None


@resolves('MergeQueue.entries')
def entries(source: Repository, _: GraphQLResolveInfo, **arguments: Any) -> Connection:
    """List the entries of a merge queue, the first one to be merged first."""
    return Connection(source.merge_queue or (), **arguments)


@resolves('MergeQueue.nextEntryEstimatedTimeToMerge')
def next_entry(source: Repository, _: GraphQLResolveInfo) -> int | None:
    """Return the seconds until the next entry is expected to be merged."""
    return source.merge_queue_eta_seconds


@resolves('Repository.deployments')
def deployments(source: Repository, _: GraphQLResolveInfo, **arguments: Any) -> Connection:
    """List deployments by environment, the oldest first unless told otherwise."""
    order = arguments.get('orderBy') or {'direction': 'ASC'}
    environments = arguments.get('environments')
    rows = [row for row in source.deployments if environments is None or row.environment in environments]
    rows.sort(key=lambda row: row.created_at, reverse=order['direction'] == 'DESC')
    return Connection(rows, **arguments)


@resolves('Deployment.statuses')
def statuses(source: Deployment, _: GraphQLResolveInfo, **arguments: Any) -> Connection:
    """List the statuses of a deployment, the newest first."""
    return Connection(source.statuses[::-1], **arguments)


# Global ids of objects that are never looked up by their id.
for _type in (
    'PullRequestCommit', 'ReadyForReviewEvent', 'ConvertToDraftEvent', 'ReviewRequestedEvent', 'Label', 'Issue',
    'DeploymentStatus', 'MergeQueue', 'MergeQueueEntry', 'Release',
):  # fmt: skip
    FIELDS[f'{_type}.id'] = lambda source, _, kind=_type: f'{kind}_{id(source):x}'

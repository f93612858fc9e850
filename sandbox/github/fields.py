"""Resolvers of the GraphQL fields of the query, accounts, repositories, issues and deployments that are more than an
attribute. Everything is read when it is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLResolveInfo

from .connections import FIELDS, Connection, failure, keys, moment, resolves
from .model import Account, Commit, Deployment, Pull, Repository

HEADS = 'refs/heads/'


@dataclass(frozen=True, slots=True)
class Ref:
    """A branch."""

    repository: Repository
    name: str

    prefix = HEADS
    typename = 'Ref'

    @property
    def id(self) -> str:
        return f'REF_{self.repository.database_id}_{self.name}'


@dataclass(frozen=True, slots=True)
class Head:
    """A commit, seen as the head of a branch: it has a history."""

    repository: Repository
    commit: Commit

    typename = 'Commit'


@dataclass(frozen=True, slots=True)
class Owner:
    """An organisation."""

    login: str
    typename = 'Organization'

    @property
    def id(self) -> str:
        return f'O_kgDO{self.login}'


# The query's own fields.


@resolves('Query.repository')
def repository(_: Any, info: GraphQLResolveInfo, owner: str, name: str, **options: Any) -> Repository:
    follow = options.get('followRenames', True)
    found = info.context.site.find(owner, name, follow=follow)
    if found is None:
        raise failure(f"Could not resolve to a Repository with the name '{owner}/{name}'.", 'NOT_FOUND')
    return found


@resolves('Query.organization')
def organization(_: Any, info: GraphQLResolveInfo, login: str) -> Owner:
    if login.lower() != info.context.site.organisation.name.lower():
        raise failure(f"Could not resolve to an Organization with the login of '{login}'.", 'NOT_FOUND')
    return Owner(info.context.site.organisation.name)


@resolves('Query.repositoryOwner')
def repository_owner(_: Any, info: GraphQLResolveInfo, login: str) -> Owner | None:
    # Unlike `organization`, this one is just null for an unknown login.
    name = info.context.site.organisation.name
    return Owner(name) if login.lower() == name.lower() else None


@resolves('Query.viewer')
def viewer(_: Any, info: GraphQLResolveInfo) -> Account:
    return info.context.site.people.accounts[0]


@resolves('Query.rateLimit')
def rate_limit(_: Any, info: GraphQLResolveInfo, **__: Any) -> dict[str, Any] | None:
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
    found = info.context.site.node(id)
    if found is None:
        raise failure(f"Could not resolve to a node with the global id of '{id}'", 'NOT_FOUND')
    return found


@resolves('Query.nodes')
def nodes(_: Any, info: GraphQLResolveInfo, ids: list[str]) -> list[Any]:
    # An error among the rows makes that one null and leaves the others alone.
    rows = [(wanted, info.context.site.node(wanted)) for wanted in ids]
    return [
        found or failure(f"Could not resolve to a node with the global id of '{wanted}'", 'NOT_FOUND')
        for wanted, found in rows
    ]


# Accounts.


@resolves('User.url', 'Bot.url', 'Organization.url')
def account_url(source: Any, info: GraphQLResolveInfo) -> str:
    return f'{info.context.site.url}/{source.login}'


@resolves('User.resourcePath', 'Bot.resourcePath', 'Organization.resourcePath')
def account_path(source: Any, _: GraphQLResolveInfo) -> str:
    return f'/{source.login}'


@resolves('Organization.repositories', 'RepositoryOwner.repositories')
def repositories(source: Owner, info: GraphQLResolveInfo, **arguments: Any) -> Connection:
    rows = [
        row
        for row in info.context.site.repositories
        if arguments.get('isArchived') in (None, row.is_archived) and arguments.get('isFork') in (None, row.is_fork)
    ]
    order = arguments.get('orderBy') or {}
    key = {'NAME': lambda row: row.name, 'CREATED_AT': lambda row: row.created_at}.get(order.get('field'))
    if key:
        rows.sort(key=key, reverse=order['direction'] == 'DESC')
    return Connection(rows, **arguments)


# Repositories.


@resolves('Repository.owner')
def owner(source: Repository, _: GraphQLResolveInfo) -> Owner:
    return Owner(source.owner)


@resolves('Repository.url')
def repository_url(source: Repository, info: GraphQLResolveInfo) -> str:
    return f'{info.context.site.url}/{source.name_with_owner}'


@resolves('Repository.defaultBranchRef')
def default_branch_ref(source: Repository, _: GraphQLResolveInfo) -> Ref | None:
    return None if source.is_empty else Ref(source, source.default_branch)


@resolves('Repository.ref')
def ref(source: Repository, _: GraphQLResolveInfo, qualifiedName: str) -> Ref | None:  # noqa: N803
    name = qualifiedName.removeprefix(HEADS)
    return Ref(source, name) if name in source.branches else None


@resolves('Repository.refs')
def refs(source: Repository, _: GraphQLResolveInfo, refPrefix: str, **arguments: Any) -> Connection:  # noqa: N803
    # Tags are not kept: another prefix has none.
    names = source.branches if refPrefix.rstrip('/') == HEADS.rstrip('/') else []
    if arguments.get('query'):
        names = [name for name in names if arguments['query'] in name]
    return Connection(names, **arguments, make=lambda name: Ref(source, name))


@resolves('Repository.object')
def git_object(source: Repository, _: GraphQLResolveInfo, **arguments: Any) -> Head | None:
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


def _labelled(rows: Iterable[Any], labels: list[str] | None) -> list[Any]:
    return [row for row in rows if labels is None or set(labels) & set(row.labels)]


@resolves('Repository.pullRequests')
def pull_requests(
    source: Repository, _: GraphQLResolveInfo, states: list[str] | None = None, **arguments: Any
) -> Connection:
    rows = [
        pull
        for pull in _labelled(source.pulls.values(), arguments.get('labels'))
        if (states is None or pull.state in states)
        and arguments.get('baseRefName') in (None, pull.base_ref_name)
        and arguments.get('headRefName') in (None, pull.head_ref_name)
    ]
    return Connection(_ordered(rows, arguments.get('orderBy')), **arguments)


@resolves('Repository.pullRequest')
def pull_request(source: Repository, _: GraphQLResolveInfo, number: int) -> Pull:
    found = source.pulls.get(number)
    if found is None:
        raise failure(f'Could not resolve to a PullRequest with the number of {number}.', 'NOT_FOUND')
    return found


@resolves('Repository.issues')
def issues(source: Repository, _: GraphQLResolveInfo, **arguments: Any) -> Connection:
    filters = arguments.get('filterBy') or {}
    states = arguments.get('states') or filters.get('states')
    since = moment(filters.get('since'))
    rows = [
        issue
        for issue in _labelled(source.issues, arguments.get('labels') or filters.get('labels'))
        if (states is None or issue.state in states) and (since is None or issue.updated_at >= since)
    ]
    return Connection(_ordered(rows, arguments.get('orderBy')), **arguments)


@resolves('Repository.releases')
def releases(source: Repository, _: GraphQLResolveInfo, **arguments: Any) -> Connection:
    order = arguments.get('orderBy') or {'field': 'CREATED_AT', 'direction': 'DESC'}
    key = 'tag_name' if order['field'] == 'NAME' else 'created_at'
    rows = sorted(source.releases, key=lambda row: getattr(row, key), reverse=order['direction'] == 'DESC')
    return Connection(rows, **arguments)


@resolves('Release.name')
def release_name(source: Any, _: GraphQLResolveInfo) -> str:
    return source.tag_name


@resolves('Release.url')
def release_url(source: Any, info: GraphQLResolveInfo) -> str:
    return f'{info.context.site.url}/releases/tag/{source.tag_name}'


@resolves('Repository.mergeQueue')
def merge_queue(source: Repository, _: GraphQLResolveInfo, branch: str | None = None) -> Repository | None:
    fits = branch in (None, source.default_branch)
    return source if fits and source.merge_queue is not None else None


@resolves('MergeQueue.entries')
def entries(source: Repository, _: GraphQLResolveInfo, **arguments: Any) -> Connection:
    return Connection(source.merge_queue, **arguments)


@resolves('MergeQueue.nextEntryEstimatedTimeToMerge')
def next_entry(source: Repository, _: GraphQLResolveInfo) -> int | None:
    return source.merge_queue_eta_seconds


@resolves('Repository.deployments')
def deployments(source: Repository, _: GraphQLResolveInfo, **arguments: Any) -> Connection:
    order = arguments.get('orderBy') or {'direction': 'ASC'}
    environments = arguments.get('environments')
    rows = [row for row in source.deployments if environments is None or row.environment in environments]
    rows.sort(key=lambda row: row.created_at, reverse=order['direction'] == 'DESC')
    return Connection(rows, **arguments)


@resolves('Deployment.statuses')
def statuses(source: Deployment, _: GraphQLResolveInfo, **arguments: Any) -> Connection:
    return Connection(source.statuses[::-1], **arguments)


@resolves('Deployment.latestStatus')
def latest_status(source: Deployment, _: GraphQLResolveInfo) -> Any:
    return source.statuses[-1] if source.statuses else None


@resolves('Deployment.state')
def deployment_state(source: Deployment, _: GraphQLResolveInfo) -> str:
    """A deployment whose last status is success is ACTIVE."""
    last = source.statuses[-1].state if source.statuses else 'PENDING'
    return 'ACTIVE' if last == 'SUCCESS' else last


@resolves('Deployment.updatedAt')
def deployment_updated(source: Deployment, _: GraphQLResolveInfo) -> Any:
    return source.statuses[-1].created_at if source.statuses else source.created_at


@resolves('DeploymentStatus.updatedAt')
def status_updated(source: Any, _: GraphQLResolveInfo) -> Any:
    return source.created_at


@resolves('Deployment.commitOid')
def commit_oid(source: Deployment, _: GraphQLResolveInfo) -> str:
    return source.commit.oid


# Global ids of what is never looked up by its id.
for _type in (
    'PullRequestCommit', 'ReadyForReviewEvent', 'ConvertToDraftEvent', 'ReviewRequestedEvent', 'Label', 'Issue',
    'DeploymentStatus', 'MergeQueue', 'MergeQueueEntry', 'Release',
):  # fmt: skip
    FIELDS[f'{_type}.id'] = lambda source, _, kind=_type: f'{kind}_{id(source):x}'

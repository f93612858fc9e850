"""Speaks GitHub's GraphQL and REST, one request at a time, and yields records.

Rate limits, page sizes and fields that a server does not know are handled here; see docs/sources/github.md for the
rules.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

from ..core.errors import BadPayload, NotFound, OutOfBudget, Rejected, Unauthorized, Unavailable
from ..core.fields import integer
from ..core.http import Api, Response
from ..core.memo import Ages, Learned
from ..core.paging import Page, pages
from ..core.stored import stored
from . import queries
from .answers import (
    SAME_PAGE,
    Answer,
    FileList,
    GraphqlError,
    Path,
    RunPage,
    all_rows,
    error_list,
    parsing,
    undefined_fields,
)
from .auth import Headers
from .limits import CORE, GRAPHQL, OLD_SERVER, Refusals
from .records import Commit, ForcePush, Listed, Overview, PullRequest, Run
from .values import GITHUB, next_cursor, nodes

T = TypeVar('T')

# Findings about a server are tried again after a day.
DIALECT_AGES = Ages(fresh=24 * 3600, usable=24 * 3600)
# Reasons of an error after which a smaller page may come.
TRY_SMALLER = ('http_5xx', 'timeout', 'too_heavy')
TOO_HEAVY = ('RESOURCE_LIMITS_EXCEEDED', 'MAX_NODE_LIMIT_EXCEEDED')
RUNS_PAGE = 100
# Any filter caps a list of runs here, whatever its pages say.
RUNS_CAP = 1000
FILE_PAGES = 30


@stored
class Dialect:
    """The queries that a server answers, so that a refresh does not repeat requests that fail.

    Each finding is dropped after a day.

    Attributes:
        page_sizes: the page size that helped where a page was too heavy, by query
        unknown_fields: the fields that the server does not know, by query
        refused_parts: GitHub's messages about parts of the first query that it refuses, by repository and part
    """

    page_sizes: dict[str, Learned[int]] = field(default_factory=dict)
    unknown_fields: dict[str, Learned[frozenset[str]]] = field(default_factory=dict)
    refused_parts: dict[str, dict[str, Learned[str]]] = field(default_factory=dict)


class Client:
    """One GitHub, with one set of credentials."""

    def __init__(
        self,
        api: Api,
        headers: Headers,
        refusals: Refusals,
        clock: Callable[[], datetime],
        *,
        bots: frozenset[str],
        max_requests: int,
    ) -> None:
        self._api = api
        self._headers = headers
        self._refusals = refusals
        self._clock = clock
        self._bots = bots
        self._max_requests = max_requests
        self._graphql_url = graphql_url(api.base_url)
        # Persisted by the check.
        self.dialect = Dialect()
        self.points = 0
        self.graphql_sent = 0
        self.rest_sent = 0

    def begin(self) -> None:
        """A new repository: its own account of requests."""
        self.points = 0
        self.graphql_sent = 0
        self.rest_sent = 0

    # GraphQL.

    def overview(self, owner: str, name: str, since: str) -> Overview:
        """What the first query of a refresh tells. Raises NotFound when the repository is not there."""
        hidden = self._hidden(f'{owner}/{name}')
        answer = self._now_without(hidden, owner, name, since)
        while answer.data.get('repository') is None and (refused := _refused(answer, hidden)):
            # Refused parts that GitHub declares non-null take the whole repository along: asked again without them.
            hidden |= refused
            answer = self._now_without(hidden, owner, name, since)
            self._hide(f'{owner}/{name}', hidden)
        repository = answer.data.get('repository')
        if repository is None:
            raise NotFound(
                f'GitHub has no repository {owner}/{name}, or these credentials may not read it; '
                'check the name, and that the token or App may read Metadata, Contents, Pull requests and Actions'
            )
        missing = {_part(path): message for path, message in answer.errors.items() if path[:1] == ('repository',)}
        missing |= hidden
        with parsing():
            return Overview.parse(repository, missing, self._bots, self._now())

    def _now_without(self, hidden: Mapping[str, str], owner: str, name: str, since: str) -> Answer:
        variables = {'owner': owner, 'name': name, 'since': since}
        left_out = {queries.OPTIONAL[part] for part in hidden}
        return self.page('now', variables, partial=True, left_out=left_out)

    def _hidden(self, slug: str) -> dict[str, str]:
        """Parts of the first query that GitHub refused for a repository in the last day: why, by part."""
        known = self.dialect.refused_parts.get(slug, {})
        return {part: refused.value for part, refused in known.items() if self._is_fresh(refused)}

    def _hide(self, slug: str, hidden: Mapping[str, str]) -> None:
        parts = {part: Learned(why, self._now()) for part, why in hidden.items()}
        self.dialect = replace(self.dialect, refused_parts={**self.dialect.refused_parts, slug: parts})

    def _is_fresh(self, learned: Learned[Any]) -> bool:
        return learned.is_fresh(self._now(), DIALECT_AGES)

    def open_pull_requests(self, owner: str, name: str, after: str) -> Iterator[PullRequest]:
        """Further pages of the open pull requests."""

        def fetch(cursor: str | None) -> Page[PullRequest]:
            variables = {'owner': owner, 'name': name, 'after': cursor}
            return self._pull_requests('open_pull_requests', 'openPullRequests', variables)

        return all_rows(fetch, after)

    def closed_pull_requests(
        self, owner: str, name: str, *, size: int | None, hidden: Callable[[str], None]
    ) -> Iterator[PullRequest]:
        """Merged and closed pull requests, the last updated first; pages are fetched as they are consumed.

        `size` asks for smaller pages than usual; `hidden` is told why GitHub does not show the states of checks.
        """

        def fetch(cursor: str | None) -> Page[PullRequest]:
            variables = {'owner': owner, 'name': name, 'after': cursor}
            return self._pull_requests('closed_pull_requests', 'closedPullRequests', variables, size, hidden)

        return all_rows(fetch)

    def _pull_requests(
        self,
        document: str,
        key: str,
        variables: Mapping[str, Any],
        size: int | None = None,
        hidden: Callable[[str], None] | None = None,
    ) -> Page[PullRequest]:
        answer = self.page(document, variables, size, partial=hidden is not None)
        now = self._now()
        with parsing():
            connection = (answer.data.get('repository') or {}).get(key)
            for path, message in answer.errors.items():
                # repository, closedPullRequests, nodes, 3, head, ...: the checks of the last commit.
                if connection is None or hidden is None or path[4:5] != ('head',):
                    raise _rejected(document, message)
                connection['nodes'][path[3]].pop('head', None)
                hidden(message)
            if connection is None:
                raise BadPayload('GitHub gave no list of pull requests')
            pulls = [PullRequest.parse(node, self._bots, now) for node in nodes(connection)]
            return Page(pulls, cursor=next_cursor(connection))

    def commits(self, owner: str, name: str, branch: str, since: str) -> Iterator[Commit]:
        """Commits of a branch committed since then, newest first."""

        def fetch(cursor: str | None) -> Page[Commit]:
            variables = {
                'owner': owner,
                'name': name,
                'branch': f'refs/heads/{branch}',
                'since': since,
                'after': cursor,
            }
            data = self.page('commits', variables).data
            with parsing():
                target = ((data.get('repository') or {}).get('ref') or {}).get('target') or {}
                history = target.get('inWindow')
                if history is None:
                    raise BadPayload(f'GitHub gave no history of branch {branch}')
                commits = [Commit.parse(node, self._bots) for node in nodes(history)]
                return Page(commits, cursor=next_cursor(history))

        return all_rows(fetch)

    def files(self, ids: Sequence[str], failed: Callable[[str], None]) -> tuple[dict[int, FileList], int]:
        """The first hundred paths of pull requests, by number, and of how many of them: as many as a page takes.

        `failed` is told why lists are not there.
        """

        def ask(page: int) -> tuple[list[str], Answer]:
            asked = list(ids[:page])
            return asked, self._graphql('files', {'ids': asked}, partial=True)

        asked, answer = self._sized('files', len(ids), ask)
        for message in dict.fromkeys(answer.errors.values()):
            failed(message)
        with parsing():
            lists = [FileList.parse(node) for node in nodes(answer.data) if 'number' in node]
        return {files.number: files for files in lists}, len(asked)

    def more_files(self, identity: str, after: str) -> FileList:
        """A further page of the paths of a pull request."""

        def fetch(cursor: str | None) -> FileList:
            node = self._graphql('more_files', {'id': identity, 'after': cursor}).data.get('node')
            if not isinstance(node, Mapping) or 'number' not in node:
                raise BadPayload('GitHub gave no such pull request any more')
            with parsing():
                return FileList.parse(node)

        return next(pages(fetch, after, repeated=SAME_PAGE))

    def repositories(self, login: str) -> Iterator[Listed]:
        """All repositories of an organization or a user."""

        def fetch(cursor: str | None) -> Page[Listed]:
            owner = self._graphql('repositories', {'login': login, 'after': cursor}).data.get('repositoryOwner')
            if owner is None:
                raise NotFound(f'GitHub has no organization {login}, or these credentials may not see it')
            with parsing():
                connection = owner.get('repositories') or {}
                return Page([Listed.parse(node) for node in nodes(connection)], cursor=next_cursor(connection))

        return all_rows(fetch)

    def page(
        self,
        document: str,
        variables: Mapping[str, Any],
        size: int | None = None,
        *,
        partial: bool = False,
        left_out: Collection[str] = (),
    ) -> Answer:
        """Ask for a page, which `size` makes smaller than usual; its size is the variable `page`."""
        return self._sized(
            document,
            size,
            lambda page: self._graphql(document, {**variables, 'page': page}, partial=partial, left_out=left_out),
        )

    def _sized(self, document: str, size: int | None, ask: Callable[[int], T]) -> T:
        """Ask for a page of a size; when GitHub finds it too heavy, at once for a smaller one, at most twice.

        A size that helped is kept for a day. One that did not is not: the service was away, not the page too heavy.
        """
        sizes = queries.PAGES[document]
        most = min(size or sizes[0], sizes[0])
        helpful = self.dialect.page_sizes.get(document)
        first = page = min(helpful.value, most) if helpful is not None and self._is_fresh(helpful) else most
        smaller = [one for one in sizes if one < first]
        while True:
            try:
                answer = ask(page)
            except Unavailable as error:
                if error.reason not in TRY_SMALLER or not smaller:
                    raise
                page = smaller.pop(0)
            else:
                break
        if page < first:
            helpful = Learned(page, self._now())
            self.dialect = replace(self.dialect, page_sizes={**self.dialect.page_sizes, document: helpful})
        return answer

    def _graphql(
        self,
        document: str,
        variables: Mapping[str, Any],
        *,
        partial: bool = False,
        left_out: Collection[str] = (),
    ) -> Answer:
        """One operation. Fields that the server does not know are left out, once more tried after a day.

        With `partial`, errors inside the data are returned; otherwise any error is raised.
        """
        data, found = self._operation(document, variables, left_out)
        unknown = undefined_fields(found)
        if unknown:
            fields = Learned(self._unknown_fields(document).union(unknown), self._now())
            self.dialect = replace(self.dialect, unknown_fields={**self.dialect.unknown_fields, document: fields})
            data, found = self._operation(document, variables, left_out)
        errors = self._messages(found, has_data=bool(data))
        if errors and (not partial or not data):
            raise _rejected(document, next(iter(errors.values())))
        if not isinstance(data, Mapping):
            raise BadPayload(f'GitHub answered the query `{document}` without data')
        return Answer(data, errors)

    def _operation(
        self, document: str, variables: Mapping[str, Any], left_out: Collection[str]
    ) -> tuple[Any, list[GraphqlError]]:
        fields = self._unknown_fields(document).union(left_out)
        body = {'query': queries.without(queries.DOCUMENTS[document], fields), 'variables': dict(variables)}
        self.graphql_sent += 1
        # No repetition of 5xx here: the next try is a smaller page.
        response = self._send(lambda: self._api.post(self._graphql_url, body, resource=GRAPHQL, retry_statuses=()))
        answer = response.json_object()
        data = answer.get('data')
        limit = data.get('rateLimit') if isinstance(data, Mapping) else None
        if isinstance(limit, Mapping):
            with parsing():
                self.points += GITHUB.optional(integer, limit, 'cost') or 0
        errors = error_list(answer)
        if any('RATE_LIMITED' in (error.type, error.extensions.get('code')) for error in errors):
            raise self._refusals.points_used_up(response)
        return data, errors

    def _unknown_fields(self, document: str) -> frozenset[str]:
        known = self.dialect.unknown_fields.get(document)
        return known.value if known is not None and self._is_fresh(known) else frozenset()

    @staticmethod
    def _messages(errors: Iterable[GraphqlError], *, has_data: bool) -> dict[Path, str]:
        """Messages by path. Raises Unavailable when the query was too heavy."""
        messages = {}
        for error in errors:
            if error.type in TOO_HEAVY or (error.message.startswith('Something went wrong') and not has_data):
                raise Unavailable('GitHub found the query too heavy', reason='too_heavy')
            if error.type == 'NOT_FOUND' and error.path in (('repository',), ('repositoryOwner',)):
                continue
            messages[error.path] = error.message
        return messages

    # REST.

    def runs(self, owner: str, name: str, low: datetime, high: datetime, page: int) -> RunPage:
        """One page of the workflow runs created in [low, high] (whole seconds), newest first as GitHub sorts them."""
        response = self.get(
            f'repos/{owner}/{name}/actions/runs',
            {
                'created': f'{low:%Y-%m-%dT%H:%M:%SZ}..{high:%Y-%m-%dT%H:%M:%SZ}',
                'per_page': RUNS_PAGE,
                'page': page,
                'exclude_pull_requests': 'true',
            },
        )
        body = response.json_object()
        rows, total = body.get('workflow_runs'), body.get('total_count')
        if not isinstance(rows, list) or isinstance(total, bool) or not isinstance(total, int):
            raise BadPayload(f'{response.request} answered without workflow_runs or total_count')
        with parsing():
            return RunPage(tuple(Run.parse(row) for row in rows), total)

    def force_pushes(self, owner: str, name: str, branch: str, etag: str) -> tuple[tuple[ForcePush, ...] | None, str]:
        """Force pushes of the last week to a branch, and the ETag of the answer.

        The pushes are None when nothing has changed since `etag`.
        """
        response = self.get(
            f'repos/{owner}/{name}/activity',
            {
                'activity_type': 'force_push',
                'ref': f'refs/heads/{branch}',
                'time_period': 'week',
                'per_page': 100,
            },
            headers={'If-None-Match': etag} if etag else {},
            accept=(304,),
        )
        if response.status == 304:
            return None, etag

        def fetch(link: str | None) -> Page[Any]:
            page = response if link is None else self.get(link)
            return Page(page.json_list(), cursor=page.links.get('next'))

        rows = list(all_rows(fetch))
        with parsing():
            return tuple(ForcePush.parse(row) for row in rows), response.headers.get('ETag', '')

    def rate_limit(self) -> Mapping[str, Any]:
        """The limits per resource; asking is free. Empty where the server has none (GitHub Enterprise Server)."""
        try:
            resources = self.get('rate_limit').json_object().get('resources')
            return resources if isinstance(resources, Mapping) else {}
        except NotFound:
            return {}

    def get(self, path: str, params: Mapping[str, Any] | None = None, **how: Any) -> Response:
        """Ask REST, see `Api.get`. Raises OutOfBudget when the repository has used up its requests."""
        if self.rest_sent >= self._max_requests:
            raise OutOfBudget(f'{self._max_requests} requests for one repository (option `max_requests`)')
        self.rest_sent += 1
        # Redirects: a renamed repository answers with its new address.
        return self._send(lambda: self._api.get(path, params, resource=CORE, allow_redirects=True, **how))

    # Both.

    def _send(self, request: Callable[[], Response]) -> Response:
        try:
            response = request()
        except Unauthorized:
            if not self._headers.auth.renewable:
                raise
            # An installation token can be withdrawn before its end: one new one.
            self._headers.auth.renew()
            response = request()
        except Rejected as error:
            if not (self._headers.sends_version and error.reason == OLD_SERVER):
                raise
            self._headers.sends_version = False
            response = request()
        self._refusals.accepted()
        return response

    def _now(self) -> float:
        return self._clock().timestamp()


def graphql_url(api_url: str) -> str:
    """Where GraphQL is: GitHub Enterprise Server keeps it beside `/api/v3`, all others below the API's address.

    >>> graphql_url('https://github.example/api/v3')
    'https://github.example/api/graphql'
    """
    path = urlsplit(api_url).path.rstrip('/')
    if path.endswith('/api/v3'):
        return api_url.rstrip('/').removesuffix('/v3') + '/graphql'
    return f'{api_url.rstrip("/")}/graphql'


def web_url(api_url: str) -> str:
    """Where people see what the API tells of.

    >>> web_url('https://api.github.com'), web_url('https://github.example/api/v3')
    ('https://github.com', 'https://github.example')
    """
    parts = urlsplit(api_url)
    return f'{parts.scheme}://{parts.netloc.removeprefix("api.")}'


def _refused(answer: Answer, known: Mapping[str, str]) -> dict[str, str]:
    """Further parts of the first query that must be left out, with those that share their field: why, by part."""
    why = {
        queries.OPTIONAL[path[1]]: message
        for path, message in answer.errors.items()
        if len(path) > 1 and path[1] in queries.OPTIONAL
    }
    return {part: why[field] for part, field in queries.OPTIONAL.items() if field in why and part not in known}


def _part(path: Sequence[str | int]) -> str:
    """The part of the first query's answer that an error is about: a field of the repository, or of its branch."""
    if path[1:3] == ('defaultBranchRef', 'target') and len(path) > 3:
        return str(path[3])
    return str(path[1]) if len(path) > 1 else 'repository'


def _rejected(document: str, message: str) -> Rejected:
    return Rejected(f'GitHub did not answer the query `{document}`: {message}')

"""Reads GitHub, by GraphQL and REST, and yields records. The rules are in docs/sources/github.md."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from ..core.errors import BadPayload, NotFound, OutOfBudget, Rejected, SourceError
from ..core.fields import integer, items, mapping, objects
from ..core.http import Response
from ..core.paging import Page, pages
from ..core.times import format_time
from .comparison_records import ComparedCommit, ComparisonPage
from .connections import GITHUB, descend, next_cursor, nodes, resolved
from .deployment_records import Deployment
from .graphql import Answer, GraphQL, rejected
from .organization import Listing
from .overviews import Overviews
from .records import Commit, FileList, ForcePush, Listed, MergeQueue, Overview, PullRequest, Release
from .refusals import Path, invisible
from .run_records import EndedAttempt, Run, RunPage
from .runner_records import Runner
from .session import Session

if TYPE_CHECKING:
    from .repository import Repository

T = TypeVar('T')

SAME_PAGE = 'GitHub sent the same page twice'
REPOSITORY_PATH = re.compile('repos/[^/]+/[^/]+')
RUNS_PAGE = 100
RUNNERS_PAGE = 100
# GitHub lists at most a thousand workflow runs of any filter, whatever its pages and totals say.
RUNS_CAP = 1000
COMPARED_PAGE = 100
# A comparison of more than a thousand commits is given up.
COMPARED_PAGES = 10
# A week of a thousand deployments is read to its end.
DEPLOYMENT_PAGES = 10
RELEASE_PAGES = 10


class Client:
    """One GitHub server, with one set of credentials."""

    def __init__(
        self,
        session: Session,
        graphql: GraphQL,
        clock: Callable[[], datetime],
        *,
        bots: frozenset[str],
        max_requests: int,
    ) -> None:
        self._session = session
        self.graphql = graphql
        self._clock = clock
        self._bots = bots
        self._max_requests = max_requests
        # Requests to REST by repository, and the one that was asked for last.
        self._rest_sent: Counter[str] = Counter()
        self._asked = ''

    def start_refresh(self) -> None:
        """Count the requests of each repository from 0, and forget which organizations were left out."""
        self._session.left_out = ()
        self.graphql.start_count()
        self._rest_sent.clear()

    @property
    def left_out(self) -> tuple[str, ...]:
        """The ids of organizations that GitHub left out of answers since `start_refresh`, because of single sign-on."""
        return self._session.left_out

    @property
    def enterprise_version(self) -> str | None:
        """The version of a GitHub Enterprise Server, empty before it has named it; None for github.com."""
        return self._session.enterprise_version

    # GraphQL.

    def overviews(self, repositories: Sequence[Repository], since: datetime) -> dict[str, Overview | SourceError]:
        """Return the answers to the first query of a refresh, or the errors, by the key of the repository."""

        def parse(value: Mapping[str, Any], missing: Mapping[str, str]) -> Overview:
            return Overview.parse(value, missing, self._bots, self._clock())

        return Overviews(self.graphql, since, parse).read(repositories)

    def open_pull_requests(self, owner: str, name: str, after: str) -> Iterator[PullRequest]:
        """Yield the open pull requests of the pages from a cursor on."""

        def fetch(cursor: str | None) -> Page[PullRequest]:
            answer = self.graphql.page('open_pull_requests', {'owner': owner, 'name': name, 'after': cursor})
            return self._pull_requests(answer, 'openPullRequests')

        return _rows(fetch, after)

    def closed_pull_requests(
        self, owner: str, name: str, *, size: int | None, hidden: Callable[[str], None]
    ) -> Iterator[PullRequest]:
        """Yield merged and closed pull requests, the last updated first; pages are fetched as they are consumed.

        `size` asks for smaller pages than usual. `hidden` is called with GitHub's message when it does not show the
        states of checks.
        """

        def fetch(cursor: str | None) -> Page[PullRequest]:
            variables = {'owner': owner, 'name': name, 'after': cursor}
            answer = self.graphql.page('closed_pull_requests', variables, size, partial=True)
            for path, message in answer.errors.items():
                if not _is_about_checks(path):
                    raise rejected('closed_pull_requests', message)
                hidden(message)
            return self._pull_requests(_without_hidden_checks(answer), 'closedPullRequests')

        return _rows(fetch)

    def _pull_requests(self, answer: Answer, key: str) -> Page[PullRequest]:
        repository = descend(answer.data, 'repository')
        if repository is None or repository.get(key) is None:
            raise BadPayload('GitHub returned no list of pull requests')
        now = self._clock()
        rows = [PullRequest.parse(node, self._bots, now) for node in nodes(repository, key)]
        return Page(rows, cursor=next_cursor(repository, key))

    def commits(self, owner: str, name: str, branch: str, since: datetime) -> Iterator[Commit]:
        """Yield the commits of a branch committed since a time, the newest first."""
        variables = {'owner': owner, 'name': name, 'branch': f'refs/heads/{branch}', 'since': format_time(since)}

        def fetch(cursor: str | None) -> Page[Commit]:
            answer = self.graphql.page('commits', {**variables, 'after': cursor})
            target = descend(answer.data, 'repository', 'ref', 'target') or {}
            if target.get('inWindow') is None:
                raise BadPayload(f'GitHub returned no history of branch {branch}')
            rows = [Commit.parse(node, self._bots) for node in nodes(target, 'inWindow')]
            return Page(rows, cursor=next_cursor(target, 'inWindow'))

        return _rows(fetch)

    def files(self, ids: Sequence[str], failed: Callable[[str], None]) -> tuple[dict[int, FileList], int]:
        """Return the first page of paths of pull requests, by number, and of how many of the ids it was asked for.

        `failed` is called with GitHub's message when lists are missing.
        """

        def ask(page: int) -> tuple[list[str], Answer]:
            asked = list(ids[:page])
            return asked, self.graphql.ask('files', {'ids': asked}, partial=True)

        asked, answer = self.graphql.sized('files', len(ids), ask)
        for message in dict.fromkeys(answer.errors.values()):
            failed(message)
        lists = [FileList.parse(node) for node in resolved(answer.data, 'nodes') if 'number' in node]
        return {files.number: files for files in lists}, len(asked)

    def more_files(self, identity: str, after: str) -> FileList:
        """Return a further page of the paths of a pull request."""

        def fetch(cursor: str | None) -> FileList:
            node = descend(self.graphql.ask('more_files', {'id': identity, 'after': cursor}).data, 'node')
            if node is None or 'number' not in node:
                raise BadPayload('GitHub no longer has this pull request')
            return FileList.parse(node)

        return next(pages(fetch, after, repeated=SAME_PAGE))

    def listing(self, login: str, before: Listing) -> Listing:
        """Read all repositories of an organization or a user; `before` is the list of the last reading."""
        self.start_refresh()
        return before.followed_by(list(self._repositories(login)), self.left_out)

    def _repositories(self, login: str) -> Iterator[Listed]:

        def fetch(cursor: str | None) -> Page[Listed]:
            answer = self.graphql.ask('repositories', {'login': login, 'after': cursor})
            owner = descend(answer.data, 'repositoryOwner')
            if owner is None:
                raise invisible(answer.found, f'organization {login}', 'see it; check option `organization`')
            rows = [Listed.parse(node) for node in nodes(owner, 'repositories')]
            return Page(rows, cursor=next_cursor(owner, 'repositories'))

        return _rows(fetch)

    def deployments(self, owner: str, name: str, after: str | None = None) -> Iterator[Page[Deployment]]:
        """Yield at most ten pages of deployments from a cursor on, the newest first.

        The last page has a cursor when there are more. Pages are fetched as they are consumed.
        """

        def fetch(cursor: str | None) -> Page[Deployment]:
            answer = self.graphql.page('deployments', {'owner': owner, 'name': name, 'after': cursor})
            repository = descend(answer.data, 'repository')
            if repository is None or repository.get('deployments') is None:
                raise BadPayload('GitHub returned no list of deployments')
            rows = [Deployment.parse(node) for node in nodes(repository, 'deployments')]
            return Page(rows, cursor=next_cursor(repository, 'deployments'))

        return pages(fetch, after, repeated=SAME_PAGE, limit=DEPLOYMENT_PAGES)

    def deployments_by_id(self, ids: Sequence[str]) -> dict[str, Deployment]:
        """Return the deployments with these ids, at most a hundred, without those that GitHub no longer shows."""
        answer = self.graphql.ask('deployments_by_id', {'ids': list(ids)}, partial=True)
        found = (Deployment.parse(node) for node in resolved(answer.data, 'nodes') if 'id' in node)
        return {deployment.id: deployment for deployment in found}

    def releases(self, owner: str, name: str, since: datetime) -> list[Release]:
        """Return the published releases down to the first page whose last release was published before a time.

        GitHub sorts them by the date of their commits. Raises Rejected when there are more than ten pages.
        """

        def fetch(cursor: str | None) -> Page[Release]:
            answer = self.graphql.page('releases', {'owner': owner, 'name': name, 'after': cursor})
            repository = descend(answer.data, 'repository')
            if repository is None or repository.get('releases') is None:
                raise BadPayload('GitHub returned no list of releases')
            rows = map(Release.parse, nodes(repository, 'releases'))
            return Page([row for row in rows if row is not None], cursor=next_cursor(repository, 'releases'))

        found: list[Release] = []
        for page in pages(fetch, repeated=SAME_PAGE, limit=RELEASE_PAGES):
            found += page.rows
            if page.cursor is None or (page.rows and page.rows[-1].published < since):
                return found
        raise Rejected(
            f'GitHub lists more than {RELEASE_PAGES * 100:,} releases in the time; they are not counted',
            reason='truncated',
        )

    def merge_queue(self, owner: str, name: str, first: MergeQueue) -> MergeQueue:
        """Return the merge queue with the entries of its further pages."""

        def fetch(cursor: str | None) -> Page[tuple[datetime, str]]:
            answer = self.graphql.ask('merge_queue', {'owner': owner, 'name': name, 'after': cursor})
            queue = MergeQueue.parse(descend(answer.data, 'repository', 'mergeQueue') or {})
            return Page(queue.entries, cursor=queue.after)

        return replace(first, entries=(*first.entries, *_rows(fetch, first.after)), after=None)

    # REST.

    def newest_runs(self, owner: str, name: str, etag: str) -> tuple[RunPage | None, str]:
        """Return the newest workflow runs and the ETag of the page; no page when it is the same as at `etag`."""
        # The address contains no time, because an ETag belongs to one address.
        response = self._get(
            f'repos/{owner}/{name}/actions/runs',
            {'per_page': RUNS_PAGE, 'exclude_pull_requests': 'true'},
            headers={'If-None-Match': etag} if etag else {},
            accept=(304,),
        )
        if response.status == 304:
            return None, etag
        return RunPage.parse(response.json_object()), response.headers.get('ETag', '')

    def runs(self, owner: str, name: str, low: datetime, high: datetime, page: int) -> RunPage:
        """Return one page of the workflow runs created in [low, high] (whole seconds), as GitHub sorts them."""
        response = self._get(
            f'repos/{owner}/{name}/actions/runs',
            {
                'created': f'{format_time(low)}..{format_time(high)}',
                'per_page': RUNS_PAGE,
                'page': page,
                'exclude_pull_requests': 'true',
            },
        )
        return RunPage.parse(response.json_object())

    def attempt(self, owner: str, name: str, run: Run, number: int) -> EndedAttempt:
        """Return the end of an earlier attempt of a run, without a conclusion when GitHub no longer shows it."""
        try:
            response = self._get(
                f'repos/{owner}/{name}/actions/runs/{run.id}/attempts/{number}', {'exclude_pull_requests': 'true'}
            )
        except NotFound:
            return EndedAttempt(number, '', run.created, run.created)
        shown = Run.parse(response.json_object())
        return EndedAttempt(number, shown.conclusion, shown.started, shown.updated)

    def force_pushes(self, owner: str, name: str, branch: str, etag: str) -> tuple[tuple[ForcePush, ...] | None, str]:
        """Return the force pushes of the last week to a branch, and the ETag of the answer.

        The pushes are None when the list is the same as at `etag`.
        """
        response = self._get(
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

        def fetch(link: str | None) -> Page[ForcePush]:
            page = response if link is None else self._get(link)
            rows = objects(page.json_list())
            if rows is None:
                raise BadPayload(f'{page.request} answered entries that are not objects')
            return Page(list(map(ForcePush.parse, rows)), cursor=page.links.get('next'))

        return tuple(_rows(fetch)), response.headers.get('ETag', '')

    def compare(self, owner: str, name: str, base: str, head: str) -> tuple[list[ComparedCommit], bool]:
        """Return the commits that a commit contains and the base does not, and whether it is an ancestor of the base.

        Raises Rejected for more than COMPARED_PAGES pages of commits.
        """
        commits: dict[str, ComparedCommit] = {}
        for number in range(1, COMPARED_PAGES + 1):
            response = self._get(
                f'repos/{owner}/{name}/compare/{base}...{head}', {'per_page': COMPARED_PAGE, 'page': number}
            )
            page = ComparisonPage.parse(response.json_object())
            commits |= {commit.sha: commit for commit in page.commits}
            if len(commits) >= page.total or not page.commits:
                break
        if len(commits) < page.total:
            raise Rejected(f'GitHub listed {len(commits)} of {page.total} commits', reason='truncated')
        return list(commits.values()), page.is_behind

    def runners(self, owner: str, name: str) -> list[Runner]:
        """Return the self-hosted runners of a repository."""
        return _runners(self._get, f'repos/{owner}/{name}/actions/runners')

    def organization_runners(self, organization: str) -> list[Runner]:
        """Return the self-hosted runners of an organization. Raises NotFound for a user."""
        # These requests belong to no repository.
        return _runners(self._session.get, f'orgs/{organization}/actions/runners')

    def rate_limits(self) -> dict[str, tuple[int, int]]:
        """Return (remaining, limit) by resource; empty for a server without limits (GitHub Enterprise Server).

        The request costs no quota.
        """
        try:
            resources = GITHUB.part(self._get('rate_limit').json_object(), 'resources')
        except NotFound:
            return {}
        limits = {resource: GITHUB.part(resources, resource) for resource in resources}
        return {
            resource: (remaining, limit)
            for resource, fields in limits.items()
            if (remaining := GITHUB.optional(integer, fields, 'remaining')) is not None
            and (limit := GITHUB.optional(integer, fields, 'limit')) is not None
        }

    def _get(self, path: str, params: Mapping[str, Any] | None = None, **options: Any) -> Response:
        """Send a request to REST. Raises OutOfBudget when the repository has used up its requests.

        An address that GitHub sent belongs to the repository that was asked for before.
        """
        if match := REPOSITORY_PATH.match(path):
            self._asked = match[0]
        if self._rest_sent[self._asked] >= self._max_requests:
            raise OutOfBudget(
                f'the {self._max_requests} requests of one repository are used up (option `max_requests`)'
            )
        self._rest_sent[self._asked] += 1
        return self._session.get(path, params, **options)


def _runners(get: Callable[..., Response], path: str) -> list[Runner]:
    """Return the runners of all pages of a list."""

    def fetch(link: str | None) -> Page[Runner]:
        response = get(path, {'per_page': RUNNERS_PAGE}) if link is None else get(link)
        rows = GITHUB.required(objects, response.json_object(), 'runners', 'page of runners')
        return Page(list(map(Runner.parse, rows)), cursor=response.links.get('next'))

    # Runners come and go while the pages are read: one can be on two of them.
    return list({runner.id: runner for runner in _rows(fetch)}.values())


def _rows(fetch: Callable[[str | None], Page[T]], start: str | None = None) -> Iterator[T]:
    """Yield the rows of all pages; a page is fetched when the rows before it have been consumed."""
    for page in pages(fetch, start, repeated=SAME_PAGE):
        yield from page.rows


def _is_about_checks(path: Path) -> bool:
    """Return whether an error is about the last commit of a closed pull request, of which only its checks are read."""
    # repository, closedPullRequests, nodes, 3, head, ...
    return path[4:5] == ('head',)


def _without_hidden_checks(answer: Answer) -> Answer:
    """Return the answer without the last commits that it has errors about, so that their checks are unknown."""
    repository = descend(answer.data, 'repository')
    listed = descend(answer.data, 'repository', 'closedPullRequests')
    if not answer.errors or repository is None or listed is None:
        return answer
    hidden = {path[3] for path in answer.errors}
    rows = [
        _without_head(node) if position in hidden else node
        for position, node in enumerate(GITHUB.optional(items, listed, 'nodes') or [])
    ]
    data = {'repository': {**repository, 'closedPullRequests': {**listed, 'nodes': rows}}}
    return Answer(data, answer.errors)


def _without_head(node: Any) -> dict[str, Any]:
    return {key: value for key, value in (mapping(node) or {}).items() if key != 'head'}

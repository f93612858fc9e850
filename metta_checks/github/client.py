"""Reads GitHub, by GraphQL and REST, and yields records. The rules are in docs/sources/github.md."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from ..core.errors import BadPayload, Forbidden, NotFound, OutOfBudget, Rejected, SourceError
from ..core.fields import integer, items, mapping, objects, text
from ..core.http import Response
from ..core.paging import Page, pages
from ..core.times import Window, format_time
from .comparison_records import ComparedCommit, ComparisonPage
from .connections import GITHUB, descend, next_cursor, nodes, resolved, total, unresolved, without_unknown
from .deployment_records import Deployment
from .graphql import Answer, GraphQL, rejected
from .job_records import Job
from .organization import Listing
from .overviews import Overviews
from .people import Bots
from .queries import CLOSED_PAGE_SHARED
from .records import (
    Commit,
    FileList,
    FileLists,
    ForcePush,
    Issue,
    Listed,
    MergeQueue,
    Overview,
    PullRequest,
    Release,
    state_of_checks,
)
from .refusals import invisible
from .reviews import Reviews
from .run_records import RUNS_PAGE, EndedAttempt, Run, RunPage, WorkflowKey
from .runner_records import Runner
from .session import Session
from .workflow_list import ListedPart, Registration

if TYPE_CHECKING:
    from .repository import Repository

T = TypeVar('T')

SAME_PAGE = 'GitHub sent the same page twice'
REPOSITORY_PATH = re.compile('repos/[^/]+/[^/]+')
# Runs of a workflow before the window: enough to find one that passed or failed.
RUNS_BEFORE = 20
# A monthly workflow has a run in this time.
LOOK_BACK = timedelta(days=35)
RUNNERS_PAGE = 100
JOBS_PAGE = 100
# GitHub allows 256 jobs of a matrix, and several of these in a workflow.
JOB_PAGES = 20
COMPARED_PAGE = 100
# A comparison of more than a thousand commits is given up.
COMPARED_PAGES = 10
# A week of a thousand deployments is read to its end.
DEPLOYMENT_PAGES = 10
RELEASE_PAGES = 10
# So is a week of two thousand changed issues.
ISSUE_PAGES = 20
# Fields of a commit that GitHub cannot compute for some commits, and for which it then gives up the whole commit.
LINES = ('additions', 'deletions')


@dataclass(frozen=True, slots=True)
class PullRequestPage:
    """A page of pull requests.

    Attributes:
        rows: the pull requests
        cursor: where the next page begins; None on the last page
        is_complete: whether GitHub shows all pull requests of the page
        problems: GitHub's messages about parts that it does not show, with the name of the parts
        checks: the states of the checks of the known pull requests that were asked for, by id; None is unknown
    """

    rows: list[PullRequest]
    cursor: str | None
    is_complete: bool
    problems: list[str] = field(default_factory=list)
    checks: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class IssuePage:
    """A page of issues, and the number of all open ones.

    Attributes:
        rows: the issues
        open_count: number of open issues of the repository
        cursor: where the next page begins; None on the last page
        problem: GitHub's message about an issue that it does not show; empty without one
    """

    rows: list[Issue]
    open_count: int | None
    cursor: str | None
    problem: str


class Client:
    """One GitHub server, with one set of credentials."""

    def __init__(
        self,
        session: Session,
        graphql: GraphQL,
        *,
        bots: Bots,
        merges: Collection[re.Pattern[str]],
        max_requests: int,
    ) -> None:
        """`merges` are expressions for the messages of commits that merge a pull request, see `Commit.parse`."""
        self._session = session
        self.graphql = graphql
        self._bots = bots
        self._merges = merges
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

    def overviews(
        self, repositories: Sequence[Repository], since: datetime, is_enough: Callable[[Overview], bool]
    ) -> dict[str, Overview | SourceError]:
        """Return the answers to the first query of a refresh, or the errors, by the key of the repository.

        A repository whose overview is not enough is asked for larger pages, if it has more commits.
        """

        def parse(value: Mapping[str, Any], missing: Mapping[str, str]) -> Overview:
            return Overview.parse(value, missing, self._bots, self._merges)

        return Overviews(self.graphql, since, parse, is_enough).read(repositories)

    def open_pull_requests(self, owner: str, name: str, after: str) -> Iterator[PullRequestPage]:
        """Yield the pages of open pull requests from a cursor on, which are fetched as they are consumed."""

        def fetch(cursor: str | None) -> PullRequestPage:
            variables = {'owner': owner, 'name': name, 'after': cursor}
            return self._pull_requests('open_pull_requests', variables, 'openPullRequests')

        return pages(fetch, after, repeated=SAME_PAGE)

    def closed_pull_requests(
        self, owner: str, name: str, *, size: int | None = None, known: Sequence[str] = (), after: str | None = None
    ) -> Iterator[PullRequestPage]:
        """Yield pages of merged and closed pull requests, the last updated first, fetched as they are consumed.

        `size` asks for smaller pages than usual. The first page has the checks of `known` ones, given by id. `after` is
        a cursor to begin at.
        """

        def fetch(cursor: str | None) -> PullRequestPage:
            variables: dict[str, Any] = {'owner': owner, 'name': name, 'after': cursor}
            if cursor is None and known:
                variables['ids'] = list(known)
            return self._pull_requests('closed_pull_requests', variables, 'closedPullRequests', size)

        return pages(fetch, after, repeated=SAME_PAGE)

    def first_closed(self, slugs: Mapping[str, tuple[str, str]]) -> dict[str, PullRequestPage]:
        """Return the first pages of the closed pull requests of repositories (owner and name by key), by key.

        Repositories of which GitHub does not show the whole page are left out.
        """
        variables: dict[str, Any] = {'page': CLOSED_PAGE_SHARED}
        for place, (owner, name) in enumerate(slugs.values()):
            variables |= {f'owner{place}': owner, f'name{place}': name}
        answer = self.graphql.ask('first_closed', variables, partial=True, repositories=len(slugs))
        failed = {path[:1] for path in answer.errors}
        found = {}
        for place, key in enumerate(slugs):
            alias = f'repository{place}'
            repository = descend(answer.data, alias)
            if repository is None or repository.get('closedPullRequests') is None or failed & {(), (alias,)}:
                continue
            found[key] = self._page(repository, 'closedPullRequests')
        return found

    def _pull_requests(
        self, document: str, variables: Mapping[str, Any], key: str, size: int | None = None
    ) -> PullRequestPage:
        left_out = () if 'ids' in variables else ('checked',)
        answer = self.graphql.page(document, variables, size, partial=True, left_out=left_out)
        data = without_unknown(answer.data, answer.errors)
        repository = descend(data, 'repository')
        if repository is None or repository.get(key) is None:
            raise _refused(document, answer, 'GitHub returned no list of pull requests')
        return replace(self._page(repository, key), problems=_problems(answer), checks=_checks(data))

    def _page(self, repository: Mapping[str, Any], key: str) -> PullRequestPage:
        return PullRequestPage(
            rows=[PullRequest.parse(node, self._bots) for node in nodes(repository, key)],
            cursor=next_cursor(repository, key),
            is_complete=not unresolved(repository, key),
        )

    def checks(self, ids: Sequence[str]) -> tuple[dict[str, str | None], list[str]]:
        """Return the states of the checks of pull requests, by id, and lines about those that are not shown.

        They may be of several repositories. None and missing states are unknown.
        """
        answer = self.graphql.ask('checks', {'ids': list(ids)}, partial=True)
        return _checks(without_unknown(answer.data, answer.errors)), _problems(answer)

    def more_reviews(self, identity: str, after: str | None) -> Reviews:
        """Return the reviews of a pull request after a cursor, at most 100."""
        answer = self.graphql.ask('more_reviews', {'id': identity, 'after': after}, partial=True)
        node = descend(without_unknown(answer.data, answer.errors), 'node')
        if node is None or node.get('reviews') is None:
            raise _refused('more_reviews', answer, 'GitHub no longer has this pull request')
        return Reviews.parse(node, self._bots)

    def issues(self, owner: str, name: str, since: datetime) -> Iterator[IssuePage]:
        """Yield pages of the issues that changed since a time. The last page has a cursor when there are too many.

        Pages are fetched as they are consumed.
        """

        def fetch(cursor: str | None) -> IssuePage:
            variables = {'owner': owner, 'name': name, 'since': format_time(since), 'after': cursor}
            answer = self.graphql.page('issues', variables, partial=True)
            repository = descend(answer.data, 'repository')
            if repository is None or repository.get('issues') is None:
                raise _refused('issues', answer, 'GitHub returned no list of issues')
            return IssuePage(
                rows=list(map(Issue.parse, nodes(repository, 'issues'))),
                open_count=total(repository, 'openIssues'),
                cursor=next_cursor(repository, 'issues'),
                problem=next(iter(answer.errors.values()), ''),
            )

        return pages(fetch, repeated=SAME_PAGE, limit=ISSUE_PAGES)

    def commits(self, owner: str, name: str, branch: str, since: datetime) -> Iterator[Commit]:
        """Yield the commits of a branch committed since a time that GitHub shows, the newest first."""
        variables = {'owner': owner, 'name': name, 'branch': f'refs/heads/{branch}', 'since': format_time(since)}

        def ask(cursor: str | None, left_out: Collection[str] = ()) -> tuple[Answer, dict[str, Any]]:
            answer = self.graphql.page('commits', {**variables, 'after': cursor}, partial=True, left_out=left_out)
            target = descend(without_unknown(answer.data, answer.errors), 'repository', 'ref', 'target') or {}
            if target.get('inWindow') is None:
                raise _refused('commits', answer, f'GitHub returned no history of branch {branch}')
            return answer, dict(target)

        def fetch(cursor: str | None) -> Page[Commit]:
            answer, target = ask(cursor)
            rows = self._commits(target)
            if unresolved(target, 'inWindow') and any(path[-1:] and path[-1] in LINES for path in answer.errors):
                # These commits are read without their lines, and the others keep theirs.
                counted = {commit.oid: commit for commit in rows}
                rows = [counted.get(commit.oid, commit) for commit in self._commits(ask(cursor, LINES)[1])]
            return Page(rows, cursor=next_cursor(target, 'inWindow'))

        return _rows(fetch)

    def _commits(self, target: Mapping[str, Any]) -> list[Commit]:
        return [Commit.parse(node, self._bots, self._merges) for node in nodes(target, 'inWindow')]

    def has_branch(self, owner: str, name: str, branch: str) -> bool:
        """Return True if the repository has a branch of this name."""
        variables = {'owner': owner, 'name': name, 'branch': f'refs/heads/{branch}'}
        repository = descend(self.graphql.ask('branch', variables).data, 'repository')
        if repository is None:
            raise BadPayload(f'GitHub did not say whether there is a branch {branch}')
        return repository.get('ref') is not None

    def files(self, ids: Sequence[str]) -> FileLists:
        """Return the first page of paths of pull requests, which may be of several repositories.

        It covers the first ids, as many as GitHub can answer at once.
        """

        def ask(page: int) -> tuple[list[str], Answer]:
            asked = list(ids[:page])
            return asked, self.graphql.ask('files', {'ids': asked}, partial=True)

        asked, answer = self.graphql.sized('files', len(ids), ask)
        # GitHub answers in the order of the ids, with null for what it does not show.
        shown = GITHUB.optional(items, answer.data, 'nodes') or []
        nodes_by_id = {identity: mapping(node) for identity, node in zip(asked, shown, strict=False)}
        return FileLists(
            {
                identity: FileList.parse(node) if (node := nodes_by_id.get(identity)) and 'number' in node else None
                for identity in asked
            },
            tuple(dict.fromkeys(answer.errors.values())),
        )

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
        params = {'per_page': RUNS_PAGE, 'exclude_pull_requests': 'true'}
        response, etag = self._unless_same(f'repos/{owner}/{name}/actions/runs', params, etag)
        return None if response is None else RunPage.parse(response.json_object()), etag

    def runs_before(self, owner: str, name: str, workflow: int, branch: str, before: datetime) -> tuple[Run, ...]:
        """Return the newest runs of a workflow on a branch in the LOOK_BACK before a time."""
        response = self._get(
            f'repos/{owner}/{name}/actions/workflows/{workflow}/runs',
            {
                'branch': branch,
                'created': f'{format_time(before - LOOK_BACK)}..{format_time(before)}',
                'per_page': RUNS_BEFORE,
                'exclude_pull_requests': 'true',
            },
        )
        return RunPage.parse(response.json_object()).runs

    def runs_of_workflow(
        self, repo: Repository, workflow: WorkflowKey, branch: str, span: Window, page: int
    ) -> RunPage:
        """Return one page of the runs of a workflow on a branch that were created in a span (whole seconds)."""
        response = self._get(
            f'repos/{repo.owner}/{repo.name}/actions/workflows/{workflow}/runs',
            {
                'branch': branch,
                'created': f'{format_time(span.start)}..{format_time(span.end)}',
                'per_page': RUNS_PAGE,
                'page': page,
                'exclude_pull_requests': 'true',
            },
        )
        return RunPage.parse(response.json_object())

    def workflows(
        self, owner: str, name: str, known: ListedPart[Registration] | None, now: datetime
    ) -> ListedPart[Registration]:
        """Return the workflows of a repository."""

        def rows(first: Response) -> Iterator[Registration]:
            def fetch(link: str | None) -> Page[Registration]:
                page = first if link is None else self._get(link)
                found = GITHUB.required(objects, page.json_object(), 'workflows', 'page of workflows')
                return Page(list(map(Registration.parse, found)), cursor=page.links.get('next'))

            return _rows(fetch)

        return self._listed(f'repos/{owner}/{name}/actions/workflows', known, rows, now)

    def workflow_files(self, owner: str, name: str, known: ListedPart[str] | None, now: datetime) -> ListedPart[str]:
        """Return the paths of the workflow files on the default branch."""

        def rows(response: Response) -> Iterator[str]:
            found = objects(response.json_list()) or ()
            return (path for one in found if (path := text(one.get('path'))))

        return self._listed(f'repos/{owner}/{name}/contents/.github/workflows', known, rows, now)

    def _listed(
        self, path: str, known: ListedPart[T] | None, rows: Callable[[Response], Iterator[T]], now: datetime
    ) -> ListedPart[T]:
        """Return a list that GitHub may not show."""
        try:
            response, etag = self._unless_same(path, {'per_page': 100}, known.etag if known is not None else '')
        except (NotFound, Forbidden):
            return ListedPart(None, '', now)
        if response is None and known is not None:
            return ListedPart(known.rows, etag, now)
        return ListedPart(tuple(rows(response)) if response is not None else None, etag, now)

    def _unless_same(self, path: str, params: Mapping[str, Any], etag: str) -> tuple[Response | None, str]:
        """Return the answer and its ETag; no answer when it is the same as at `etag`."""
        response = self._get(path, params, headers={'If-None-Match': etag} if etag else {}, accept=(304,))
        return (None, etag) if response.status == 304 else (response, response.headers.get('ETag', ''))

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
        """Return the end of an earlier attempt of a run.

        Raises NotFound when GitHub does not show it, and Rejected for an old copy, in which it has not ended.
        """
        response = self._get(
            f'repos/{owner}/{name}/actions/runs/{run.id}/attempts/{number}', {'exclude_pull_requests': 'true'}
        )
        shown = Run.parse(response.json_object())
        if not shown.finished:
            raise Rejected(f'GitHub shows attempt {number} of run {run.id} as unfinished', reason='partial')
        return EndedAttempt(number, shown.conclusion, shown.started, shown.updated)

    def jobs(self, owner: str, name: str, run: Run, attempt: int) -> list[Job]:
        """Return the jobs of an attempt of a run. Raises NotFound when the run was deleted."""
        found: dict[int, Job] = {}
        for page in range(1, JOB_PAGES + 1):
            response = self._get(
                f'repos/{owner}/{name}/actions/runs/{run.id}/attempts/{attempt}/jobs',
                {'per_page': JOBS_PAGE, 'page': page},
            )
            body = response.json_object()
            rows = GITHUB.required(objects, body, 'jobs', 'page of jobs')
            found |= {job.id: job for job in (Job.parse(row, run, attempt) for row in rows)}
            if not rows or len(found) >= GITHUB.required(integer, body, 'total_count', 'page of jobs'):
                break
        return list(found.values())

    def has_reviews(self, owner: str, name: str, run: int) -> bool:
        """Return whether somebody reviewed a deployment of a run."""
        try:
            response = self._get(f'repos/{owner}/{name}/actions/runs/{run}/approvals')
        except NotFound:
            return False
        return bool(response.json_list())

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


def _refused(document: str, answer: Answer, otherwise: str) -> SourceError:
    """Return the error for an answer without the list that was asked for, with GitHub's message if it has one."""
    message = next(iter(answer.errors.values()), None)
    return BadPayload(otherwise) if message is None else rejected(document, message)


def _problems(answer: Answer) -> list[str]:
    """Return lines about the parts of pull requests that GitHub does not show, each once."""
    return list(
        dict.fromkeys(
            f'GitHub does not show {"the checks" if "head" in path else "parts"} of pull requests: {message}'
            for path, message in answer.errors.items()
        )
    )


def _checks(data: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the states of the checks of the pull requests that were asked for, by id."""
    listed = resolved(data, 'checked')
    return {identity: state_of_checks(node) for node in listed if (identity := text(node.get('id'))) is not None}

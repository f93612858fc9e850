"""GitHub's REST API: routes, paging, filters."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import cached_property, partial
from typing import Any

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, RequestRedirect, Rule
from werkzeug.wrappers import Request, Response

from . import actions
from .access import Refused
from .comparison import compared
from .connections import Places, Rows
from .content_fields import MAX_FILES
from .model import Issue, Pull, Repository
from .paging import MAX_PAGE, Page, link, number_of, time_of
from .shapes import Shapes
from .site import Site

WORKFLOW_FOLDER = '.github/workflows'
COMMIT_FILES_PAGE = 300
# Commits of a comparison on a page, unless the request says otherwise.
COMPARED_COMMITS = 250
PERIODS = {'day': 1, 'week': 7, 'month': 30, 'quarter': 91, 'year': 365}
# First part of a route below a repository, and the permission that it needs.
PERMISSIONS = {
    'actions': 'actions',
    'activity': 'contents',
    'branches': 'contents',
    'commits': 'contents',
    'compare': 'contents',
    'contents': 'contents',
    'deployments': 'deployments',
    'issues': 'issues',
    'pulls': 'pull_requests',
    'releases': 'contents',
}


def _rules() -> Map:
    paths = {
        '': 'repository',
        **actions.PATHS,
        '/activity': 'activity',
        '/branches': 'branches',
        '/branches/<path:branch>': 'branch',
        '/commits': 'commits',
        '/commits/<sha>': 'commit',
        '/compare/<path:basehead>': 'compare',
        '/deployments': 'deployments',
        '/deployments/<int:number>/statuses': 'deployment_statuses',
        '/issues': 'issues',
        '/releases': 'releases',
        '/contents/<path:folder>': 'contents',
        '/issues/<int:number>/timeline': 'timeline',
        '/pulls': 'pulls',
        '/pulls/<int:number>': 'pull',
        '/pulls/<int:number>/reviews': 'reviews',
        '/pulls/<int:number>/files': 'files',
        '/pulls/<int:number>/commits': 'pull_commits',
    }
    return Map(
        [
            Rule('/user/orgs', endpoint='user_organizations', methods=['GET']),
            Rule('/user/repos', endpoint='user_repositories', methods=['GET']),
            Rule('/installation/repositories', endpoint='installation_repositories', methods=['GET']),
            Rule('/orgs/<login>', endpoint='organization', methods=['GET']),
            Rule('/orgs/<login>/repos', endpoint='organization_repositories', methods=['GET']),
            Rule('/orgs/<login>/actions/runners', endpoint='organization_runners', methods=['GET']),
        ]
        + [
            Rule(f'{prefix}{path}', endpoint=endpoint, methods=['GET'])
            for prefix in ('/repos/<owner>/<name>', '/repositories/<int:database_id>')
            for path, endpoint in paths.items()
        ],
        merge_slashes=False,
    )


class Rest:
    """Answers the GET requests about repositories."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.actions = actions.Actions(site, lambda: self.shapes)
        self._rules = _rules()

    @cached_property
    def shapes(self) -> Shapes:
        """The JSON of the site; its address is known when the site is served."""
        return Shapes(self.site.api_url, self.site.url)

    def answer(self, request: Request, path: str) -> Response:
        """Answer a request for `path`, which has no prefix of the server. Raises Refused."""
        try:
            endpoint, found = self._rules.bind('github').match(path, method=request.method)
        except RequestRedirect:
            raise Refused(404, 'Not Found') from None
        except HTTPException as error:
            raise Refused(404 if error.code == 404 else 405, 'Not Found') from None
        arguments = dict(found)
        if not arguments or 'login' in arguments:
            return getattr(self, endpoint)(request, **arguments)
        if 'database_id' in arguments:
            repository = self.site.by_id(arguments.pop('database_id'))
        else:
            owner, name = arguments.pop('owner'), arguments.pop('name')
            repository = self.site.find(owner, name, follow=False)
            if repository is None and (moved := self.site.find(owner, name)) is not None:
                return self._moved(request, path, moved)
        if repository is None:
            raise Refused(404, 'Not Found')
        self._permit(path)
        answers = self.actions if endpoint in actions.PATHS.values() else self
        answer: Callable[..., Response] = getattr(answers, endpoint)
        return answer(request, repository, **arguments)

    def _permit(self, path: str) -> None:
        parts = path.strip('/').split('/')
        part = parts[2 if parts[0] == 'repositories' else 3 :][:1]
        permission = PERMISSIONS.get(part[0]) if part else 'metadata'
        if permission in self.site.denied:
            raise Forbidden(permission)

    def _moved(self, request: Request, path: str, repository: Repository) -> Response:
        rest = '/'.join(path.split('/')[4:])
        target = f'{self.site.api_url}/repositories/{repository.database_id}' + (f'/{rest}' if rest else '')
        query = request.query_string.decode()
        body = {'message': 'Moved Permanently', 'url': target, 'documentation_url': 'https://docs.github.com/rest'}
        return self.site.json(body, 301, {'Location': f'{target}?{query}' if query else target})

    def _list(self, request: Request, rows: Rows[Any], make: Callable[[Any], Any], **sizes: int) -> Response:
        page = Page(request, len(rows), **sizes)
        return self.site.json([make(rows[index]) for index in page.places], 200, page.headers())

    # Organization, repository, branches, activity.

    def user_organizations(self, request: Request) -> Response:
        """List the organizations of the token's user."""
        return self._list(request, [self.site.organization.name], lambda name: {'login': name, 'id': 5_005})

    def user_repositories(self, request: Request) -> Response:
        """List the repositories that the token's user may read."""
        return self._list(request, self.site.repositories, self.shapes.full_repository)

    def installation_repositories(self, request: Request) -> Response:
        """List the repositories of the App's installation."""
        page = Page(request, len(self.site.repositories))
        rows = [self.shapes.full_repository(self.site.repositories[index]) for index in page.places]
        return self.site.json({'total_count': len(self.site.repositories), 'repositories': rows}, 200, page.headers())

    def organization(self, _: Request, login: str) -> Response:
        """Return the organization."""
        if login.lower() != self.site.organization.name.lower():
            raise Refused(404, 'Not Found')
        url = f'{self.site.api_url}/orgs/{login}'
        body = {'login': self.site.organization.name, 'id': 5_005, 'url': url, 'repos_url': f'{url}/repos'}
        return self.site.json({**body, 'type': 'Organization'})

    def organization_repositories(self, request: Request, login: str) -> Response:
        """List the repositories of the organization, with partial single sign-on the public ones."""
        self.organization(request, login)
        rows = [row for row in self.site.repositories if self.site.sso != 'partial-results' or not row.is_private]
        return self._list(request, rows, self.shapes.full_repository)

    def organization_runners(self, request: Request, login: str) -> Response:
        """List the self-hosted runners of the organization, which repositories share."""
        self.organization(request, login)
        if 'organization_self_hosted_runners' in self.site.denied:
            raise Forbidden('organization_self_hosted_runners')
        return self.actions.runner_list(request, self.site.organization_runners)

    def repository(self, _: Request, repository: Repository) -> Response:
        """Return a repository."""
        return self.site.json(self.shapes.full_repository(repository))

    def branches(self, request: Request, repository: Repository) -> Response:
        """List the branches."""
        return self._list(request, repository.branches, partial(self.shapes.branch, repository))

    def branch(self, _: Request, repository: Repository, branch: str) -> Response:
        """Return a branch. The former name of the default branch redirects to the branch."""
        if branch in repository.former_branches:
            target = f'{self.site.api_url}/repositories/{repository.database_id}/branches/{repository.default_branch}'
            body = {'message': 'Moved Permanently', 'url': target, 'documentation_url': 'https://docs.github.com/rest'}
            return self.site.json(body, 301, {'Location': target})
        if branch not in repository.branches:
            raise Refused(404, 'Branch not found')
        return self.site.json(self.shapes.whole_branch(repository, branch))

    def contents(self, _: Request, repository: Repository, folder: str) -> Response:
        """List the files of the workflows, the only folder that is kept."""
        if folder.strip('/') != WORKFLOW_FOLDER:
            raise Refused(404, 'Not Found')
        paths = sorted({run.path for run in repository.runs.recent if run.path.startswith(WORKFLOW_FOLDER)})
        kept = [path for path in paths if path not in repository.deleted_files]
        return self.site.json([self.shapes.content(repository, path) for path in kept])

    def activity(self, request: Request, repository: Repository) -> Response:
        """List pushes, the newest first, in pages by cursor."""
        arguments = request.args
        since = None
        if 'time_period' in arguments:
            if arguments['time_period'] not in PERIODS:
                raise Refused(422, 'Validation Failed')
            since = self.site.clock.now() - timedelta(days=PERIODS[arguments['time_period']])
        rows = [
            push
            for push in repository.activity
            if arguments.get('ref') in (None, push.ref, push.ref.removeprefix('refs/heads/'))
            and arguments.get('activity_type') in (None, push.activity_type)
            and (since is None or push.timestamp >= since)
        ]
        after = arguments.get('after')
        start = next((index + 1 for index, push in enumerate(rows) if f'p{push.id}' == after), 0)
        size = max(1, min(number_of(request, 'per_page', 30), MAX_PAGE))
        page = rows[start : start + size]
        more = start + size < len(rows)
        headers = {'Link': f'<{link(request, after=f"p{page[-1].id}")}>; rel="next"'} if more else {}
        return self.site.json([self.shapes.push(push) for push in page], 200, headers)

    # Commits.

    def commits(self, request: Request, repository: Repository) -> Response:
        """List the commits of the default branch, the newest first. An empty repository is a conflict."""
        if repository.is_empty:
            raise Refused(409, 'Git Repository is empty.')
        if request.args.get('sha') not in (None, repository.default_branch):
            raise Refused(404, 'Not Found')
        low, high = (time_of(request.args[name]) if name in request.args else None for name in ('since', 'until'))
        rows = Places(repository.commits, repository.commits.between(low, high))
        return self._list(request, rows, lambda commit: self.shapes.commit(repository, commit))

    def commit(self, request: Request, repository: Repository, sha: str) -> Response:
        """Return a commit, by its id, the default branch or the tag of a release, with a page of its files."""
        released = next((row.created_at for row in repository.releases if row.tag_name == sha), None)
        wanted = repository.commits[0].oid if sha == repository.default_branch else sha
        commit = next((commit for commit in repository.commits.recent if commit.oid == wanted), None)
        if commit is None and released is not None:
            commit = repository.commit_at(released)
        if commit is None:
            raise Refused(422, f'No commit found for SHA: {sha}')
        page = Page(request, min(len(commit.files), MAX_FILES), size=COMMIT_FILES_PAGE, largest=COMMIT_FILES_PAGE)
        files = [commit.files[index] for index in page.places]
        return self.site.json(self.shapes.commit(repository, commit, files), 200, page.headers())

    def compare(self, request: Request, repository: Repository, basehead: str) -> Response:
        """Compare two commits, with a page of the commits that only the second one has, the oldest first."""
        base, separator, head = basehead.partition('...')
        found = compared(repository, base, head) if separator else None
        if found is None:
            raise Refused(404, 'Not Found')
        page = Page(request, found.ahead_by, size=COMPARED_COMMITS)
        commits = [repository.commits[found.places[index]] for index in page.places]
        return self.site.json(self.shapes.comparison(repository, (base, head), found, commits), 200, page.headers())

    # Issues, deployments, releases.

    def issues(self, request: Request, repository: Repository) -> Response:
        """List issues and pull requests by state and time of the last change, the newest first."""
        arguments = request.args
        state = arguments.get('state', 'open')
        since = time_of(arguments['since']) if 'since' in arguments else None
        both: list[Issue | Pull] = [*repository.issues, *repository.pulls.values()]
        rows = [
            row
            for row in both
            if state in ('all', 'closed' if row.closed else 'open') and (since is None or row.updated_at >= since)
        ]
        key = {'updated': lambda row: row.updated_at}.get(arguments.get('sort', ''), lambda row: row.created_at)
        rows.sort(key=lambda row: (key(row), row.number), reverse=arguments.get('direction', 'desc') == 'desc')
        return self._list(request, rows, partial(self.shapes.issue, repository))

    def deployments(self, request: Request, repository: Repository) -> Response:
        """List deployments by environment, commit and task, the newest first."""
        arguments = request.args
        rows = [
            row
            for row in repository.deployments
            if arguments.get('environment') in (None, row.environment)
            and arguments.get('sha') in (None, row.commit.oid)
            and arguments.get('task') in (None, row.task)
        ]
        rows.sort(key=lambda row: row.created_at, reverse=True)
        return self._list(request, rows, partial(self.shapes.deployment, repository))

    def deployment_statuses(self, request: Request, repository: Repository, number: int) -> Response:
        """List the statuses of a deployment, the newest first."""
        found = next((row for row in repository.deployments if row.number == number), None)
        if found is None:
            raise Refused(404, 'Not Found')
        rows = list(enumerate(found.statuses))[::-1]
        return self._list(request, rows, lambda row: self.shapes.deployment_status(repository, found, *row))

    def releases(self, request: Request, repository: Repository) -> Response:
        """List releases, the newest first."""
        rows = sorted(enumerate(repository.releases), key=lambda row: row[1].created_at, reverse=True)
        return self._list(request, rows, lambda row: self.shapes.release(repository, *row))

    # Pull requests.

    def pulls(self, request: Request, repository: Repository) -> Response:
        """List pull requests by state and base branch; open ones, the newest first, unless told otherwise."""
        arguments = request.args
        state = arguments.get('state', 'open')
        rows = [
            pull
            for pull in repository.pulls.values()
            if state in ('all', 'open' if pull.state == 'OPEN' else 'closed')
            and arguments.get('base') in (None, pull.base_ref_name)
        ]
        sort = arguments.get('sort', 'created')
        key = {'updated': lambda pull: pull.updated_at}.get(sort, lambda pull: pull.created_at)
        descending = (
            arguments.get('direction', 'asc' if 'sort' in arguments and sort != 'created' else 'desc') == 'desc'
        )
        rows.sort(key=lambda pull: (key(pull), pull.number), reverse=descending)
        return self._list(request, rows, self.shapes.pull)

    @staticmethod
    def _find_pull(repository: Repository, number: int) -> Any:
        if number not in repository.pulls:
            raise Refused(404, 'Not Found')
        return repository.pulls[number]

    def pull(self, _: Request, repository: Repository, number: int) -> Response:
        """Return a pull request with its sums."""
        return self.site.json(self.shapes.pull(self._find_pull(repository, number), alone=True))

    def reviews(self, request: Request, repository: Repository, number: int) -> Response:
        """List the reviews of a pull request."""
        pull = self._find_pull(repository, number)
        return self._list(request, pull.reviews, lambda review: self.shapes.review(pull, review))

    def files(self, request: Request, repository: Repository, number: int) -> Response:
        """List the changed files of a pull request, at most 3,000."""
        return self._list(request, self._find_pull(repository, number).files[:MAX_FILES], self.shapes.file)

    def pull_commits(self, request: Request, repository: Repository, number: int) -> Response:
        """List the commits of a pull request."""
        commits = self._find_pull(repository, number).commits
        return self._list(request, commits, lambda commit: self.shapes.commit(repository, commit))

    def timeline(self, request: Request, repository: Repository, number: int) -> Response:
        """List the events of a pull request."""
        return self._list(request, self._find_pull(repository, number).timeline, self.shapes.event)


class Forbidden(Refused):
    """A fine-grained token or an App lacks a permission."""

    def __init__(self, permission: str) -> None:
        headers = {'X-Accepted-GitHub-Permissions': f'{permission}=read'}
        super().__init__(403, 'Resource not accessible by personal access token', headers)

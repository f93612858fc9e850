"""The GitHub stand-in. See data.py for what it holds; the options of GitHubService say what it can be told to do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from werkzeug.wrappers import Request, Response

from ..clock import Clock
from ..organisation import Organisation
from ..server import Figure, Service
from . import life, truth, truth_optional
from .access import APP_ID, INSTALLATION_ID, App, Bucket, Refused
from .data import LARGE, SMALL, TINY, Sizes, build, side_repositories
from .graphql import GraphQL
from .model import Pull, Repository, Run
from .people import People
from .rest import Forbidden, Rest
from .shapes import Shapes, time

TOKEN = 'github_pat_sandbox'
DOCUMENTATION = 'https://docs.github.com/rest'
# The large repository once had another name.
FORMER_NAME = 'metta-legacy'
REQUIRED_WORKFLOWS = ('tests', 'lint')
HEAVY = {
    'message': 'Something went wrong while executing your query. This may be the result of a timeout, or it could be a '
    'GitHub bug. Please include `SAND:BOX` when reporting this issue.'
}


class GitHubService(Service):
    """REST and GraphQL over the organisation's repositories.

    Options of size: `scale` multiplies all; `history` (runs of the repository's life), `runs_in_window`, `prs` (merged
    or closed ones updated in the window), `past_prs`, `open_prs`, `commits`, `branches` are those of the large
    repository alone; `burst` runs within an hour, `burst_second` runs within a second, `workflow_names` more names of
    workflows, `largest_pr` files of one pull request; `more_repositories` tiny ones.

    Options of manner: `token`; `ghes` (paths of an Enterprise Server, no limits); `api_version` False: the server does
    not know the version header; `missing_fields`: `Type.field`s its schema lacks; `required_workflows`: of the instance
    and of the truth; `capped_totals`: counts of filtered runs stop at 1,000; `limit`: requests and points per hour.

    Switches to be set at any time: see the attributes.
    """

    name = 'github'

    def __init__(
        self,
        organisation: Organisation,
        clock: Clock,
        *,
        scale: float = 1.0,
        history: int | None = None,
        runs_in_window: int | None = None,
        prs: int | None = None,
        past_prs: int | None = None,
        open_prs: int | None = None,
        commits: int | None = None,
        branches: int | None = None,
        burst: int = 0,
        burst_second: int = 0,
        workflow_names: int = 0,
        largest_pr: int = 0,
        more_repositories: int = 0,
        token: str = TOKEN,
        ghes: bool = False,
        api_version: bool = True,
        missing_fields: Iterable[str] = (),
        required_workflows: Iterable[str] = REQUIRED_WORKFLOWS,
        capped_totals: bool = False,
        limit: int = 5_000,
    ) -> None:
        super().__init__(organisation, clock)
        self.token = token
        self.ghes = ghes
        self.knows_api_version = api_version
        self.required_workflows = tuple(required_workflows)
        self.app = App()
        self.people = People(organisation)

        # Switches.
        self.capped_totals = capped_totals
        # Runs of a page do not come newest first.
        self.swapped_runs = False
        # Permissions that the credentials lack: metadata, contents, pull_requests, actions, issues, merge_queues, ...
        self.denied: set[str] = set()
        # Largest page per connection type (`nodes`: ids) that GraphQL manages in time, and how it says so otherwise:
        # an HTTP status, or the `type` of an error.
        self.heavy: dict[str, int] = {}
        self.heavy_answer: int | str = 502
        # Numbers of pull requests whose list of files is null.
        self.unlisted_files: set[int] = set()
        # Status of answers that say that GraphQL points are used up: 200 or 403.
        self.rate_limited_status = 200
        # Secondary limit: None, or {'status': 403 | 429, 'retry_after': seconds | None, 'times': number | None}.
        self.secondary: dict[str, Any] | None = None

        self._buckets = {resource: Bucket(resource, limit) for resource in ('core', 'graphql')}
        self._quarters = 0
        self._start = clock.now()
        large = self._sizes(LARGE.scaled(scale), history, runs_in_window, prs, past_prs, open_prs, commits, branches)
        large = replace(
            large, burst=burst, burst_second=burst_second, workflow_names=workflow_names, largest=largest_pr
        )
        now = clock.now()
        small = SMALL.scaled(scale)
        self.metta, self._makers = build(organisation, self.people, 'metta', 1_001, 'main', large, now)
        self.infra, infra_makers = build(organisation, self.people, 'infra', 1_002, 'master', small, now)
        # What makes more of a repository, by its name.
        self.makers = {'metta': self._makers, 'infra': infra_makers}
        more = [
            build(organisation, self.people, f'service-{index:03d}', 2_000 + index, 'main', TINY, now)[0]
            for index in range(more_repositories)
        ]
        self.repositories = [self.metta, self.infra, *more, *side_repositories(organisation, self.people, now)]
        self.renamed = {f'{organisation.name}/{FORMER_NAME}'.lower(): self.metta}
        self.graphql = GraphQL(self, tuple(missing_fields))
        self.rest = Rest(self)
        self._shapes: Shapes | None = None

    @staticmethod
    def _sizes(
        sizes: Sizes,
        history: int | None,
        runs: int | None,
        prs: int | None,
        past_prs: int | None,
        open_prs: int | None,
        commits: int | None,
        branches: int | None,
    ) -> Sizes:
        """Sizes with what was asked for in numbers."""
        if prs is not None:
            touched = sizes.merged + sizes.closed + sizes.touched
            merged, closed = (round(prs * part / touched) for part in (sizes.merged, sizes.closed))
            sizes = replace(sizes, merged=merged, closed=closed, touched=prs - merged - closed)
        lifetime = sizes.runs + sizes.past_runs if history is None else history
        numbers = {
            'runs': runs,
            'past_pulls': past_prs,
            'open': open_prs,
            'commits': commits,
            'branches': branches,
        }
        sizes = replace(sizes, **{name: number for name, number in numbers.items() if number is not None})
        return replace(sizes, past_runs=max(0, lifetime - sizes.runs))

    # Addresses.

    @property
    def api_url(self) -> str:
        """The REST base address, as option `api_url` wants it."""
        return f'{self.url}/api/v3' if self.ghes else self.url

    @property
    def shapes(self) -> Shapes:
        """The JSON of this server, whose address is known only when it is served."""
        if self._shapes is None:
            self._shapes = Shapes(self.api_url, self.url)
        return self._shapes

    def instance(self) -> dict[str, Any]:
        return {
            'source': 'github',
            'api_url': self.api_url,
            'token': self.token,
            'repositories': [self.metta.name_with_owner, self.infra.name_with_owner],
            'required_workflows': list(self.required_workflows),
        }

    def app_instance(self) -> dict[str, Any]:
        """An instance that reads this service as a GitHub App does."""
        instance = self.instance()
        del instance['token']
        return {
            **instance,
            'app_id': APP_ID,
            'app_installation_id': INSTALLATION_ID,
            'app_private_key': self.app.private_key,
        }

    # Finding things.

    def find(self, owner: str, name: str, *, follow: bool = True) -> Repository | None:
        """A repository by its name, or (`follow`) by a former one; GitHub does not care for case."""
        slug = f'{owner}/{name}'.lower()
        found = next((row for row in self.repositories if row.name_with_owner.lower() == slug), None)
        return found or (self.renamed.get(slug) if follow else None)

    def by_id(self, database_id: int) -> Repository | None:
        """A repository by its number."""
        return next((row for row in self.repositories if row.database_id == database_id), None)

    def node(self, identity: str) -> Pull | Repository | None:
        """A pull request or repository by its global id."""
        if identity.startswith('PR_kwDO') and identity[7:].isdigit():
            repository = self.by_id(int(identity[7:13]))
            return repository.pulls.get(int(identity[13:])) if repository else None
        return next((row for row in self.repositories if row.id == identity), None)

    # Limits.

    def bucket(self, resource: str) -> Bucket | None:
        """The limit of a resource in the present hour; None where the server has none."""
        return None if self.ghes else self._buckets[resource].open(self.clock.now())

    def exhaust(self, resource: str, remaining: int = 0) -> None:
        """Use up a limit until its reset."""
        self.bucket(resource).exhaust(remaining)

    # Answering.

    def answer(self, request: Request) -> Response:
        prefix = '/api/v3' if self.ghes else ''
        is_graphql = request.path == ('/api/graphql' if self.ghes else '/graphql')
        try:
            if not is_graphql and not request.path.startswith(f'{prefix}/'):
                raise Refused(404, 'Not Found')
            response = self._answer(request, request.path.removeprefix(prefix), is_graphql=is_graphql)
        except Refused as error:
            response = self._refusal(error)
        bucket = self.bucket('graphql' if is_graphql else 'core')
        if bucket is not None and response.status_code != 401:
            response.headers.update(bucket.headers())
        return response

    def _answer(self, request: Request, path: str, *, is_graphql: bool) -> Response:
        self._check_version(request)
        if path == f'/app/installations/{INSTALLATION_ID}/access_tokens' and request.method == 'POST':
            return self._access_token(request)
        self._authenticate(request)
        if path == '/rate_limit':
            return self._rate_limit()
        if (response := self._secondary_limit()) is not None:
            return response
        return self._graphql(request) if is_graphql else self._core(request, path)

    def _refusal(self, error: Refused) -> Response:
        body = {'message': error.message, 'documentation_url': DOCUMENTATION, 'status': str(error.status)}
        return self.json(body, error.status, error.headers if isinstance(error, Forbidden) else None)

    def _check_version(self, request: Request) -> None:
        version = request.headers.get('X-GitHub-Api-Version')
        if version is not None and not self.knows_api_version:
            raise Refused(400, f'Invalid request: the header X-GitHub-Api-Version {version} is not supported')

    def _credentials(self, request: Request) -> str:
        scheme, _, secret = request.headers.get('Authorization', '').partition(' ')
        return secret if scheme.lower() in ('bearer', 'token') else ''

    def _authenticate(self, request: Request) -> None:
        secret = self._credentials(request)
        if not secret:
            raise Refused(401, 'Requires authentication')
        if secret != self.token and not self.app.knows(secret, self.clock.now()):
            raise Refused(401, 'Bad credentials')

    def _access_token(self, request: Request) -> Response:
        self.app.verify(self._credentials(request))
        token, expires = self.app.issue(self.clock.now())
        permissions = {'actions': 'read', 'contents': 'read', 'metadata': 'read', 'pull_requests': 'read'}
        body = {
            'token': token,
            'expires_at': time(expires),
            'permissions': permissions,
            'repository_selection': 'all',
        }
        return self.json(body, 201)

    def _rate_limit(self) -> Response:
        if self.ghes:
            return self._refusal(Refused(404, 'Rate limiting is not enabled.'))
        resources = {name: self.bucket(name).document() for name in self._buckets}
        return self.json({'resources': resources, 'rate': resources['core']})

    def _secondary_limit(self) -> Response | None:
        if self.secondary is None or self.secondary.get('times') == 0:
            return None
        if self.secondary.get('times') is not None:
            self.secondary['times'] -= 1
        seconds = self.secondary.get('retry_after')
        message = 'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.'
        body = {'message': message, 'documentation_url': f'{DOCUMENTATION}/overview/rate-limits'}
        headers = {} if seconds is None else {'Retry-After': str(seconds)}
        return self.json(body, self.secondary.get('status', 403), headers)

    def _core(self, request: Request, path: str) -> Response:
        bucket = self.bucket('core')
        if bucket is not None and not bucket.remaining:
            raise Refused(403, 'API rate limit exceeded for user ID 1.')
        response = self.rest.answer(request, path)
        if response.status_code == 200:
            etag = f'W/"{hashlib.sha256(response.get_data()).hexdigest()}"'
            if request.headers.get('If-None-Match') == etag:
                # A confirmed answer is free.
                return Response(status=304, headers={'ETag': etag})
            response.headers['ETag'] = etag
        if bucket is not None:
            bucket.take(1)
        return response

    def _graphql(self, request: Request) -> Response:
        if request.method != 'POST':
            raise Refused(405, 'Method Not Allowed')
        try:
            body = json.loads(request.get_data(as_text=True))
            text, variables = body['query'], body.get('variables') or {}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Refused(400, 'Problems parsing JSON') from None
        name = body.get('operationName')
        document, operation, price, errors = self.graphql.prepare(text, variables, name)
        if errors or document is None or operation is None:
            return self.json({'errors': errors})
        bucket = self.bucket('graphql')
        if bucket is not None and not bucket.take(price.points):
            bucket.exhaust()
            error = {'type': 'RATE_LIMITED', 'message': 'API rate limit exceeded for user ID 1.'}
            return self.json({'errors': [error]}, self.rate_limited_status)
        if any(price.pages.get(kind, 0) > largest for kind, largest in self.heavy.items()):
            return self._too_heavy()
        return self.json(self.graphql.execute(document, price, variables, name))

    def _too_heavy(self) -> Response:
        if isinstance(self.heavy_answer, int):
            return self.json({'data': None, 'errors': [HEAVY]}, self.heavy_answer)
        error = HEAVY
        if self.heavy_answer != 'something went wrong':
            error = {'type': self.heavy_answer, 'message': 'Resource limits for this query exceeded.'}
        return self.json({'data': None, 'errors': [error]})

    # Time.

    def pass_time(self, seconds: float) -> None:
        """Ages move; with every full quarter of an hour since the start things happen (see life.py)."""
        self.clock.advance(seconds)
        passed = int((self.clock.now() - self._start) / life.QUARTER)
        for quarter in range(self._quarters + 1, passed + 1):
            life.quarter(self.metta, self._makers, self._start + quarter * life.QUARTER)
        self._quarters = max(self._quarters, passed)

    def rerun(self, age_hours: float) -> Run:
        """Run the youngest failed run that is at least so old again, with success. Returns it."""
        now = self.clock.now()
        latest = now - timedelta(hours=age_hours)
        run = next(run for run in self.metta.runs.recent if run.created_at <= latest and run.conclusion == 'failure')
        life.rerun(run, now)
        return run

    # Truth.

    def truth(self, now: datetime) -> Iterable[Figure]:
        for repository in (self.metta, self.infra):
            yield from truth.figures(repository, now, self.required_workflows)

    def optional_truth(self, now: datetime, hotfix_labels: Iterable[str] = ()) -> Iterable[Figure]:
        """The true figures that only options of the check switch on: deployments, runners, labels of hotfixes."""
        for repository in (self.metta, self.infra):
            yield from truth_optional.figures(repository, now, frozenset(hotfix_labels))

    def truth_of(self, name: str, now: datetime | None = None) -> Mapping[tuple[str, tuple[str, ...]], float]:
        """The true figures of one repository, by name and tags without the base tags."""
        repository = self.find(self.organisation.name, name)
        rows = truth.figures(repository, now or self.clock.now(), self.required_workflows)
        base = truth.base_tags(repository)
        return {(row.name, tuple(tag for tag in row.tags if tag not in base)): row.value for row in rows}

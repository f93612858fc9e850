"""The GitHub service: authentication, limits, both APIs, time and truth."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from werkzeug.wrappers import Request, Response

from metta_checks.testing import Clock

from ..organization import Organization
from ..server import Figure
from . import life, truth, truth_optional
from .access import APP_ID, INSTALLATION_ID, App, Refused
from .graphql import GraphQL
from .model import Run
from .options import GitHubOptions
from .rest import Rest
from .shapes import ORGANIZATION_ID, time
from .site import RESOURCES, Site

SSO_REQUIRED = 'required'
SSO_PARTIAL = 'partial-results'
SSO_MESSAGE = (
    'Resource protected by organization SAML enforcement. You must grant your Personal Access token access to this '
    'organization.'
)
DOCUMENTATION = 'https://docs.github.com/rest'
HEAVY = {
    'message': 'Something went wrong while executing your query. This may be the result of a timeout, or it could be a '
    'GitHub bug. Please include `SAND:BOX` when reporting this issue.'
}


class GitHubService(Site):
    """REST and GraphQL over the repositories of a site, for clients with its token or its App's key.

    Attributes:
        heavy: largest page that GraphQL answers in time, by connection type (`nodes`: number of ids)
        heavy_answer: how it refuses a larger one: an HTTP status, the `type` of an error, or `something went wrong`
        rate_limit_error, rate_limit_status, rate_limit_retry_after, secondary: see the options
    """

    name = 'github'
    options_type = GitHubOptions

    def __init__(self, organization: Organization, clock: Clock, options: GitHubOptions) -> None:
        super().__init__(organization, clock, options)
        self.token = options.token
        self.as_app = options.as_app
        self.knows_api_version = options.api_version
        self.required_workflows = tuple(options.required_workflows)
        self.app = App()
        self.heavy: dict[str, int] = {}
        self.heavy_answer: int | str = 502
        self.rate_limit_error = options.rate_limit_error
        self.rate_limit_status = options.rate_limit_status
        self.rate_limit_retry_after = options.rate_limit_retry_after
        self.secondary: dict[str, Any] | None = dict(options.secondary) if options.secondary else None
        self.graphql = GraphQL(self, options.missing_fields)
        self.rest = Rest(self)
        self._start = clock.now()
        self._quarters = 0

    def instance(self) -> dict[str, Any]:
        """Return an instance that reads both main repositories."""
        return self.app_instance() if self.as_app else {**self._shared_options(), 'token': self.token}

    def _shared_options(self) -> dict[str, Any]:
        return {
            'source': 'github',
            'api_url': self.api_url,
            'repositories': [self.metta.name_with_owner, self.infra.name_with_owner],
            'required_workflows': list(self.required_workflows),
        }

    def app_instance(self) -> dict[str, Any]:
        """Return an instance that reads this service as a GitHub App."""
        return {
            **self._shared_options(),
            'app_id': APP_ID,
            'app_installation_id': INSTALLATION_ID,
            'app_private_key': self.app.private_key,
        }

    # Answers.

    def answer(self, request: Request) -> Response:
        """Answer with the headers of the rate limit."""
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
        if (response := self._secondary_limit(is_graphql=is_graphql)) is not None:
            return response
        if self.sso == SSO_REQUIRED:
            return self._sso_refusal(is_graphql=is_graphql)
        response = self._graphql(request) if is_graphql else self._core(request, path)
        if self.sso == SSO_PARTIAL and path.startswith('/orgs/'):
            response.headers['X-GitHub-SSO'] = f'{SSO_PARTIAL}; organizations={ORGANIZATION_ID}'
        return response

    def _refusal(self, error: Refused) -> Response:
        body = {'message': error.message, 'documentation_url': DOCUMENTATION, 'status': str(error.status)}
        return self.json(body, error.status, error.headers)

    def _sso_refusal(self, *, is_graphql: bool) -> Response:
        """Refuse a token that nobody has authorized for single sign-on."""
        url = f'{self.url}/orgs/{self.organization.name}/sso?authorization_request=SANDBOX'
        headers = {'X-GitHub-SSO': f'{SSO_REQUIRED}; url={url}'}
        if not is_graphql:
            return self._refusal(Refused(403, SSO_MESSAGE, headers))
        error = {'type': 'FORBIDDEN', 'extensions': {'saml_failure': True}, 'message': SSO_MESSAGE}
        return self.json({'data': None, 'errors': [error]}, 200, headers)

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
        if request.path.endswith('/installation/repositories') and secret == self.token:
            raise Refused(403, 'You must authenticate with an installation access token')

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
        resources = {name: bucket.document() for name in RESOURCES if (bucket := self.bucket(name)) is not None}
        if not resources:
            return self._refusal(Refused(404, 'Rate limiting is not enabled.'))
        return self.json({'resources': resources, 'rate': resources['core']})

    def _secondary_limit(self, *, is_graphql: bool) -> Response | None:
        if self.secondary is None or self.secondary.get('times') == 0:
            return None
        if self.secondary.get('status') == 200 and not is_graphql:
            # Only GraphQL answers 200 to a request that it refuses.
            return None
        if self.secondary.get('times') is not None:
            self.secondary['times'] -= 1
        seconds = self.secondary.get('retry_after')
        message = 'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.'
        body = {'message': message, 'documentation_url': f'{DOCUMENTATION}/overview/rate-limits'}
        headers = {} if seconds is None else {'Retry-After': str(seconds)}
        status = self.secondary.get('status', 403)
        return self.json({'errors': [{'message': message}]} if status == 200 else body, status, headers)

    def _retry_after(self) -> dict[str, str]:
        seconds = self.rate_limit_retry_after
        return {} if seconds is None else {'Retry-After': str(seconds)}

    def _core(self, request: Request, path: str) -> Response:
        bucket = self.bucket('core')
        if bucket is not None and not bucket.remaining:
            status = 429 if self.rate_limit_status == 429 else 403
            raise Refused(status, 'API rate limit exceeded for user ID 1.', self._retry_after())
        response = self.rest.answer(request, path)
        if response.status_code == 200:
            # An ETag belongs to one token: another token gets the full answer.
            secret = self._credentials(request).encode()
            etag = f'W/"{hashlib.sha256(secret + response.get_data()).hexdigest()}"'
            if request.headers.get('If-None-Match') == etag:
                # An answer 304 costs no limit.
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
            error = {'type': self.rate_limit_error, 'message': 'API rate limit exceeded for user ID 1.'}
            if self.rate_limit_error == 'RATE_LIMIT':
                error['code'] = 'graphql_rate_limit'
            return self.json({'errors': [error]}, self.rate_limit_status or 200, self._retry_after())
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
        """Advance the clock. With every full quarter of an hour since the start, events happen (see life.py)."""
        self.clock.advance(seconds)
        passed = int((self.clock.now() - self._start) / life.QUARTER)
        for quarter in range(self._quarters + 1, passed + 1):
            life.quarter(self.metta, self.makers['metta'], self._start + quarter * life.QUARTER)
        self._quarters = max(self._quarters, passed)

    def rerun(self, age_hours: float) -> Run:
        """Run the youngest failed run of at least this age again, with success. Returns it."""
        now = self.clock.now()
        latest = now - timedelta(hours=age_hours)
        run = next(run for run in self.metta.runs.recent if run.created_at <= latest and run.conclusion == 'failure')
        life.rerun(run, now)
        return run

    # Truth.

    def truth(self, now: datetime) -> Iterable[Figure]:
        """Compute the true figures of both main repositories."""
        for repository in (self.metta, self.infra):
            yield from truth.figures(repository, now, self.required_workflows)

    def optional_truth(self, now: datetime, **options: Any) -> Iterable[Figure]:
        """Compute the true figures that these options of the check switch on."""
        for repository in (self.metta, self.infra):
            yield from truth_optional.figures(repository, now, options)
        if options.get('organization_runners'):
            yield from truth_optional.organization_figures(self.organization.name, self.organization_runners)

    def truth_of(self, name: str, now: datetime | None = None) -> Mapping[tuple[str, tuple[str, ...]], float]:
        """Compute the true figures of one repository, by name and tags without the base tags."""
        repository = self.find(self.organization.name, name)
        if repository is None:
            raise KeyError(name)
        rows = truth.figures(repository, now or self.clock.now(), self.required_workflows)
        base = truth.base_tags(repository)
        return {(row.name, tuple(tag for tag in row.tags if tag not in base)): row.value for row in rows}

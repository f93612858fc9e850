"""GitHub: the wiring of client, reader and blocks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from datadog_checks.base import ConfigurationError

from .. import http
from ..blocks import subjects
from ..diagnosis import Finding
from ..errors import SourceError
from ..refresh import Attempt, Event, Refresh
from ..source import Source
from .auth import AppAuth, Auth, Headers, TokenAuth
from .client import Client
from .limits import Refusals
from .optional_blocks import OptionalReader
from .reader import Place, Reader
from .records import Overview, PullRequest
from .settings import Settings

if TYPE_CHECKING:
    from .config_models.instance import InstanceConfig

# How long a list of an organization's repositories is good for.
LIST_SECONDS = 3600
# Asking each repository costs two requests.
PROBED_REPOSITORIES = 5
REMEDIES = {
    'auth': 'check option `token` (or the App options): expired, revoked, or of another server',
    'not_found': 'check the name; GitHub also says "not found" for what the token may not see',
    'unreachable': 'check `api_url`, DNS, proxy and firewall',
    'timeout': 'check the network, or raise option `timeout`',
    'tls': 'check `api_url` and option `tls_ca_cert`',
}


class GitHubCheck(Source['InstanceConfig', dict[str, Any]]):
    """Pull requests, commits, CI and developers of one or more repositories."""

    SOURCE = 'github'
    IDENTITY_OPTIONS = ('api_url', 'organization', 'repositories')
    SECRET_OPTIONS = ('token', 'app_private_key')

    def connect(self) -> None:
        """Build the client and the readers."""
        config = self.config
        self.settings = Settings.of(config)
        refusals = Refusals(self.limits, self.now, reserve_pct=config.rate_limit_reserve_pct)
        headers = Headers(self._auth(refusals))
        self.client = Client(
            self._api(refusals, headers),
            headers,
            refusals,
            self.now,
            bots=self.settings.bots,
            max_requests=config.max_requests,
        )
        self.reader = Reader(self.client, self.settings)
        self.optional_reader = OptionalReader(self.client)

    def _api(self, refusals: Refusals, auth: http.Auth) -> http.Api:
        return self.api(http.Endpoint(self.config.api_url, 'GitHub', auth, refusals, REMEDIES))

    def _auth(self, refusals: Refusals) -> Auth:
        config = self.config
        app = (config.app_id, config.app_installation_id, config.app_private_key)
        if config.token and any(app):
            raise ConfigurationError('set either option `token` or the three App options, not both')
        if config.token:
            return TokenAuth(config.token)
        if not all(app):
            raise ConfigurationError(
                'set option `token`, or all of `app_id`, `app_installation_id` and `app_private_key`'
            )
        auth = AppAuth(
            self._api(refusals, http.NoAuth()),
            str(config.app_id),
            str(config.app_installation_id),
            str(config.app_private_key),
            self.now,
        )
        auth.register_secret = self.register_secret
        return auth

    def begin(self, refresh: Refresh) -> None:
        """Recall what was learned of the server."""
        self.client.learned = refresh.memory.get('learned', {})

    def end(self, refresh: Refresh) -> None:
        """Remember what was learned, and tell of used-up rate limits."""
        refresh.memory['learned'] = self.client.learned
        self._tell_exhaustion(refresh)

    @subjects
    def repositories(self, refresh: Refresh) -> Iterator[Place]:
        """Yield the repositories, the one that has waited longest first.

        When the budget ends early, it is another one's turn next time.
        """
        found = self._repositories(refresh.memory, refresh.now.timestamp())
        slugs = found[: self.config.max_repositories]
        if len(slugs) < len(found):
            message = f'{len(slugs)} of {len(found)} repositories are read (option `max_repositories`)'
            refresh.problem('repository', 'truncated', message)
        refresh.keep_subjects(slugs)
        for slug in sorted(slugs, key=lambda slug: refresh.refreshed_at('repository', slug) or 0):
            remembered = refresh.state('repository', slug) or {}
            owner, name = remembered.get('name', slug).split('/')
            place = Place(slug, owner, name, remembered.get('branch'))
            self.client.begin()
            yield place
            if self.client.points:
                refresh.count('api.points', self.client.points, place.tags)

    @repositories.block()
    def repository(self, attempt: Attempt[None], place: Place) -> Overview:
        """Send the first query, on which pull_requests, commits and files depend."""
        return self.reader.repository(attempt, place)

    @repositories.block(repository)
    def pull_requests(self, attempt: Attempt[None], place: Place, overview: Overview) -> list[PullRequest]:
        """Follow the pull requests; return those merged into the default branch in the window."""
        return self.reader.pull_requests(attempt, overview)

    @repositories.block(repository)
    def commits(self, attempt: Attempt[None], place: Place, overview: Overview) -> None:
        """Follow the commits of the default branch."""
        self.reader.commits(attempt, overview)

    @repositories.block(pull_requests)
    def files(self, attempt: Attempt[None], place: Place, own: list[PullRequest]) -> None:
        """Count the files that merged pull requests change."""
        self.reader.files(attempt, own)

    def knows_branch(self, place: Place, overview: Overview | None) -> bool:
        """Return whether the default branch is known, from this pass or from an earlier one."""
        return overview is not None or place.branch is not None

    @repositories.block(uses=repository, given=knows_branch)
    def activity(self, attempt: Attempt[None], place: Place, overview: Overview | None) -> None:
        """Look for force pushes; the last known branch serves when the first query failed."""
        self.reader.activity(attempt, place)

    @repositories.block(uses=repository)
    def ci(self, attempt: Attempt[None], place: Place, overview: Overview | None) -> None:
        """Follow the workflow runs; the last known branch serves when the first query failed."""
        self.reader.ci(attempt, place, overview)

    def shows_deployments(self) -> bool:
        """Return the option `deployments`."""
        return self.config.deployments

    @repositories.block(when=shows_deployments)
    def deployments(self, attempt: Attempt[None], place: Place) -> None:
        """Read the deployments of the window."""
        self.optional_reader.deployments(attempt, place)

    def shows_runners(self) -> bool:
        """Return the option `runners`."""
        return self.config.runners

    @repositories.block(when=shows_runners)
    def runners(self, attempt: Attempt[None], place: Place) -> None:
        """Read the self-hosted runners."""
        self.optional_reader.runners(attempt, place)

    def _repositories(self, memory: dict[str, Any], now: float) -> list[str]:
        """The repositories to read: the listed ones, or those of the organization that fit. Raises SourceError."""
        if not self.settings.organization:
            return self.settings.select(())
        known_at, known = memory.get('repositories', (0, None))
        if known is None or now - known_at >= LIST_SECONDS:
            try:
                known = [
                    listed.name_with_owner.lower()
                    for listed in self.client.repositories(self.settings.organization)
                    if not listed.inactive
                ]
                memory['repositories'] = (now, known)
            except SourceError as error:
                if known is None:
                    raise
                self.log.warning(
                    '%s: the list of repositories could not be read, using the last one: %s', self.label, error
                )
        return self.settings.select(known)

    def _tell_exhaustion(self, refresh: Refresh) -> None:
        """An event per resource and reset when GitHub has asked to wait."""
        told = refresh.memory.get('told', {})
        now = refresh.now.timestamp()
        closed = {resource: wait for resource, wait in self.limits.dump().items() if wait[0] > now}
        for resource, (until, message) in closed.items():
            if told.get(resource) != until:
                refresh.event(
                    Event(f'GitHub rate limit: {resource}', message, f'github rate limit {resource}', 'warning'), {}
                )
        refresh.memory['told'] = {resource: until for resource, (until, _) in closed.items()}

    def probe(self) -> Iterator[Finding]:
        """The credentials, the rate limits, and what may be read of the first repositories."""
        limits = self.client.rate_limit()
        yield Finding('credentials', 'ok', f'{self.config.api_url} accepts them')
        for resource in ('core', 'graphql'):
            if resource in limits:
                left, most = limits[resource]['remaining'], limits[resource]['limit']
                low = left <= most * self.config.rate_limit_reserve_pct / 100
                yield Finding(f'rate limit {resource}', 'warning' if low else 'ok', f'{left} of {most} left')
        slugs = self._repositories(dict(self.snapshot.memory), self.now().timestamp())
        for slug in slugs[:PROBED_REPOSITORIES]:
            yield from self._probe_repository(slug)

    def _probe_repository(self, slug: str) -> Iterator[Finding]:
        owner, name = slug.split('/')
        now = self.now()
        for part, ask in (
            (
                'contents and pull requests',
                lambda: self.client.overview(owner, name, now.strftime('%Y-%m-%dT%H:%M:%SZ')),
            ),
            ('actions', lambda: self.client.runs(owner, name, now, now, 1)),
        ):
            try:
                ask()
            except SourceError as error:
                yield Finding(f'{slug} {part}', 'fail', str(error), 'give the token or App read access to it')
            else:
                yield Finding(f'{slug} {part}', 'ok', 'readable')

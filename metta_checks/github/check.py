"""GitHub: the wiring of client, reader and blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from typing import TYPE_CHECKING

from datadog_checks.base import ConfigurationError

from ..core import http
from ..core.blocks import subjects
from ..core.diagnosis import Finding
from ..core.errors import SourceError
from ..core.memo import Ages, Learned
from ..core.refresh import Attempt, Event, Refresh
from ..core.source import Source
from ..core.stored import stored
from .auth import AppAuth, Auth, Headers, TokenAuth
from .client import Client, Dialect
from .limits import Refusals
from .optional_blocks import DeploymentHistory, OptionalReader
from .reader import (
    ChangedFiles,
    CommitHistory,
    ForcePushHistory,
    Place,
    PullRequestHistory,
    Reader,
    RepositoryFacts,
    RunHistory,
)
from .records import Overview, PullRequest
from .settings import Settings

if TYPE_CHECKING:
    from .config_models.instance import InstanceConfig

# A list of an organization's repositories; while GitHub fails, an older one serves.
LIST_AGES = Ages(fresh=3600, usable=float('inf'))
# Asking each repository costs two requests.
PROBED_REPOSITORIES = 5
REMEDIES = {
    'auth': 'check option `token` (or the App options): expired, revoked, or of another server',
    'not_found': 'check the name; GitHub also says "not found" for what the token may not see',
    'unreachable': 'check `api_url`, DNS, proxy and firewall',
    'timeout': 'check the network, or raise option `timeout`',
    'tls': 'check `api_url` and option `tls_ca_cert`',
}


@stored
class KnownServer:
    """Findings about the server that concern all repositories of the instance.

    Attributes:
        dialect: the queries that it answers
        repositories: owner/name, in lower case, of the repositories of the organization, without archived and disabled
            ones and forks, read once an hour; None without option `organization`
        told_limits: the reset times of used-up rate limits that an event was sent for, by resource
    """

    dialect: Dialect = field(default_factory=Dialect)
    repositories: Learned[tuple[str, ...]] | None = None
    told_limits: dict[str, float] = field(default_factory=dict)


class GitHubCheck(Source['InstanceConfig', KnownServer]):
    """Pull requests, commits, CI and developers of one or more repositories."""

    SOURCE = 'github'
    MEMORY = KnownServer
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
        self.client.dialect = self.memory.dialect

    def end(self, refresh: Refresh) -> None:
        """Remember what was learned, and tell of used-up rate limits."""
        told = self._tell_exhaustion(refresh, self.memory.told_limits)
        self.memory = replace(self.memory, dialect=self.client.dialect, told_limits=told)

    @subjects
    def repositories(self, refresh: Refresh) -> Iterator[Place]:
        """Yield the repositories, the one that has waited longest first.

        When the budget ends early, it is another one's turn next time.
        """
        if self.settings.organization:
            self.memory = replace(self.memory, repositories=self._repository_list(refresh.now.timestamp()))
        found = self._selected(self.memory.repositories)
        slugs = found[: self.config.max_repositories]
        if len(slugs) < len(found):
            message = f'{len(slugs)} of {len(found)} repositories are read (option `max_repositories`)'
            refresh.problem('repository', 'truncated', message)
        refresh.keep_subjects(slugs)
        for slug in sorted(slugs, key=lambda slug: refresh.refreshed_at('repository', slug) or 0):
            place = Place.of(slug)
            known = refresh.stored(self.repository.key(place), RepositoryFacts)
            if known is not None:
                place.recall(known)
            self.client.begin()
            yield place
            if self.client.points:
                refresh.count('api.points', self.client.points, place.tags)

    @repositories.block(state=RepositoryFacts)
    def repository(self, attempt: Attempt[RepositoryFacts], place: Place) -> Overview:
        """Send the first query, on which pull_requests, commits and files depend."""
        return self.reader.repository(attempt, place)

    @repositories.block(repository, state=PullRequestHistory)
    def pull_requests(
        self, attempt: Attempt[PullRequestHistory], place: Place, overview: Overview
    ) -> list[PullRequest]:
        """Follow the pull requests; return those merged into the default branch in the window."""
        return self.reader.pull_requests(attempt, overview)

    @repositories.block(repository, state=CommitHistory)
    def commits(self, attempt: Attempt[CommitHistory], place: Place, overview: Overview) -> None:
        """Follow the commits of the default branch."""
        self.reader.commits(attempt, overview)

    @repositories.block(pull_requests, state=ChangedFiles)
    def files(self, attempt: Attempt[ChangedFiles], place: Place, own: list[PullRequest]) -> None:
        """Count the files that merged pull requests change."""
        self.reader.files(attempt, own)

    def knows_branch(self, place: Place, overview: Overview | None) -> bool:
        """Return whether the default branch is known, from this pass or from an earlier one."""
        return overview is not None or place.branch is not None

    @repositories.block(uses=repository, given=knows_branch, state=ForcePushHistory)
    def activity(self, attempt: Attempt[ForcePushHistory], place: Place, overview: Overview | None) -> None:
        """Look for force pushes; the last known branch serves when the first query failed."""
        self.reader.activity(attempt, place)

    @repositories.block(uses=repository, state=RunHistory)
    def ci(self, attempt: Attempt[RunHistory], place: Place, overview: Overview | None) -> None:
        """Follow the workflow runs; the last known branch serves when the first query failed."""
        self.reader.ci(attempt, place, overview)

    def shows_deployments(self) -> bool:
        """Return the option `deployments`."""
        return self.config.deployments

    @repositories.block(when=shows_deployments, state=DeploymentHistory)
    def deployments(self, attempt: Attempt[DeploymentHistory], place: Place) -> None:
        """Read the deployments of the window."""
        self.optional_reader.deployments(attempt, place)

    def shows_runners(self) -> bool:
        """Return the option `runners`."""
        return self.config.runners

    @repositories.block(when=shows_runners)
    def runners(self, attempt: Attempt[None], place: Place) -> None:
        """Read the self-hosted runners."""
        self.optional_reader.runners(attempt, place)

    def _selected(self, listed: Learned[tuple[str, ...]] | None) -> list[str]:
        """The repositories to read: the listed ones of the configuration, and those of the organization that fit."""
        return self.settings.select(listed.value if listed is not None else ())

    def _repository_list(self, now: float) -> Learned[tuple[str, ...]]:
        """The repositories of the organization; the known ones while they are fresh, or when GitHub fails.

        Raises SourceError when it fails and none are known.
        """
        known = self.memory.repositories
        if known is not None and known.is_fresh(now, LIST_AGES):
            return known
        try:
            listed = list(self.client.repositories(self.settings.organization))
        except SourceError as error:
            if known is None:
                raise
            self.log.warning(
                '%s: the list of repositories could not be read, using the last one: %s', self.label, error
            )
            return known
        return Learned(tuple(one.name_with_owner.lower() for one in listed if not one.inactive), now)

    def _tell_exhaustion(self, refresh: Refresh, told: Mapping[str, float]) -> dict[str, float]:
        """Send an event per resource and reset when GitHub has asked to wait; return the resets told of."""
        now = refresh.now.timestamp()
        closed = {resource: wait for resource, wait in self.limits.dump().items() if wait[0] > now}
        for resource, (until, message) in closed.items():
            if told.get(resource) != until:
                refresh.event(
                    Event(f'GitHub rate limit: {resource}', message, f'github rate limit {resource}', 'warning'), {}
                )
        return {resource: until for resource, (until, _) in closed.items()}

    def probe(self) -> Iterator[Finding]:
        """The credentials, the rate limits, and what may be read of the first repositories."""
        limits = self.client.rate_limit()
        yield Finding('credentials', 'ok', f'{self.config.api_url} accepts them')
        for resource in ('core', 'graphql'):
            if resource in limits:
                left, most = limits[resource]['remaining'], limits[resource]['limit']
                low = left <= most * self.config.rate_limit_reserve_pct / 100
                yield Finding(f'rate limit {resource}', 'warning' if low else 'ok', f'{left} of {most} left')
        listed = self._repository_list(self.now().timestamp()) if self.settings.organization else None
        slugs = self._selected(listed)
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

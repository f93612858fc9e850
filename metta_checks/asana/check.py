"""The wiring of source `asana`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from datadog_checks.base import ConfigurationError

from ..core.blocks import Stored, block
from ..core.diagnosis import Finding
from ..core.errors import Forbidden, NotFound
from ..core.http import BearerAuth, Endpoint
from ..core.memo import Ages, Learned, fingerprint
from ..core.refresh import Attempt
from ..core.source import Source
from ..core.stored import stored
from . import measures
from .client import Client, OffsetExpired, PaymentRequired, Refusals
from .measures import BugSections
from .records import Bug, Project, milliseconds
from .settings import AGENT_DEFAULT_SECONDS, Settings, allowance
from .table import KnownTasks
from .tracker import CountProgress, Tracker

if TYPE_CHECKING:
    from .config_models.instance import InstanceConfig

# Unless an option says another: several lists "may time out for large domains", says Asana's documentation.
READ_TIMEOUT = 30.0
DAY_SECONDS = 86_400
# How long it is believed that a free workspace has no search. A paid one proves its plan with every search.
PLAN_AGES = Ages(fresh=DAY_SECONDS, usable=DAY_SECONDS)
REMEDIES = {
    'auth': 'option `access_token` was rejected; create a new personal access token (https://app.asana.com/0/my-apps) '
    'or service account',
    'permission': 'the user or service account of option `access_token` must be a member, with the scopes '
    '`tasks:read` and `projects:read`',
    'not_found': 'check the gid; Asana also says "not found" for what the token may not see',
    'unreachable': 'check option `api_url`, DNS and the proxy options',
    'tls': 'check the options `tls_verify` and `tls_ca_cert`',
    'timeout': 'a later run tries again; option `read_timeout` gives Asana more time',
}


@stored
class Listing:
    """The projects of the workspace, whose tasks are followed.

    Attributes:
        gids: those of all projects that are not archived
        names: by gid, of the projects in option `projects`
    """

    gids: tuple[str, ...]
    names: dict[str, str]


@stored
class Known:
    """Facts about the token and the workspace that are asked for once.

    Attributes:
        introduced: fingerprint of the token that sees the workspace
        paid: whether the plan of the workspace is a paid one, which has search
    """

    introduced: str = ''
    paid: Learned[bool] | None = None


class AsanaCheck(Source['InstanceConfig', Known]):
    """Tasks, projects and bugs of one workspace."""

    SOURCE = 'asana'
    MEMORY = Known
    IDENTITY_OPTIONS = ('workspace_gid', 'bugs_project_gid', 'api_url')
    SECRET_OPTIONS = ('access_token',)
    # A crawl that goes on must not bring the lists of projects and bugs along.
    RESUME_ALONE = True

    def connect(self) -> None:
        """Build the client."""
        config = self.config
        if not config.access_token:
            raise ConfigurationError('option `access_token` is empty')
        self.settings = Settings.of(config)
        endpoint = Endpoint(
            config.api_url,
            'Asana',
            auth=BearerAuth(config.access_token),
            policy=Refusals(),
            remedies=REMEDIES,
            read_timeout=self.read_timeout(READ_TIMEOUT),
        )
        self.client = Client(self.api(endpoint), self.settings)
        self.tracker = Tracker(self.client, self.settings, config.workspace_gid)

    def request_budget(self) -> int:
        """80 % of what the plan allows in a minute, or option `requests_per_run`."""
        if self.config.requests_per_run:
            return self.config.requests_per_run
        return allowance(bool(self._paid()), self.instance.get('min_collection_interval') or AGENT_DEFAULT_SECONDS)

    # Blocks.

    @block(state=Listing)
    def projects(self, attempt: Attempt[Listing]) -> None:
        """List the projects of the workspace."""
        self._introduce()
        listed: list[Project] = []
        unreadable = 0
        for page in self.client.projects(self.config.workspace_gid):
            listed += page.rows
            unreadable += page.unreadable
        attempt.emit(measures.projects(listed, attempt.now, self.settings.zone))
        for status, number in sorted(measures.unknown_statuses(listed).items()):
            have = 'project has' if number == 1 else 'projects have'
            attempt.problem('unknown_status', f'{number} {have} the unknown status {status[:40]!r}: counted in none')
        if unreadable:
            attempt.problem('bad_payload', f'{unreadable} projects could not be read: left out')
        if not listed:
            attempt.problem('not_found', 'the token sees no project in this workspace; is its user a member of any?')
        names = {project.gid: project.name for project in listed}
        if missing := [gid for gid in self.settings.projects if gid not in names]:
            attempt.problem(
                'not_found',
                f'option `projects`: {", ".join(missing)}: no such project in the workspace, or it is archived, or the '
                'token does not see it',
            )
        attempt.state = Listing(
            gids=tuple(names),
            names={gid: names[gid] for gid in self.settings.projects if gid in names},
        )

    def has_bugs_project(self) -> bool:
        """Return whether option `bugs_project_gid` is set."""
        return bool(self.config.bugs_project_gid)

    @block(when=has_bugs_project, state=BugSections)
    def bugs(self, attempt: Attempt[BugSections]) -> None:
        """Read the bugs of the Bugs project."""
        gid = str(self.config.bugs_project_gid)
        bugs = list(self._read_bugs(attempt, gid).values())
        attempt.emit(measures.bugs(bugs, attempt.now, self.settings.section_of))
        if self.settings.started_sections:
            # Under another map, nobody has seen anybody move.
            section_map = str(self.config.section_map)
            before = attempt.state
            known = before.bugs if before is not None and before.section_map == section_map else None
            standing = measures.standing(bugs, known, attempt.now, self.settings.section_of)
            attempt.emit(measures.section_time(standing, attempt.now))
            attempt.state = BugSections(section_map, standing)

    def _read_bugs(self, attempt: Attempt[BugSections], gid: str) -> dict[str, Bug]:
        since = milliseconds(attempt.now) - measures.MONTH_DAYS * measures.DAY
        try:
            try:
                pages = list(self.client.bugs(gid, since))
            except OffsetExpired:
                pages = list(self.client.bugs(gid, since))
        except (Forbidden, NotFound) as error:
            raise type(error)(
                f'the Bugs project {gid} cannot be read ({error.reason}): check option `bugs_project_gid`, and that '
                'the user of option `access_token` is a member of the project',
                reason=error.reason,
            ) from error
        if unreadable := sum(page.unreadable for page in pages):
            attempt.problem('bad_payload', f'{unreadable} bugs could not be read: left out')
        return {one: bug for page in pages for one, bug in page.rows if bug is not None}

    def tasks_interval(self) -> float:
        """Return the interval of a crawl on a free plan; on a paid one, tasks are looked at in every refresh."""
        return self.config.free_crawl_interval if self._paid() is False else 0.0

    @block(Stored(projects), every=tasks_interval, state=KnownTasks)
    def tasks(self, attempt: Attempt[KnownTasks], listed: Listing) -> None:
        """Follow the tasks of all projects."""
        paid = self._learn_plan(attempt.now)
        try:
            tracked = self.tracker.track(attempt, listed.gids, search=paid, interval=self._crawl_interval(paid))
        except PaymentRequired:
            self._remember_plan(attempt.now, paid=False)
            interval = self._crawl_interval(paid=False)
            tracked = self.tracker.track(attempt, listed.gids, search=False, interval=interval, afresh=True)
        zone = self.settings.zone
        started = tracked.started if self.settings.from_start else None
        attempt.emit(measures.tasks(tracked.tasks, attempt.now, zone, started=started))
        if self.settings.started_sections:
            attempt.emit(measures.in_progress(tracked.tasks))
        if self.settings.blocked:
            attempt.emit(measures.blocked(tracked.tasks))
        names = {gid: listed.names[gid] for gid in self.settings.projects if gid in listed.names}
        attempt.emit(measures.single_projects(tracked.tasks, names, attempt.now, zone))

    def counts_all_tasks(self) -> bool:
        """Return the option `tasks_total`."""
        return self.config.tasks_total

    def total_interval(self) -> float:
        """Return the interval of counting all tasks: a day."""
        return DAY_SECONDS

    @block(Stored(projects), every=total_interval, when=counts_all_tasks, state=CountProgress)
    def tasks_total(self, attempt: Attempt[CountProgress], listed: Listing) -> None:
        """Count all tasks that there ever were."""
        attempt.emit(measures.total(self.tracker.count(attempt, listed.gids)))

    # What is learnt once and remembered.

    def _introduce(self) -> None:
        """Ask once per token whom it belongs to, for the clearest errors. Raises Unauthorized, NotFound."""
        token = fingerprint(self.config.access_token)
        if self.memory.introduced == token:
            return
        try:
            workspaces = self.client.me().workspaces
        except Forbidden as error:
            # A token without the scope users:read can do all the rest.
            self.log.info('%s: the token may not be asked whom it belongs to: %s', self.label, error)
            workspaces = None
        if workspaces is not None and self.config.workspace_gid not in workspaces:
            seen = ', '.join(f'{gid} ({name})' for gid, name in workspaces.items()) or 'none'
            raise NotFound(
                f'option `workspace_gid`: the token does not see workspace {self.config.workspace_gid}; it sees: {seen}'
            )
        self.memory = replace(self.memory, introduced=token)

    def _paid(self) -> bool | None:
        """Whether the workspace has search, None while that is unknown."""
        paid = self.memory.paid
        return paid.value if paid is not None else None

    def _learn_plan(self, now: datetime) -> bool:
        known = self.memory.paid
        if known is not None and (known.value or known.is_fresh(now.timestamp(), PLAN_AGES)):
            return known.value
        paid = self.client.can_search(self.config.workspace_gid, now)
        self._remember_plan(now, paid=paid)
        return paid

    def _remember_plan(self, now: datetime, *, paid: bool) -> None:
        self.memory = replace(self.memory, paid=Learned(paid, now.timestamp()))
        self.budget.cap(self.request_budget())

    def _crawl_interval(self, paid: bool) -> float:
        return self.config.resync_interval if paid else self.config.free_crawl_interval

    def probe(self) -> Iterator[Finding]:
        """Token, workspace, Bugs project and plan: at most four requests."""
        workspace = self.config.workspace_gid
        me = self.client.me()
        yield Finding('credentials', 'ok', f'Asana accepts the token of {me.name}')
        if me.workspaces is not None and workspace not in me.workspaces:
            seen = ', '.join(f'{gid} ({name})' for gid, name in me.workspaces.items()) or 'none'
            yield Finding(
                'workspace',
                'fail',
                f'the token does not see workspace {workspace}',
                f'it sees: {seen}; correct the option',
            )
            return
        first = next(self.client.projects(workspace))
        number = f'at least {len(first.rows)}' if first.cursor else str(len(first.rows))
        yield Finding('projects', 'ok' if first.rows else 'warning', f'{number} projects are visible')
        if self.config.bugs_project_gid:
            yield self._probe_bugs(self.config.bugs_project_gid)
        if self.client.can_search(workspace, self.now()):
            yield Finding('plan', 'ok', 'paid: changes are found by search, 1 or 2 requests per refresh')
        else:
            seconds = self.config.free_crawl_interval
            yield Finding('plan', 'ok', f'free: no search, all tasks are read every {seconds} s')

    def _probe_bugs(self, gid: str) -> Finding:
        try:
            self.client.readable(gid)
        except (Forbidden, NotFound) as error:
            return Finding(
                'Bugs project',
                'fail',
                str(error),
                'check option `bugs_project_gid`; the user of the token must be a member of the project',
            )
        return Finding('Bugs project', 'ok', f'{gid} is readable')

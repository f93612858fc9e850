"""The wiring of source `asana`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from datadog_checks.base import ConfigurationError

from ..diagnosis import Finding
from ..errors import Forbidden, NotFound
from ..http import BearerAuth, Endpoint
from ..refresh import Block, Refresh, need
from ..source import Source
from . import measures
from .client import Client, OffsetExpired, PaymentRequired, Refusals
from .records import Bug, Project, milliseconds
from .settings import AGENT_DEFAULT_SECONDS, Settings, allowance
from .tracker import Tracker

if TYPE_CHECKING:
    from .config_models.instance import InstanceConfig

# Unless an option says another: several lists "may time out for large domains", says Asana's documentation.
READ_TIMEOUT = 30.0
DAY_SECONDS = 86_400
# How long it is believed that a free workspace has no search. A paid one proves its plan with every search.
PLAN_SECONDS = DAY_SECONDS
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


class AsanaCheck(Source['InstanceConfig']):
    """Tasks, projects and bugs of one workspace."""

    SOURCE = 'asana'
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
        paid = (self.snapshot.memory.get('plan') or {}).get('paid', False)
        return allowance(paid, self.instance.get('min_collection_interval') or AGENT_DEFAULT_SECONDS)

    def block_interval(self, name: str) -> float:
        """Free workspaces are crawled more seldom; all tasks are counted once a day."""
        if name == 'tasks' and self._paid() is False:
            return self.config.free_crawl_interval
        return DAY_SECONDS if name == 'tasks_total' else 0.0

    def refresh(self, refresh: Refresh) -> None:
        """Read the lists of projects and bugs, then tasks."""
        known = refresh.state('projects') is not None
        if refresh.due('projects'):
            refresh.attempt('projects', self._projects, refresh.memory)
        # What had to do without the list does not wait for the next full pass.
        unblocked = not known and refresh.state('projects') is not None
        bugs_project = self.config.bugs_project_gid
        if bugs_project and refresh.due('bugs'):
            refresh.attempt('bugs', self._bugs, bugs_project)
        if unblocked or self._due(refresh, 'tasks'):
            refresh.attempt('tasks', self._tasks, refresh)
        if self.config.tasks_total and (unblocked or self._due(refresh, 'tasks_total')):
            refresh.attempt('tasks_total', self._tasks_total, refresh)

    def _due(self, refresh: Refresh, name: str) -> bool:
        return refresh.due(name, every=self.block_interval(name))

    # Blocks.

    def _projects(self, block: Block, memory: dict[str, Any]) -> None:
        self._introduce(memory)
        listed: list[Project] = []
        unreadable = 0
        for page in self.client.projects(self.config.workspace_gid):
            listed += page.rows
            unreadable += page.unreadable
        block.emit(measures.projects(listed, block.now, self.settings.zone))
        for status, number in sorted(measures.unknown_statuses(listed).items()):
            have = 'project has' if number == 1 else 'projects have'
            block.problem('unknown_status', f'{number} {have} the unknown status {status[:40]!r}: counted in none')
        if unreadable:
            block.problem('bad_payload', f'{unreadable} projects could not be read: left out')
        if not listed:
            block.problem('not_found', 'the token sees no project in this workspace; is its user a member of any?')
        names = {project.gid: project.name for project in listed}
        if missing := [gid for gid in self.settings.projects if gid not in names]:
            block.problem(
                'not_found',
                f'option `projects`: {", ".join(missing)}: no such project in the workspace, or it is archived, or the '
                'token does not see it',
            )
        block.state = {
            'gids': list(names),
            'names': {gid: names[gid] for gid in self.settings.projects if gid in names},
        }

    def _bugs(self, block: Block, gid: str) -> None:
        bugs = list(self._read_bugs(block, gid).values())
        block.emit(measures.bugs(bugs, block.now, self.settings.section_of))
        if self.settings.started_sections:
            # Under another map, nobody has seen anybody move.
            section_map = str(self.config.section_map)
            known = None
            if block.state and block.state['section_map'] == section_map:
                known = {bug: measures.Standing(*values) for bug, values in block.state['bugs'].items()}
            standing = measures.standing(bugs, known, block.now, self.settings.section_of)
            block.emit(measures.section_time(standing, block.now))
            block.state = {'section_map': section_map, 'bugs': standing}

    def _read_bugs(self, block: Block, gid: str) -> dict[str, Bug]:
        since = milliseconds(block.now) - measures.MONTH_DAYS * measures.DAY
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
            block.problem('bad_payload', f'{unreadable} bugs could not be read: left out')
        return {one: bug for page in pages for one, bug in page.rows if bug is not None}

    def _tasks(self, block: Block, refresh: Refresh) -> None:
        listed = need(refresh.state('projects'), 'projects')
        paid = self._learn_plan(refresh.memory, block)
        try:
            tracked = self.tracker.track(block, listed['gids'], search=paid, interval=self._crawl_interval(paid))
        except PaymentRequired:
            self._remember_plan(refresh.memory, block, paid=False)
            interval = self._crawl_interval(paid=False)
            tracked = self.tracker.track(block, listed['gids'], search=False, interval=interval, afresh=True)
        zone = self.settings.zone
        started = tracked.started if self.settings.from_start else None
        block.emit(measures.tasks(tracked.tasks, block.now, zone, started=started))
        if self.settings.started_sections:
            block.emit(measures.in_progress(tracked.tasks))
        if self.settings.blocked:
            block.emit(measures.blocked(tracked.tasks))
        names = {gid: listed['names'][gid] for gid in self.settings.projects if gid in listed['names']}
        block.emit(measures.single_projects(tracked.tasks, names, block.now, zone))

    def _tasks_total(self, block: Block, refresh: Refresh) -> None:
        listed = need(refresh.state('projects'), 'projects')
        block.emit(measures.total(self.tracker.count(block, listed['gids'])))

    # What is learnt once and remembered.

    def _introduce(self, memory: dict[str, Any]) -> None:
        """Ask once per token whom it belongs to, for the clearest errors. Raises Unauthorized, NotFound."""
        fingerprint = hashlib.sha256(self.config.access_token.encode()).hexdigest()[:12]
        if memory.get('introduced') == fingerprint:
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
        memory['introduced'] = fingerprint

    def _paid(self) -> bool | None:
        """Whether the workspace has search, None while that is unknown."""
        plan = self.snapshot.memory.get('plan')
        return plan['paid'] if plan else None

    def _learn_plan(self, memory: dict[str, Any], block: Block) -> bool:
        plan = memory.get('plan')
        if plan is not None and (plan['paid'] or 0 <= block.now.timestamp() - plan['at'] < PLAN_SECONDS):
            return bool(plan['paid'])
        paid = self.client.can_search(self.config.workspace_gid, block.now)
        self._remember_plan(memory, block, paid=paid)
        return paid

    def _remember_plan(self, memory: dict[str, Any], block: Block, *, paid: bool) -> None:
        memory['plan'] = {'paid': paid, 'at': block.now.timestamp()}
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
        number = f'at least {len(first.rows)}' if first.offset else str(len(first.rows))
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

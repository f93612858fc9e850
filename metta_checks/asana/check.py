"""The blocks of source `asana`: each calls client and measures."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from datadog_checks.base import ConfigurationError

from ..core.blocks import Stored, block
from ..core.diagnosis import Finding
from ..core.errors import Forbidden, NotFound, Rejected
from ..core.http import BearerAuth, Endpoint
from ..core.memo import Ages, Learned, fingerprint
from ..core.refresh import Attempt, Sample
from ..core.source import Source
from ..core.stored import stored
from ..core.text import one_line
from .absent_projects import AbsentProjects, second_look
from .bug_sync import BugSync, KnownBugs
from .client import REMEDIES, Client, PaymentRequired, Refusals
from .measures import projects as project_measures
from .measures import tasks as task_measures
from .measures.flow import flow
from .measures.unknown import Row, missing_fields, without_unknown
from .records import Bug, Project
from .settings import Settings, allowance
from .task_sync import SEARCH_FAULTS, CountProgress, SyncedTasks, SyncMode, TaskSync, report_failed_search
from .task_table import KnownTasks

if TYPE_CHECKING:
    from .config_models.instance import InstanceConfig

# Default of option `read_timeout`. Asana documents that several lists "may time out for large domains".
READ_TIMEOUT = 30.0
# The Agent's default of option `min_collection_interval`.
DEFAULT_RUN_SECONDS = 15
DAY_SECONDS = 86_400
# A free workspace is asked again after a day. On a paid one, each search confirms the plan.
PLAN_AGES = Ages(fresh=DAY_SECONDS, usable=DAY_SECONDS)
# Names of sections in a message: their number and their length.
SHOWN_SECTIONS = 10
SHOWN_CHARACTERS = 40
NO_PROJECT = 'the token sees no project in this workspace; add its user to the projects'


@stored
class Listing:
    """The projects of the workspace; block `tasks` reads their tasks.

    Attributes:
        visible: False when the token sees no project at all, so nothing is known about the tasks
        gids: the gids of all projects that are not archived
        names: the names, by gid, of the projects in option `projects`
        lost: when the token lost the projects that it cannot read any more, by gid, in seconds since the epoch
    """

    visible: bool
    gids: tuple[str, ...]
    names: dict[str, str]
    lost: dict[str, float]


@stored
class Known:
    """Facts about the token and the workspace that are asked for once.

    Attributes:
        introduced: fingerprint of the token that is known to see the workspace
        search_fails: True while the lists of projects are read because search fails
        paid: True when the plan of the workspace is a paid one, which has search
    """

    introduced: str = ''
    paid: Learned[bool] | None = None
    search_fails: bool = False


class AsanaCheck(Source['InstanceConfig', Known]):
    """Tasks, projects and bugs of one workspace."""

    SOURCE = 'asana'
    HEALTH = 'see https://status.asana.com'
    MEMORY = Known
    LABEL_OPTIONS = ('workspace_gid', 'bugs_project_gid')
    SECRET_OPTIONS = ('access_token',)
    READING_OPTIONS = ('requests_per_run', 'resync_interval', 'free_crawl_interval')
    # A crawl that goes on in the next run must not read the lists of projects and bugs again.
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
        bugs_project, section_map = str(config.bugs_project_gid), str(config.section_map)
        self.bug_sync = BugSync(self.client, self.settings, bugs_project, section_map)
        self.task_sync = TaskSync(self.client, self.settings, config.workspace_gid)

    def request_budget(self) -> int:
        """Return option `requests_per_run`; by default, the number of requests that the plan allows a run.

        An unknown plan counts as a free one.
        """
        if self.config.requests_per_run:
            return self.config.requests_per_run
        return allowance(bool(self._paid()), self.instance.get('min_collection_interval') or DEFAULT_RUN_SECONDS)

    # Blocks.

    @block(state=Listing)
    def projects(self, attempt: Attempt[Listing]) -> None:
        """List the projects of the workspace."""
        self._check_token()
        pages = list(self.client.projects(self.config.workspace_gid))
        # A list that changes while it is read may repeat a project.
        listed = list({project.gid: project for page in pages for project in page.rows}.values())
        # A list without projects is a fact only if the token sees archived ones.
        visible = bool(listed) or self.client.sees_project(self.config.workspace_gid)
        absent = self._look_again(attempt, listed) if visible else AbsentProjects()
        listed += absent.present
        if visible:
            samples = project_measures.projects(listed, attempt.now, self.settings.zone)
            attempt.emit(without_unknown(samples, _report_missing_fields(attempt, listed)))
        else:
            attempt.problem('not_found', NO_PROJECT)
        if unreadable := sum(page.unreadable for page in pages):
            attempt.problem('bad_payload', f'projects left out because they could not be read: {unreadable}')
        self._report_projects(attempt, listed)
        names = {project.gid: project.name for project in listed}
        selected = {gid: names[gid] for gid in self.settings.projects if gid in names}
        attempt.state = Listing(visible=visible, gids=tuple(names), names=selected, lost=absent.lost)

    def _look_again(self, attempt: Attempt[Listing], listed: Sequence[Project]) -> AbsentProjects:
        """Look at the projects that were listed before and are not any more, and report those that are lost."""
        if attempt.state is None:
            return AbsentProjects()
        gids = {project.gid for project in listed}
        absent = second_look(self.client, attempt.state.gids, attempt.state.lost, gids, attempt.now)
        absent.report(attempt)
        return absent

    def _report_projects(self, attempt: Attempt[Listing], listed: Sequence[Project]) -> None:
        """Report projects with an unknown status, and projects of option `projects` that are not listed."""
        for status, number in sorted(project_measures.unknown_statuses(listed).items()):
            have = 'project has' if number == 1 else 'projects have'
            attempt.problem(
                'unknown_status', f'{number} {have} the unknown status {status[:40]!r}: no status metric counts them'
            )
        gids = {project.gid for project in listed}
        if missing := [gid for gid in self.settings.projects if gid not in gids]:
            attempt.problem(
                'not_found',
                f'option `projects`: {", ".join(missing)}: no such project in the workspace, or it is archived, or the '
                'token does not see it',
            )

    def has_bugs_project(self) -> bool:
        """Return whether option `bugs_project_gid` is set."""
        return bool(self.config.bugs_project_gid)

    @block(when=has_bugs_project, state=KnownBugs)
    def bugs(self, attempt: Attempt[KnownBugs]) -> None:
        """Read the bugs of the Bugs project."""
        field = self.bug_sync.severity_field(attempt)
        bugs = self.bug_sync.read(attempt, field)
        missing = _report_missing_fields(attempt, bugs)
        known = self.bug_sync.observe(attempt, bugs, field, missing)
        attempt.emit(without_unknown(self.bug_sync.samples(bugs, known, attempt.now), missing))
        self._check_section_map(attempt, bugs)
        attempt.state = known

    def _check_section_map(self, attempt: Attempt[KnownBugs], bugs: Sequence[Bug]) -> None:
        """Report option `section_map` when it matches no section of the Bugs project."""
        section_of = self.settings.section_of
        used = {bug.section for bug in bugs if bug.section is not None}
        if not section_of or not used or any(section_of(name) for name in used):
            return
        # The sections that match may be empty at the moment.
        names = used | self._empty_sections(str(self.config.bugs_project_gid))
        if not any(section_of(name) for name in names):
            attempt.problem(
                'not_found',
                f'option `section_map` matches no section of the Bugs project, so its open bugs count as other; the '
                f'sections are: {_section_list(names)}',
            )

    def _empty_sections(self, project: str) -> set[str]:
        try:
            return {name for page in self.client.sections(project) for name in page.rows if name is not None}
        except (Forbidden, NotFound, Rejected) as error:
            # Some plans and tokens do not have this list.
            self.log.info('%s: the sections of the Bugs project cannot be listed: %s', self.label, error)
            return set()

    def tasks_interval(self) -> float:
        """Return option `free_crawl_interval` on a free plan, and while search fails.

        Return 0 otherwise: on a paid plan every refresh searches for modified tasks, and an unknown plan is looked up.
        """
        crawls = self._paid() is False or self.memory.search_fails
        return self.config.free_crawl_interval if crawls else 0.0

    @block(Stored(projects), every=tasks_interval, state=KnownTasks)
    def tasks(self, attempt: Attempt[KnownTasks], listed: Listing) -> None:
        """Read the changes to the tasks of all projects; if the plan is not a paid one after all, crawl instead."""
        _check_visible(listed)
        paid = self._learn_plan(attempt)
        try:
            mode = SyncMode(search=bool(paid), interval=self._crawl_interval(bool(paid)))
            synced = self.task_sync.update(attempt, listed.gids, mode)
        except PaymentRequired:
            self._remember_plan(attempt.now, paid=False)
            mode = SyncMode(search=False, interval=self._crawl_interval(paid=False), crawl_now=True)
            synced = self.task_sync.update(attempt, listed.gids, mode)
        self.memory = replace(self.memory, search_fails=paid is None or synced.search_fails)
        missing = _report_missing_fields(attempt, synced.tasks)
        attempt.emit(without_unknown(self._task_samples(synced, listed, attempt.now), missing))
        self._check_started_sections(attempt, synced)

    def _task_samples(self, synced: SyncedTasks, listed: Listing, now: datetime) -> Iterator[Sample]:
        settings = self.settings
        yield from task_measures.tasks(synced.tasks, now, settings.zone)
        yield from flow(synced.tasks, now, synced.started if settings.from_start else None)
        yield from task_measures.active_users(synced.tasks, now)
        yield from task_measures.punctuality(synced.tasks, now, settings.zone)
        if settings.started_sections:
            yield from task_measures.in_progress(synced.tasks, listed.gids)
        if settings.milestones:
            yield from task_measures.milestones(synced.tasks, now, settings.zone)
        if settings.blocked:
            yield from task_measures.blocked(synced.tasks, synced.dependencies)
        names = {gid: listed.names[gid] for gid in settings.projects if gid in listed.names}
        yield from task_measures.single_projects(synced.tasks, names, now, settings.zone)

    def _check_started_sections(self, attempt: Attempt[KnownTasks], synced: SyncedTasks) -> None:
        """Report option `started_sections` when no task has been in a section that it names."""
        has_started = bool(synced.started) or any(task.started_in for task in synced.tasks)
        unmatched = self.settings.started_sections.unmatched
        if unmatched and not has_started:
            attempt.problem(
                'not_found',
                'option `started_sections` matches no section with tasks; sections with tasks are: '
                f'{_section_list(unmatched)}',
            )

    def counts_all_tasks(self) -> bool:
        """Return the option `tasks_total`."""
        return self.config.tasks_total

    def total_interval(self) -> float:
        """Return a day, in seconds."""
        return DAY_SECONDS

    @block(Stored(projects), every=total_interval, when=counts_all_tasks, state=CountProgress)
    def tasks_total(self, attempt: Attempt[CountProgress], listed: Listing) -> None:
        """Count all tasks, open and completed."""
        _check_visible(listed)
        search = bool(self._paid()) and not self.memory.search_fails
        attempt.emit(task_measures.total(self.task_sync.count(attempt, listed.gids, search=search)))

    # Facts that are learned once and remembered.

    def _check_token(self) -> None:
        """Check, once per token, that it sees the workspace.

        Raises Unauthorized, or NotFound with the list of the workspaces that the token sees.
        """
        token = fingerprint(self.config.access_token)
        if self.memory.introduced == token:
            return
        try:
            workspaces = self.client.me().workspaces
        except Forbidden as error:
            # All other requests work without the scope users:read.
            self.log.info('%s: the token is not allowed to read its own user: %s', self.label, error)
            workspaces = None
        if workspaces is not None and self.config.workspace_gid not in workspaces:
            raise NotFound(
                f'option `workspace_gid`: the token does not see workspace {self.config.workspace_gid}; it sees: '
                f'{_workspace_list(workspaces)}'
            )
        self.memory = replace(self.memory, introduced=token)

    def _paid(self) -> bool | None:
        """Return True when the workspace has search, None while that is unknown."""
        paid = self.memory.paid
        return paid.value if paid is not None else None

    def _learn_plan(self, attempt: Attempt[KnownTasks]) -> bool | None:
        """Return True for a paid plan, None when the request fails that tries a search.

        Sends that request unless a paid plan is known or a free one was a day ago.
        """
        known, now = self.memory.paid, attempt.now
        if known is not None and (known.value or known.is_fresh(now.timestamp(), PLAN_AGES)):
            return known.value
        try:
            paid = self.client.can_search(self.config.workspace_gid, now)
        except SEARCH_FAULTS as error:
            report_failed_search(attempt, error)
            return None
        self._remember_plan(now, paid=paid)
        return paid

    def _remember_plan(self, now: datetime, *, paid: bool) -> None:
        """Remember the plan, and limit the requests of this refresh to what the plan allows."""
        self.memory = replace(self.memory, paid=Learned(paid, now.timestamp()))
        self.budget.cap(self.request_budget())

    def _crawl_interval(self, paid: bool) -> float:
        return self.config.resync_interval if paid else self.config.free_crawl_interval

    def probe(self) -> Iterator[Finding]:
        """Try token, workspace, Bugs project and plan, with at most four requests."""
        me = self.client.me()
        yield Finding('credentials', 'ok', f'Asana accepts the token of {me.name}')
        if me.workspaces is not None and self.config.workspace_gid not in me.workspaces:
            yield self._unseen_workspace(me.workspaces)
            return
        yield self._probe_projects()
        if self.config.bugs_project_gid:
            yield self._probe_bugs(self.config.bugs_project_gid)
        yield self._probe_plan()

    def _unseen_workspace(self, seen: Mapping[str, str]) -> Finding:
        message = f'the token does not see workspace {self.config.workspace_gid}'
        return Finding('workspace', 'fail', message, f'it sees: {_workspace_list(seen)}; correct the option')

    def _probe_projects(self) -> Finding:
        first = next(self.client.projects(self.config.workspace_gid))
        number = f'at least {len(first.rows)}' if first.cursor else str(len(first.rows))
        advice = 'make the user of the token a member of the projects'
        return Finding('projects', 'ok' if first.rows else 'warning', f'{number} projects are visible', advice)

    def _probe_bugs(self, gid: str) -> Finding:
        try:
            self.client.check_readable(gid)
        except (Forbidden, NotFound) as error:
            return Finding(
                'Bugs project',
                'fail',
                str(error),
                'check option `bugs_project_gid`; the user of the token must be a member of the project',
            )
        return Finding('Bugs project', 'ok', f'{gid} is readable')

    def _probe_plan(self) -> Finding:
        if self.client.can_search(self.config.workspace_gid, self.now()):
            return Finding('plan', 'ok', 'paid: changes are found by search, 1 or 2 requests per refresh')
        seconds = self.config.free_crawl_interval
        return Finding('plan', 'ok', f'free: no search, all tasks are read every {seconds} s')


def _report_missing_fields(attempt: Attempt[Any], rows: Iterable[Row]) -> Collection[str]:
    """Return the fields that Asana left out of some rows, and report them."""
    missing = missing_fields(rows)
    for field, number in sorted(missing.items()):
        attempt.problem(
            'missing_field',
            f'{number} {"row lacks" if number == 1 else "rows lack"} the field `{field}`, so figures that need it are '
            'absent: check the plan of the workspace and the permissions of the token',
        )
    return missing


def _check_visible(listed: Listing) -> None:
    """Raise NotFound when the token sees no project: the tasks are unknown then, and not none."""
    if not listed.visible:
        raise NotFound(NO_PROJECT)


def _workspace_list(workspaces: Mapping[str, str]) -> str:
    return ', '.join(f'{gid} ({name})' for gid, name in workspaces.items()) or 'none'


def _section_list(names: Collection[str]) -> str:
    shown = [f'"{one_line(name, SHOWN_CHARACTERS)}"' for name in sorted(names)[:SHOWN_SECTIONS]]
    more = len(names) - len(shown)
    return ', '.join(shown) + (f' and {more} more' if more else '')

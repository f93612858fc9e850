"""The check of source `github`: its blocks, which read with the client and compute with the measures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from datadog_checks.base import ConfigurationError

from ..core import http
from ..core.blocks import subjects
from ..core.diagnosis import Finding, of_error
from ..core.errors import NotFound, Rejected, SourceError
from ..core.memo import Ages, Learned
from ..core.refresh import Attempt, Refresh, need
from ..core.snapshot import KEEP_INTERVALS
from ..core.source import Source
from ..core.stored import stored
from ..core.times import age
from . import attempts as run_attempts
from . import changed_files, dora, enterprise, events, force_pushes, measures, organization, pull_request_crawl
from .auth import AppAuth, Auth, TokenAuth
from .branch_history import DefaultBranch
from .changed_files import ChangedFiles, FileCrawl
from .client import Client
from .deployment_records import Deployment
from .dora import ComparisonTable, DoraHistory
from .force_pushes import ForcePushHistory
from .graphql import DIALECT_AGES, Dialect, GraphQL
from .history import (
    CommitHistory,
    DeploymentHistory,
    PullRequestHistory,
    RepositoryFacts,
)
from .jobs import JobCrawl, JobHistory
from .measures.dora import Deployed, DoraSettings
from .organization import Listing
from .owners import Owner
from .pull_request_crawl import PullRequestCrawl, SharedReading
from .rate_limits import RateLimitPolicy
from .records import Commit, FileLists, Overview, PullRequest
from .repository import Repository
from .run_crawl import BranchRuns, RunCrawl
from .run_history import RunHistory
from .run_records import workflow_names
from .session import Headers, Session
from .settings import Settings
from .verdicts import MainRuns

if TYPE_CHECKING:
    from .config_models.instance import InstanceConfig

WINDOW = timedelta(days=7)
# While GitHub fails, an older list of an organization's repositories is used.
LIST_AGES = Ages(fresh=3600, usable=float('inf'))
# Queries for changed files of a refresh of a repository.
FILE_QUERIES = 1
# Repositories whose queries are sent together.
GROUP = 400
# The probe of a repository costs two requests.
PROBED_REPOSITORIES = 5
# Parts of the first query whose absence is reported by the block that needs them.
PARTS_OF_OTHER_BLOCKS = ('openPullRequests', 'newestClosed', 'inWindow', 'newest')
REMEDIES = {
    'auth': 'check option `token` (or the App options): the credentials have expired, were revoked, or belong to '
    'another server',
    'not_found': 'check the name; GitHub also answers "not found" when the token has no access',
    'unreachable': 'check `api_url`, DNS, proxy and firewall',
    'timeout': 'check the network, or raise option `timeout`',
    'tls': 'check `api_url` and option `tls_ca_cert`',
}
GRANT = 'do what GitHub says; permissions are granted in the settings of the token or App'


@stored
class KnownServer:
    """Findings about the server that concern all repositories of the instance.

    Attributes:
        dialect: limits of its GraphQL
        repositories: the list of the organization's repositories, read once an hour; None without option `organization`
        reported_limits: the reset times of used-up rate limits that an event was sent for, by resource
        lacks_activity: the note that an Enterprise Server has no list of activities, which is asked for again after a
            day; None for a server that has one
    """

    dialect: Dialect = field(default_factory=Dialect)
    repositories: Learned[Listing] | None = None
    reported_limits: dict[str, float] = field(default_factory=dict)
    lacks_activity: Learned[str] | None = None


class GitHubCheck(Source['InstanceConfig', KnownServer]):
    """Pull requests, commits, CI and developers of one or more repositories."""

    SOURCE = 'github'
    HEALTH = 'see https://www.githubstatus.com'
    MEMORY = KnownServer
    LABEL_OPTIONS = ('organization', 'repositories')
    SECRET_OPTIONS = ('token', 'app_private_key')
    READING_OPTIONS = ('app_id', 'app_installation_id', 'max_requests', 'rate_limit_reserve_pct')

    def connect(self) -> None:
        """Build the client."""
        config = self.config
        self.settings = Settings.of(config)
        policy = RateLimitPolicy(self.limits, self.now, reserve_pct=config.rate_limit_reserve_pct)
        headers = Headers(self._auth(policy))
        session = Session(self._api(policy, headers), headers, policy)
        self.client = Client(
            session,
            GraphQL(session, self.now, unused=self.settings.unused_fields()),
            bots=self.settings.bots,
            merges=self.settings.merges,
            max_requests=config.max_requests,
        )

    def _api(self, policy: RateLimitPolicy, auth: http.Auth) -> http.Api:
        return self.api(http.Endpoint(self.config.api_url, 'GitHub', auth, policy, REMEDIES))

    def _auth(self, policy: RateLimitPolicy) -> Auth:
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
            self._api(policy, http.NoAuth()),
            str(config.app_id),
            str(config.app_installation_id),
            str(config.app_private_key),
            self.now,
        )
        auth.register_secret = self.register_secret
        return auth

    def begin(self, refresh: Refresh) -> None:
        """Use the findings about the server from earlier refreshes."""
        self.client.start_refresh()
        self.client.graphql.dialect = self.memory.dialect

    def end(self, refresh: Refresh) -> None:
        """Remember the findings about the server, and send an event for each used-up rate limit."""
        self._count_points(refresh)
        listed = self.memory.repositories
        told = listed.value.left_out if listed is not None else ()
        if untold := [one for one in self.client.left_out if one not in told]:
            refresh.problem('repository', 'partial', organization.sign_on_needed(untold))
        reported = self._report_limits(refresh, self.memory.reported_limits)
        self.memory = replace(self.memory, dialect=self.client.graphql.dialect, reported_limits=reported)

    def _count_points(self, refresh: Refresh) -> None:
        """Count the points of queries for one repository under its name, those of shared queries without a name."""
        points = self.client.graphql.points
        if shared := points.pop('', 0):
            refresh.count('api.shared_points', shared, {})
        for slug, number in points.items():
            refresh.count('api.points', number, Repository.of(slug).tags)

    # Repositories.

    @subjects(together=GROUP)
    def repositories(self, refresh: Refresh) -> Iterator[Repository]:
        """Yield the repositories, the one that has waited longest first.

        When the budget ends early, the others come first in the next refresh.
        """
        listed = self._listed(refresh)
        found = self._selected(listed)
        slugs = found[: self.config.max_repositories]
        if len(slugs) < len(found):
            message = f'only {len(slugs)} of {len(found)} repositories are read; raise option `max_repositories`'
            refresh.problem('repository', 'truncated', message)
        refresh.keep_subjects([*slugs, *self.settings.owners])
        is_listed_now = listed is not None and listed.at == refresh.now.timestamp()
        self.allowance = run_attempts.Allowance(len(slugs), lists=is_listed_now)
        for slug in sorted(slugs, key=lambda slug: refresh.refreshed_at('repository', slug) or 0):
            repo = Repository.of(slug)
            if (known := refresh.stored(self.repository.key(repo), RepositoryFacts)) is not None:
                repo.update(known)
            yield repo

    def _selected(self, listed: Learned[Listing] | None) -> list[str]:
        """Return the repositories to read, listed in the configuration or found in the organization."""
        return self.settings.select(listed.value.names.values() if listed is not None else ())

    def _listed(self, refresh: Refresh) -> Learned[Listing] | None:
        """Return the repositories of the organization, when GitHub fails the known ones; None without any.

        Raises SourceError when it fails and nothing else can be read.
        """
        if not self.settings.organization:
            return None
        try:
            listed = self._organization(refresh.now.timestamp())
        except SourceError as error:
            if self.memory.repositories is None and not self.settings.repositories:
                raise
            refresh.problem('repository', error.reason, f'only known repositories are read: {error}')
            return self.memory.repositories
        for gap in organization.gaps(self.settings, listed.value):
            refresh.problem('repository', gap.reason, gap.message)
        self.memory = replace(self.memory, repositories=listed)
        return listed

    def _organization(self, now: float) -> Learned[Listing]:
        """Return the repositories of the organization, the known ones while they are fresh."""
        known = self.memory.repositories
        if known is not None and known.is_fresh(now, LIST_AGES):
            return known
        before = known.value if known is not None else Listing()
        return Learned(self.client.listing(self.settings.organization, before), now)

    # Blocks.

    @repositories.batch()
    def overviews(self, refresh: Refresh, repositories: Sequence[Repository]) -> Mapping[str, Overview | SourceError]:
        """Send the first query, which covers many repositories."""
        return self.client.overviews(repositories, refresh.now - WINDOW, self._shows_enough)

    def _shows_enough(self, overview: Overview) -> bool:
        """Return True if the first commits of an overview suffice to know the state of the default branch."""
        return bool(self.settings.ci.required) or measures.default_branch.is_decided(overview.rollups)

    @repositories.block(overviews, state=RepositoryFacts)
    def repository(self, attempt: Attempt[RepositoryFacts], repo: Repository, overview: Overview) -> Overview:
        """Send the figures of the repository itself."""
        before = attempt.state
        facts = self._facts(attempt, overview)
        repo.update(facts)
        attempt.tags = repo.tags
        attempt.checkpoint(facts.before_announcing(before))
        if self._is_shown(attempt.refresh.refreshed_at(attempt.name, repo.key), attempt.now):
            overview.require(overview.unknown.difference(PARTS_OF_OTHER_BLOCKS))
        for part, message in overview.missing.items():
            if part not in PARTS_OF_OTHER_BLOCKS:
                attempt.problem('partial', f'GitHub returned no {part}: {message}')
        complete = self._with_all(attempt, overview)
        attempt.emit(measures.repository.measure(complete, attempt.now))
        if before is not None:
            # Beyond the pages of the limit, the newest releases are those of the first query.
            for release in before.new_releases(complete.releases or overview.releases or ()):
                attempt.event(events.release(overview, release))
        attempt.state = facts
        return complete

    def _with_all(self, attempt: Attempt[RepositoryFacts], overview: Overview) -> Overview:
        """Return the overview with all entries of the merge queue and all releases of the month."""
        owner, name, queue, releases = overview.owner, overview.name, overview.queue, overview.releases
        if queue is not None and queue.after is not None:
            queue = self.client.merge_queue(owner, name, queue)
        month = attempt.now - measures.repository.MONTH
        if overview.has_more_releases and releases and releases[-1].published >= month:
            try:
                releases = tuple(self.client.releases(owner, name, month))
            except Rejected as error:
                attempt.truncated(str(error))
                releases = None
        return replace(overview, queue=queue, releases=releases)

    def _facts(self, attempt: Attempt[RepositoryFacts], overview: Overview) -> RepositoryFacts:
        """Return the facts of the repository, with the former name of a default branch that was renamed."""
        before = attempt.state
        facts = RepositoryFacts.of(overview, before, attempt.now)
        if before is None or before.branch is None or facts.branch in (None, before.branch):
            return facts
        if self.client.has_branch(overview.owner, overview.name, before.branch):
            # Another branch became the default branch.
            return facts
        return facts.renamed_from(before)

    def _is_shown(self, at: float | None, now: datetime) -> bool:
        """Return True if figures of this time (in seconds since the epoch) are still sent, so that they can be kept."""
        since = age(at, now.timestamp())
        return since is not None and since < KEEP_INTERVALS * self.config.refresh_interval

    @repositories.block(overviews, state=CommitHistory)
    def commits(self, attempt: Attempt[CommitHistory], repo: Repository, overview: Overview) -> frozenset[int] | None:
        """Follow the commits of the default branch; return the pull requests that their messages say they merged."""
        overview.require(('defaultBranchRef', 'inWindow'))
        start = (attempt.now - WINDOW).replace(microsecond=0)
        before = attempt.state or CommitHistory(())
        found = before.extended(overview, start)
        if found is None:
            found = self._all_commits(overview, start)
        history = attempt.state = CommitHistory(tuple(found.values()))
        for problem in history.problems(overview):
            attempt.problem('partial', problem)
        if history.hidden(overview):
            attempt.emit([measures.commits.total(overview.commit_count)])
            return None
        attempt.emit(measures.commits.measure(found.values(), self.settings.hotfix))
        return frozenset(number for commit in found.values() for number in commit.merges)

    def _all_commits(self, overview: Overview, start: datetime) -> dict[str, Commit]:
        if overview.default_branch is None:
            return {}
        commits = self.client.commits(overview.owner, overview.name, overview.default_branch, start)
        return {commit.oid: commit for commit in commits}

    @repositories.batch(overviews)
    def closed(self, refresh: Refresh, group: Sequence[tuple[Repository, Overview]]) -> Mapping[str, SharedReading]:
        """Read what can be read of the closed pull requests of several repositories at once."""
        known = [
            (repo, overview, refresh.stored(self.pull_requests.key(repo), PullRequestHistory))
            for repo, overview in group
        ]
        return pull_request_crawl.read_together(self.client, known, refresh.now)

    @repositories.block(overviews, uses=(commits, closed), state=PullRequestHistory)
    def pull_requests(
        self,
        attempt: Attempt[PullRequestHistory],
        repo: Repository,
        overview: Overview,
        landed: frozenset[int] | None,
        shared: SharedReading | None,
    ) -> list[PullRequest]:
        """Follow the pull requests; return those merged into the default branch in the window."""
        overview.require(('openPullRequests',))
        merged_by_commits = need(landed, 'commits') if self.settings.merges else frozenset()
        before = attempt.state
        crawl = PullRequestCrawl(
            self.client, overview, before, merged_by_commits, shared or SharedReading(), attempt.now
        )
        found = crawl.run()
        for problem in dict.fromkeys(crawl.problems):
            attempt.problem('partial', problem)
        if crawl.has_unread_reviews:
            attempt.unfinished(pull_request_crawl.NEED_REVIEWS)
        shown = found.of_people() if self.settings.exclude_bots else found
        attempt.emit(measures.pull_requests.measure(shown, self.settings.hotfix_labels, attempt.now))
        if before is not None:
            attempt.emit(measures.pull_requests.moves(before.changes((*shown.open, *shown.closed))))
        attempt.state = PullRequestHistory.of(found, overview, before, attempt.now)
        merged = measures.pull_requests.merged_since(found.closed, attempt.now - WINDOW)
        return [pull for pull in merged if pull.base in repo.branches]

    @repositories.batch(pull_requests)
    def file_lists(
        self, refresh: Refresh, group: Sequence[tuple[Repository, list[PullRequest]]]
    ) -> Mapping[str, FileLists | SourceError]:
        """Read the files of merged pull requests of several repositories."""
        crawls = {}
        for repo, merged in group:
            known = refresh.stored(self.files.key(repo), ChangedFiles) or ChangedFiles({})
            crawls[repo.key] = FileCrawl(self.client, merged, known.of(merged))
        return changed_files.read_together(self.client, crawls)

    @repositories.block(pull_requests, file_lists, state=ChangedFiles)
    def files(
        self, attempt: Attempt[ChangedFiles], repo: Repository, merged: list[PullRequest], lists: FileLists
    ) -> None:
        """Count the files that merged pull requests change."""
        crawl = FileCrawl(self.client, merged, (attempt.state or ChangedFiles({})).of(merged))
        crawl.take(lists)
        if not lists.by_id:
            crawl.run(FILE_QUERIES)
        for message in dict.fromkeys(crawl.problems):
            attempt.problem('partial', f'GitHub does not show the changed files of pull requests: {message}')
        hashes = crawl.files.all_hashes(merged)
        if hashes is not None:
            attempt.emit(measures.repository.files(hashes))
        elif crawl.has_unread:
            attempt.unfinished()
        attempt.state = crawl.files

    def knows_branch(self, repo: Repository, overview: Overview | None) -> bool:
        """Return True if the default branch is known, from this refresh or from an earlier one."""
        return repo.branch is not None or _has_no_branch(overview)

    @repositories.block(uses=overviews, given=knows_branch, state=ForcePushHistory)
    def activity(self, attempt: Attempt[ForcePushHistory], repo: Repository, overview: Overview | None) -> None:
        """Look for force pushes, if the default branch has moved or GitHub did not say where it is."""
        if repo.branch is None:
            attempt.emit(measures.repository.force_pushes((), attempt.now))
            return
        lack = self.memory.lacks_activity
        if lack is not None and lack.is_fresh(attempt.now.timestamp(), DIALECT_AGES):
            return
        before = attempt.state if attempt.state is not None and attempt.state.is_about(repo) else None
        head = None if overview is None else overview.head
        try:
            history = force_pushes.follow(before, self.client, repo, repo.branch, head, attempt.now)
        except NotFound as error:
            self._note_lack(attempt, overview, error)
            return
        for push in history.new_pushes(before):
            attempt.event(events.force_push(repo.full_name, repo.branch, push))
        attempt.emit(measures.repository.force_pushes(history.pushes, attempt.now))
        attempt.state = history

    def _note_lack(self, attempt: Attempt[ForcePushHistory], overview: Overview | None, error: NotFound) -> None:
        """Remember that the server has no list of activities, with one warning when that is new.

        Raises the error again when the repository may be gone, or when the version of the server has the list.
        """
        note = enterprise.lacks_activity(self.client.enterprise_version)
        if overview is None or not note:
            raise error
        if self.memory.lacks_activity is None:
            attempt.problem(error.reason, note)
        self.memory = replace(self.memory, lacks_activity=Learned(note, attempt.now.timestamp()))

    @repositories.block(uses=overviews, state=RunHistory)
    def ci(self, attempt: Attempt[RunHistory], repo: Repository, overview: Overview | None) -> None:
        """Follow the workflow runs; when the first query failed, with the last known default branch."""
        before = attempt.state
        main = self._main_runs(attempt, repo)
        found = self._run_crawl(attempt, repo).read(before, main)
        runs, settings = found.table.present, self.settings.ci
        attempt.emit(measures.ci.measure(runs, settings, attempt.now))
        if not found.undecided:
            attempt.emit(measures.ci.flakiness(runs, settings))
        is_branch_known = repo.branch is not None or _has_no_branch(overview)
        if is_branch_known:
            attempt.emit(measures.ci.by_branch(runs, main.branches, settings))
            if not found.is_first:
                attempts = run_attempts.newly_finished(runs)
                attempt.emit(measures.ci.finished(attempts, runs, main.branches, settings))
        branch, is_red = self._default_branch(attempt, repo, found, overview)
        # Runs that cannot be tagged yet are counted when the default branch is known.
        counts = found.is_first or is_branch_known
        table = found.table.counted(first=found.is_first) if counts else found.table
        attempt.state = RunHistory(
            table, repo.branch or (before.branch if before is not None else None), branch, is_red
        )

    def _main_runs(self, attempt: Attempt[RunHistory], repo: Repository) -> MainRuns:
        """Return the runs that decide about the default branch."""
        commits = attempt.refresh.stored(self.commits.key(repo), CommitHistory)
        return MainRuns(
            branches=repo.branches,
            events=self.settings.ci.required_events,
            landed=frozenset(commit.oid for commit in commits.commits) if commits is not None else frozenset(),
        )

    def _run_crawl(self, attempt: Attempt[RunHistory], repo: Repository) -> RunCrawl:
        """Return the reader of the workflow runs of a repository."""
        return RunCrawl(self.client, repo, self.settings.ci, attempt, self.allowance)

    def _default_branch(
        self, attempt: Attempt[RunHistory], repo: Repository, found: BranchRuns, overview: Overview | None
    ) -> tuple[DefaultBranch | None, bool | None]:
        """Report the state of the default branch; return it, and whether a required workflow fails."""
        before = attempt.state
        if repo.branch is None:
            return (None, None) if before is None else (before.main, before.is_red)
        branch = found.branch
        rollups = self._rollups(attempt, repo, overview)
        attempt.emit(measures.default_branch.measure(branch, rollups, self.settings.ci, attempt.now))
        was_red = before.is_red if before is not None and before.is_about(repo.branches) else None
        return branch, self._follow_branch(attempt, repo, branch, was_red)

    def _rollups(
        self, attempt: Attempt[RunHistory], repo: Repository, overview: Overview | None
    ) -> tuple[str, ...] | None:
        """Return the states of the checks of the newest commits, None when they are unknown or not needed."""
        if self.settings.ci.required:
            return None
        if overview is not None and (message := overview.missing.get('newest')):
            attempt.problem('partial', f'GitHub does not show the checks of commits: {message}')
        known = repo.rollups
        return known.value if known is not None and self._is_shown(known.at, attempt.now) else None

    def _follow_branch(
        self, attempt: Attempt[RunHistory], repo: Repository, branch: DefaultBranch, was_red: bool | None
    ) -> bool | None:
        """Return whether a required workflow fails on the default branch; send an event when that has changed."""
        failing = branch.history.failing(branch.required.workflows)
        if not failing and not (branch.required.workflows and branch.required.is_complete):
            return was_red
        name = repo.branch or ''
        if failing and was_red is False:
            attempt.event(events.branch_fails(repo.full_name, name, failing, self.settings.web_url))
        elif not failing and was_red:
            attempt.event(events.branch_passes(repo.full_name, name, measures.default_branch.outages(branch)))
        return bool(failing)

    def shows_jobs(self) -> bool:
        """Return the option `jobs`."""
        return self.config.jobs

    @repositories.block(when=shows_jobs, state=JobHistory)
    def jobs(self, attempt: Attempt[JobHistory], repo: Repository) -> None:
        """Read the jobs of the attempts of workflow runs that have ended, as far as block ci knows them."""
        history = attempt.refresh.stored(self.ci.key(repo), RunHistory)
        if history is None:
            return
        if not history.is_complete:
            attempt.unfinished()
            return
        runs, before = history.table.runs, attempt.state or JobHistory()
        crawl = JobCrawl(self.client, repo, attempt.now, attempt.checkpoint, partial(attempt.problem, 'partial'))
        found, coverage = crawl.run(runs, before)
        if crawl.is_unfinished:
            attempt.unfinished()
        names = workflow_names(runs)
        attempt.emit(measures.jobs.measure(found.jobs, found.maybe_reviewed(), coverage, names, attempt.now))
        attempt.state = found

    def shows_deployments(self) -> bool:
        """Return the option `deployments`."""
        return self.config.deployments

    @repositories.block(when=shows_deployments, state=DeploymentHistory)
    def deployments(self, attempt: Attempt[DeploymentHistory], repo: Repository) -> None:
        """Read the deployments of the window: all of them again, because their states change."""
        found = self._deployments(attempt, repo)
        attempt.emit(measures.deployments.measure(found))
        before = attempt.state
        if before is not None:
            # Created before the last refresh or since, and ended since.
            new = before.new_ends(found)
            attempt.emit(measures.deployments.finished(new, measures.deployments.environments(found)))
        known = before.outcomes if before is not None else {}
        outcomes = measures.deployments.outcomes(found)
        for environment, outcome in outcomes.items():
            last = known.get(environment)
            if last is not None and (last == 'success') != (outcome == 'success'):
                attempt.event(events.deployment(repo.full_name, environment, outcome))
        ended = frozenset(one.id for one in found if one.outcome is not None)
        attempt.state = DeploymentHistory(ended, {**known, **outcomes})

    def _deployments(self, attempt: Attempt[DeploymentHistory], repo: Repository) -> list[Deployment]:
        start = attempt.now - WINDOW
        found: list[Deployment] = []
        for page in self.client.deployments(repo.owner, repo.name):
            recent = [one for one in page.rows if one.created >= start]
            found += recent
            if len(recent) < len(page.rows) or page.cursor is None:
                return found
        attempt.truncated(
            f'there are more than {len(found)} deployments of the last 7 days; only the newest {len(found)} are counted'
        )
        return found

    def shows_dora(self) -> bool:
        """Return whether option `dora` is set."""
        return self.settings.dora is not None

    @repositories.block(when=shows_dora, state=DoraHistory)
    def dora(self, attempt: Attempt[DoraHistory], repo: Repository) -> None:
        """Follow the deployments of 60 days and the commits that they bring."""
        settings, before = self.settings.dora or DoraSettings(), attempt.state or DoraHistory()
        history, deployed = dora.read(self.client, repo, settings, before, attempt.now)
        attempt.state = history
        attempt.checkpoint(history)
        if deployed is None:
            if history != before:
                # The crawl goes on in the next refresh.
                attempt.unfinished()
            return
        if deployed.selects_nothing and repo.key in self.settings.repositories:
            message = f'option `dora`: {repo.full_name} has nothing that fits {settings.selection}'
            attempt.problem('not_found', message)
        comparisons = self._compared(attempt, repo, deployed, history)
        if comparisons.lacks(deployed.pairs(attempt.now)):
            attempt.unfinished()
        attempt.state = replace(history, comparisons=comparisons)
        attempt.emit(measures.dora.measure(deployed, comparisons.by_pair(), attempt.now))

    def _compared(
        self, attempt: Attempt[DoraHistory], repo: Repository, deployed: Deployed, history: DoraHistory
    ) -> ComparisonTable:
        """Return the commits that deployments bring, as far as they are known after this refresh."""
        crawl = dora.ComparisonCrawl(
            self.client,
            repo,
            self.settings.hotfix,
            attempt.now,
            progress=lambda found: attempt.checkpoint(replace(history, comparisons=found)),
            problem=lambda message: attempt.problem('partial', f'{repo.full_name}: {message}'),
        )
        return crawl.run(deployed.pairs(attempt.now), history.comparisons)

    def shows_issues(self) -> bool:
        """Return the option `issues`."""
        return self.config.issues

    @repositories.block(when=shows_issues)
    def issues(self, attempt: Attempt[None], repo: Repository) -> None:
        """Read the issues that changed in the window: all of them again, because each may be reopened."""
        pages = list(self.client.issues(repo.owner, repo.name, attempt.now - WINDOW))
        attempt.emit([measures.issues.open_issues(pages[0].open_count)])
        changed = [issue for page in pages for issue in page.rows]
        if pages[-1].cursor is not None:
            attempt.truncated(f'more than {len(changed)} issues changed in the last 7 days; only issues.open is known')
        elif problem := next((page.problem for page in pages if page.problem), None):
            attempt.problem('partial', f'GitHub does not show all issues: {problem}')
        else:
            attempt.emit(measures.issues.measure(changed, attempt.now))

    def shows_runners(self) -> bool:
        """Return the option `runners`."""
        return self.config.runners

    @repositories.block(when=shows_runners)
    def runners(self, attempt: Attempt[None], repo: Repository) -> None:
        """Read the self-hosted runners."""
        attempt.emit(measures.runners.measure(self.client.runners(repo.owner, repo.name)))

    @subjects
    def organizations(self, refresh: Refresh) -> Iterator[Owner]:
        """Yield the owners of the repositories; GitHub knows no runners of a user."""
        yield from map(Owner, self.settings.owners)

    def shows_organization_runners(self) -> bool:
        """Return the option `organization_runners`."""
        return self.config.organization_runners

    @organizations.block(when=shows_organization_runners, name='runners')
    def organization_runners(self, attempt: Attempt[None], owner: Owner) -> None:
        """Read the self-hosted runners of an organization."""
        try:
            found = self.client.organization_runners(owner.key)
        except NotFound as error:
            need = f'{owner.key} must be an organization, and the token needs its permission Self-hosted runners (read)'
            raise NotFound(f'{error}; for option `organization_runners`, {need}') from error
        attempt.emit(measures.runners.by_scope(found, 'organization'))

    # Rate limits and diagnosis.

    def _report_limits(self, refresh: Refresh, known: Mapping[str, float]) -> dict[str, float]:
        """Send an event when GitHub has asked to wait; return the reported reset times by resource."""
        now = refresh.now.timestamp()
        closed = {resource: wait for resource, wait in self.limits.dump().items() if wait[0] > now}
        new = {resource: message for resource, (until, message) in closed.items() if known.get(resource) != until}
        if new:
            refresh.event(events.rate_limit(new), {})
        return {resource: until for resource, (until, _) in closed.items()}

    def probe(self) -> Iterator[Finding]:
        """Try the credentials, the rate limits, and the permissions for the first repositories."""
        limits = self.client.rate_limits()
        yield Finding('credentials', 'ok', f'{self.config.api_url} accepts them')
        for resource in ('core', 'graphql'):
            if resource in limits:
                left, limit = limits[resource]
                is_low = left <= limit * self.config.rate_limit_reserve_pct / 100
                status = 'warning' if is_low else 'ok'
                advice = 'raise option `refresh_interval`, or give the check a token of its own'
                yield Finding(f'rate limit {resource}', status, f'{left} of {limit} left', advice)
        listed = self._organization(self.now().timestamp()) if self.settings.organization else None
        selected = self._selected(listed)
        if listed is not None:
            yield from organization.findings(self.settings, listed.value, len(selected))
        for slug in selected[:PROBED_REPOSITORIES]:
            owner, name = slug.split('/')
            now = self.now()
            yield from _tried(f'{slug} contents and pull requests', self._try_overview, slug)
            yield from _tried(f'{slug} actions', self.client.runs, owner, name, now, now, 1)
        version = self.client.enterprise_version
        if version and (note := enterprise.lacks_activity(version)):
            yield Finding('force pushes', 'warning', note, 'update the server')

    def _try_overview(self, slug: str) -> Overview:
        """Return the answer to the first query for one repository. Raises SourceError."""
        found = self.client.overviews([Repository.of(slug)], self.now(), self._shows_enough)[slug]
        if isinstance(found, SourceError):
            raise found
        return found


def _has_no_branch(overview: Overview | None) -> bool:
    """Return whether GitHub has said that the repository has no default branch."""
    return overview is not None and overview.default_branch is None and 'defaultBranchRef' not in overview.missing


def _tried(part: str, ask: Callable[..., object], *args: object) -> Iterator[Finding]:
    """Yield the finding about an answer, and one for each part of it that GitHub does not show."""
    try:
        found = ask(*args)
    except SourceError as error:
        yield of_error(part, error)
        return
    yield Finding(part, 'ok', 'readable')
    for name, message in found.missing.items() if isinstance(found, Overview) else ():
        yield Finding(f'{part}: {name}', 'warning', message, GRANT)

"""Reads what the DORA figures need: the deployments of 60 days, and the commits between each two of them.

Both are remembered. A deployment that succeeded stays successful, and the comparison of two commits never changes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ..core.errors import NotFound, Rejected, Unavailable
from ..core.stored import stored
from .client import Client
from .deploying_runs import DeployingRuns, RunCrawl
from .deployment_records import Deployment
from .measures.dora import LOOK_BACK, RELEASE, WORKFLOW, Brought, Delivery, Deployed, DoraSettings, Pair
from .repository import Repository

# GitHub's lists may show a new deployment a little late.
LAG = timedelta(minutes=5)
# The largest number of deployments that one request reads again.
READ_AGAIN = 100
COMPARISONS_PER_REFRESH = 50
# A pair that GitHub cannot compare is asked for again, and one whose comparison failed twice.
REFUSED_FOR = timedelta(days=1)
FAILED_FOR = timedelta(hours=1)


@stored
class DeploymentTable:
    """The deployments of 60 days to the environments that count.

    Attributes:
        rows: the deployments
        read_until: creation time of the newest deployment that was read, to any environment; None without one
        cursor: where the crawl through the 60 days goes on; None when it has ended
        is_complete: whether it has ended. Until then, no figure can be computed from the table
    """

    rows: tuple[Deployment, ...] = ()
    read_until: datetime | None = None
    cursor: str | None = None
    is_complete: bool = False


@stored
class ComparisonTable:
    """The commits that deployments bring.

    Attributes:
        known: the results
        refused: the pairs that could not be compared, with the time from which they are asked for again; at
            once after a first failure of the server
    """

    known: tuple[tuple[Pair, Brought], ...] = ()
    refused: tuple[tuple[Pair, datetime], ...] = ()

    def by_pair(self) -> dict[Pair, Brought]:
        """Return the results by the pair of commits."""
        return dict(self.known)

    def lacks(self, pairs: Iterable[Pair]) -> bool:
        """Return whether one of these pairs has not been asked for."""
        return not {pair for pair, _ in (*self.known, *self.refused)}.issuperset(pairs)


@stored
class DoraHistory:
    """The state of block dora: the deployments of one source, and the comparisons of their commits."""

    deployments: DeploymentTable = field(default_factory=DeploymentTable)
    runs: DeployingRuns = field(default_factory=DeployingRuns)
    comparisons: ComparisonTable = field(default_factory=ComparisonTable)


@dataclass(frozen=True, slots=True)
class _Reading:
    """A part of the list of deployments, the newest first.

    Attributes:
        rows: the deployments, to any environment
        cursor: where the list goes on; None when it was read as far as it was needed
    """

    rows: tuple[Deployment, ...]
    cursor: str | None


@dataclass(slots=True)
class DeploymentCrawl:
    """Brings a table of deployments up to date.

    Attributes:
        client: the server
        repo: the repository
        settings: says which environments count
        now: the time of the refresh
    """

    client: Client
    repo: Repository
    settings: DoraSettings
    now: datetime

    def run(self, table: DeploymentTable) -> DeploymentTable:
        """Return the table after reading the newest pages, a part of the crawl, and those in progress."""
        start = self.now - LOOK_BACK
        newest = self._read(None, start if table.read_until is None else max(start, table.read_until - LAG))
        rows, cursor = newest.rows, newest.cursor
        if table.read_until is not None and cursor is None and not table.is_complete:
            older = self._read(table.cursor, start)
            rows, cursor = rows + older.rows, older.cursor
        known = {row.id: row for row in table.rows if row.created >= start}
        read = {row.id: row for row in rows if row.created >= start and self.settings.includes(row.environment)}
        found = known | self._again(known.keys() - read.keys(), known) | read
        times = [row.created for row in rows] + [at for at in (table.read_until,) if at is not None]
        return DeploymentTable(tuple(found.values()), max(times, default=None), cursor, cursor is None)

    def _read(self, cursor: str | None, stop: datetime) -> _Reading:
        """Return the deployments from a cursor down to a creation time, at most DEPLOYMENT_PAGES pages of them."""
        rows: list[Deployment] = []
        after = None
        for page in self.client.deployments(self.repo.owner, self.repo.name, cursor):
            rows += page.rows
            after = page.cursor
            if any(row.created < stop for row in page.rows):
                return _Reading(tuple(rows), None)
        return _Reading(tuple(rows), after)

    def _again(self, ids: Collection[str], known: Mapping[str, Deployment]) -> dict[str, Deployment]:
        """Return the newest of these deployments that have not succeeded, as they are now."""
        waiting = sorted((known[one] for one in ids if known[one].succeeded is None), key=lambda row: row.created)
        newest = [row.id for row in waiting[-READ_AGAIN:]]
        return self.client.deployments_by_id(newest) if newest else {}


def read(
    client: Client, repo: Repository, settings: DoraSettings, history: DoraHistory, now: datetime
) -> tuple[DoraHistory, Deployed | None]:
    """Return the history with the present deployments, and the deployments; None until all have been read."""
    if settings.source == RELEASE:
        return history, _releases(client, repo, now)
    if settings.source == WORKFLOW:
        if repo.branch is None:
            return history, None
        runs, deployed = RunCrawl(client, repo, settings, now).run(history.runs)
        return replace(history, runs=runs), deployed
    table = DeploymentCrawl(client, repo, settings, now).run(history.deployments)
    return replace(history, deployments=table), _deployments(table) if table.is_complete else None


def _deployments(table: DeploymentTable) -> Deployed:
    """Return the deployments of GitHub."""
    rows = table.rows
    deliveries = [
        Delivery(row.succeeded, row.created, row.id, row.environment.lower(), row.commit)
        for row in rows
        if row.succeeded is not None
    ]
    failures = [(row.environment.lower(), row.ended) for row in rows if row.succeeded is None and row.ended is not None]
    names = {row.environment.lower() for row in rows}
    return Deployed(deliveries, failures, names, selects_nothing=not names and table.read_until is not None)


def _releases(client: Client, repo: Repository, now: datetime) -> Deployed | None:
    """Return the releases as deployments. Raises Rejected when there are more than can be read."""
    start = now - LOOK_BACK
    found = [
        Delivery(one.published, one.published, one.id, RELEASE, one.commit)
        for one in client.releases(repo.owner, repo.name, start)
        if not one.is_prerelease and one.commit and start <= one.published <= now
    ]
    return Deployed(found, None, {RELEASE} if found else ())


@dataclass(slots=True)
class ComparisonCrawl:
    """Compares the commits of deployments, at most COMPARISONS_PER_REFRESH pairs at a time.

    Attributes:
        client: the server
        repo: the repository
        hotfix: patterns for the headlines of hotfixes
        now: the time of the refresh
        progress: is called with the results so far
        problem: is called with a message when GitHub cannot compare two commits
    """

    client: Client
    repo: Repository
    hotfix: Collection[re.Pattern[str]]
    now: datetime
    progress: Callable[[ComparisonTable], None]
    problem: Callable[[str], None]

    def run(self, pairs: Iterable[Pair], table: ComparisonTable) -> ComparisonTable:
        """Return the results for these pairs, in their order, as far as they are known now."""
        wanted = list(pairs)
        known = {pair: brought for pair, brought in table.known if pair in set(wanted)}
        refused = {pair: until for pair, until in table.refused if pair in set(wanted)}
        waiting = self._waiting(refused)
        for pair in waiting:
            self.problem(f'{_named(pair)} could not be compared')
        unknown = [pair for pair in wanted if pair not in known and pair not in waiting]
        # Pairs that failed before come last.
        for pair in sorted(unknown, key=refused.__contains__)[:COMPARISONS_PER_REFRESH]:
            try:
                known[pair] = self._compare(pair)
                refused.pop(pair, None)
            except (NotFound, Rejected) as error:
                refused[pair] = self.now + REFUSED_FOR
                self.problem(f'{_named(pair)} could not be compared: {error}')
            except Unavailable as error:
                if pair not in refused:
                    # It may be chance: the pair is asked for in the next refresh, after all others.
                    refused[pair] = self.now
                    self.progress(_table(known, refused))
                    raise
                refused[pair] = self.now + FAILED_FOR
                self.problem(f'{_named(pair)} could not be compared: {error}')
            self.progress(_table(known, refused))
        return _table(known, self._waiting(refused))

    def _waiting(self, refused: Mapping[Pair, datetime]) -> dict[Pair, datetime]:
        """Return the pairs that are not to be asked for yet."""
        return {pair: until for pair, until in refused.items() if until > self.now}

    def _compare(self, pair: Pair) -> Brought:
        commits, is_behind = self.client.compare(self.repo.owner, self.repo.name, pair.base, pair.head)
        return Brought.of(commits, self.hotfix, is_rollback=is_behind)


def _named(pair: Pair) -> str:
    return f'the deployed commits {pair.base[:12]} and {pair.head[:12]}'


def _table(known: Mapping[Pair, Brought], refused: Mapping[Pair, datetime]) -> ComparisonTable:
    return ComparisonTable(tuple(known.items()), tuple(refused.items()))

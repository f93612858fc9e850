"""The stored state of each block of a repository, with which later refreshes read less and find what has changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from ..core.memo import Learned
from ..core.stored import stored
from .deployment_records import Deployment
from .measures.pull_requests import WEEK, Changes, PullRequests
from .queries import REVIEWS_PAGE
from .records import Commit, Overview, PullRequest, Release
from .reviews import Reviews

# GitHub's lists may show a change a little late.
LAG = timedelta(minutes=5)
# For so long after a merge, checks are asked for again: they fail without changing the pull request.
SETTLED_AFTER = timedelta(days=2)
SETTLED_CHECKS = frozenset({'success', 'failure', 'error', ''})


@stored
class RepositoryFacts:
    """The present name of a repository, its default branch and its releases.

    Attributes:
        owner, name: the present name
        branch: the default branch; None without commits, or while it is unknown
        releases: tags of the newest releases; None when GitHub has never shown them
        read_at: the time of reading
        releases_read_at: since when releases are not announced yet: the last time that GitHub showed all of the newest
        open_count: number of open pull requests; None while it is unknown
        former_branches: earlier names of the default branch, the oldest first
        rollups: states of the checks of its newest commits, as last known; None when GitHub refuses them
    """

    owner: str
    name: str
    branch: str | None
    releases: tuple[str, ...] | None
    read_at: datetime
    releases_read_at: datetime
    open_count: int | None = None
    former_branches: tuple[str, ...] = ()
    rollups: Learned[tuple[str, ...]] | None = None

    @classmethod
    def of(cls, overview: Overview, before: RepositoryFacts | None, now: datetime) -> RepositoryFacts:
        """Return the facts of an overview; parts that GitHub could not give stay as they were.

        Earlier names of the default branch stay while it keeps its name.
        """
        branch, releases = overview.default_branch, overview.releases
        if before is not None and 'defaultBranchRef' in overview.missing:
            branch = before.branch
        tags = None if releases is None else tuple(release.tag for release in releases)
        releases_read_at = now
        if before is not None and (releases is None or 'releases' in overview.missing):
            # Releases that GitHub does not show now are still to be announced.
            releases_read_at = before.releases_read_at
            tags = tuple(dict.fromkeys((*(before.releases or ()), *(tags or ()))))
        former = before.former_branches if before is not None and before.branch in (branch, None) else ()
        rollups: Learned[tuple[str, ...]] | None = Learned(overview.rollups, now.timestamp())
        if not overview.missing.keys().isdisjoint(('newest', 'defaultBranchRef')):
            is_refused = 'newest' in overview.missing and 'newest' not in overview.unknown
            rollups = None if before is None or is_refused else before.rollups
        return cls(
            owner=overview.owner,
            name=overview.name,
            branch=branch,
            releases=tags,
            read_at=now,
            releases_read_at=releases_read_at,
            open_count=overview.open_count,
            former_branches=former,
            rollups=rollups,
        )

    def before_announcing(self, before: RepositoryFacts | None) -> RepositoryFacts:
        """Return the facts while the new releases are not announced yet."""
        if before is None:
            return self
        return replace(self, releases=before.releases, releases_read_at=before.releases_read_at)

    def renamed_from(self, before: RepositoryFacts) -> RepositoryFacts:
        """Return the facts with the earlier names of the default branch."""
        names = [*before.former_branches, *(() if before.branch is None else (before.branch,))]
        return replace(self, former_branches=tuple(name for name in names if name != self.branch))

    def new_releases(self, releases: Iterable[Release]) -> list[Release]:
        """Return the releases published since this state, without older ones that only have another tag now."""
        since, known = self.releases_read_at - LAG, self.releases or ()
        return [release for release in releases if release.published >= since and release.tag not in known]


@stored
class PullRequestHistory:
    """The pull requests that were closed or merged in the window, so that only newly changed ones are read.

    Attributes:
        closed: one row per pull request
        newest_closed: number and time of change of the one that changed last, as GitHub writes it; None without any
        read_until: the last change that was read
        highest_number: the highest number of all pull requests; a higher one is new
        read_at: the time of reading
        has_all_closed: False when GitHub did not show one of them; they are read again
        reviews: by the number of an open one, the reviews that do not fit in one page, as far as they have been read
        open: the numbers of the open ones
    """

    closed: tuple[PullRequest, ...]
    newest_closed: tuple[int, str] | None
    read_until: datetime
    highest_number: int
    read_at: datetime
    has_all_closed: bool
    reviews: dict[int, Reviews]
    open: frozenset[int] = frozenset()

    @classmethod
    def of(
        cls, pulls: PullRequests, overview: Overview, before: PullRequestHistory | None, now: datetime
    ) -> PullRequestHistory:
        """Return the state after reading the pull requests."""
        known = before.highest_number if before is not None else 0
        return cls(
            closed=tuple(pulls.closed),
            newest_closed=overview.newest_closed,
            read_until=max((pull.updated for pull in pulls.closed), default=now),
            highest_number=max((pull.number for pull in (*pulls.open, *pulls.closed)), default=known),
            read_at=now,
            has_all_closed=pulls.has_all_closed,
            reviews={pull.number: pull.reviews for pull in pulls.open if pull.reviews.total > REVIEWS_PAGE},
            open=frozenset(pull.number for pull in pulls.open),
        )

    def unchanged(self, overview: Overview) -> bool:
        """Return whether no closed pull request has changed since."""
        return 'newestClosed' not in overview.missing and overview.newest_closed == self.newest_closed

    def unsettled(self, now: datetime) -> list[str]:
        """Return the ids of the merged pull requests of which the checks may have changed since."""
        recent = (pull for pull in self.closed if pull.merged is not None and pull.merged >= now - WEEK)
        return [pull.id for pull in recent if not _is_settled(pull, now)]

    def changes(self, pulls: Iterable[PullRequest]) -> Changes:
        """Return the numbers of pull requests that were opened, merged and closed since."""
        since = self.read_at - LAG
        states = {pull.number: pull.state for pull in self.closed}
        opened = merged = closed = 0
        for pull in pulls:
            state = states.get(pull.number, 'open')
            opened += pull.number > self.highest_number and pull.created >= since
            merged += pull.state == 'merged' != state and _is_since(pull.merged, since)
            closed += pull.state == 'closed' != state and _is_since(pull.closed, since)
        return Changes(opened, merged, closed)


def _is_settled(pull: PullRequest, now: datetime) -> bool:
    return pull.checks in SETTLED_CHECKS and pull.merged is not None and pull.merged < now - SETTLED_AFTER


def _is_since(at: datetime | None, since: datetime) -> bool:
    return at is not None and at >= since


@stored
class CommitHistory:
    """The commits of the default branch in the window, so that only new ones are read."""

    commits: tuple[Commit, ...]

    def hidden(self, overview: Overview) -> int:
        """Return the number of commits that GitHub counts but does not show."""
        return max(0, (overview.commit_count or 0) - len(self.commits))

    def problems(self, overview: Overview) -> Iterator[str]:
        """Yield lines about commits that GitHub does not show, or whose lines it does not count."""
        if hidden := self.hidden(overview):
            reason = overview.hidden.get('inWindow', 'it gives no reason')
            yield f'GitHub does not show {hidden} of {overview.commit_count} commits: {reason}'
        uncounted = sum(None in (commit.additions, commit.deletions) for commit in self.commits if not commit.is_merge)
        if uncounted:
            yield f'GitHub does not count the lines of {uncounted} commits: code.lines_* are unknown'

    def extended(self, overview: Overview, start: datetime) -> dict[str, Commit] | None:
        """Return the commits since a time, by id; None when commits between the known and the newest are unknown."""
        known = {commit.oid: commit for commit in self.commits if commit.committed >= start}
        newest = {commit.oid: commit for commit in overview.newest_commits}
        if known and newest and known.keys().isdisjoint(newest):
            # The history was rewritten. Equal numbers of commits would prove nothing.
            return None
        found = {**known, **newest}
        return found if len(found) == overview.commit_count else None


@stored
class DeploymentHistory:
    """The deployments that are known to have ended, so that each is counted once and a change of outcome is an event.

    Attributes:
        ended: ids of the ended deployments of the window
        outcomes: the last outcome by environment, without a limit of age, so that a recovery after weeks is an event
    """

    ended: frozenset[str]
    outcomes: dict[str, str]

    def new_ends(self, deployments: Iterable[Deployment]) -> list[Deployment]:
        """Return the deployments that have ended since."""
        return [one for one in deployments if one.outcome is not None and one.id not in self.ended]

"""Reads the open pull requests, and the closed ones that have changed since the last refresh."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ..core.errors import BadPayload, Forbidden, NotFound, Rejected, Unavailable
from ..core.fields import moment
from .client import Client, PullRequestPage
from .history import LAG, PullRequestHistory
from .measures.pull_requests import WEEK, PullRequests
from .queries import CHECKED_IDS, CLOSED_PAGE_WARM, CLOSED_REPOSITORIES
from .records import Overview, PullRequest
from .repository import Repository
from .reviews import Reviews

# Requests of a refresh for reviews beyond those that the lists show. The crawl goes on in the next refresh.
REVIEW_REQUESTS = 5
# Metrics that need reviews beyond those that the lists show.
NEED_REVIEWS = (
    'prs.with_review_comments_pct',
    'prs.waiting_for_review',
    'prs.oldest_unreviewed_hours',
    'prs.time_to_first_review_hours.avg',
    'prs.time_to_first_review_hours.p50',
    'prs.time_to_first_review_hours.p90',
    'prs.first_approval_hours.p50',
    'prs.first_approval_hours.p90',
    'prs.approval_to_merge_hours.p50',
    'prs.approval_to_merge_hours.p90',
    'prs.review_rounds.avg',
    'prs.review_rounds.p50',
    'prs.merged_without_approval_7d',
)
# Errors that concern one request, so that the figures that do not need it are still known.
REFUSALS = (BadPayload, Forbidden, NotFound, Rejected, Unavailable)


@dataclass(frozen=True, slots=True)
class Checks:
    """The present checks of merged pull requests, of any number of repositories.

    Attributes:
        states: the states by id; None and missing ones are unknown
        problems: lines about those that could not be read
    """

    states: Mapping[str, str | None] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    @classmethod
    def read(cls, client: Client, ids: Sequence[str]) -> Checks:
        """Read the checks of pull requests. After a request that fails, the rest is unknown."""
        found: dict[str, str | None] = {}
        problems: list[str] = []
        try:
            for place in range(0, len(ids), CHECKED_IDS):
                states, hidden = client.checks(ids[place : place + CHECKED_IDS])
                found |= states
                problems += hidden
        except REFUSALS as error:
            problems.append(f'the checks of pull requests could not be read again: {error}')
        return cls(found, tuple(dict.fromkeys(problems)))

    def with_states(self, states: Mapping[str, str | None]) -> Checks:
        """Return these checks and further ones."""
        return Checks({**self.states, **states}, self.problems)

    def applied_to(self, pull: PullRequest, asked: Collection[str]) -> PullRequest:
        """Return a pull request with its present checks if they were asked for."""
        return pull._replace(checks=self.states.get(pull.id)) if pull.id in asked else pull


@dataclass(frozen=True, slots=True)
class SharedReading:
    """The parts of the closed pull requests of a repository that were read together with those of other repositories.

    Attributes:
        checks: the present checks of merged ones; None: they are to be read with the page of those that changed
        first: the first page, for a repository that was never read; None: it was not read together
    """

    checks: Checks | None = None
    first: PullRequestPage | None = None


def read_together(
    client: Client, group: Sequence[tuple[Repository, Overview, PullRequestHistory | None]], now: datetime
) -> dict[str, SharedReading]:
    """Return what can be read of the closed pull requests of several repositories at once, by the key of each."""
    new = {one.key: (o.owner, o.name) for one, o, before in group if before is None and has_recent(o, now - WEEK)}
    settled = {
        one.key: before.unsettled(now)
        for one, overview, before in group
        if before is not None and before.has_all_closed and (before.unchanged(overview) or len(group) > 1)
    }
    checks = Checks.read(client, [identity for ids in settled.values() for identity in ids])
    first = _first_pages(client, new) if len(new) > 1 else {}
    return {key: SharedReading(checks if key in settled else None, first.get(key)) for key in (*settled, *first)}


def has_recent(overview: Overview, start: datetime) -> bool:
    """Return False if no closed pull request has changed since a time."""
    if 'newestClosed' in overview.missing:
        return True
    if overview.newest_closed is None:
        return False
    changed = moment(overview.newest_closed[1])
    return changed is None or changed >= start


def _first_pages(client: Client, slugs: Mapping[str, tuple[str, str]]) -> dict[str, PullRequestPage]:
    """Return the first pages of some repositories. After a query that fails, the others are asked for one by one."""
    found: dict[str, PullRequestPage] = {}
    keys = list(slugs)
    for place in range(0, len(keys), CLOSED_REPOSITORIES):
        try:
            found |= client.first_closed({key: slugs[key] for key in keys[place : place + CLOSED_REPOSITORIES]})
        except REFUSALS:
            break
    return found


@dataclass(slots=True)
class PullRequestCrawl:
    """One reading of the pull requests of a repository.

    Attributes:
        client: the server
        overview: the answer to the first query, with the first page of the open ones
        before: the state after the last reading; None: read the whole window
        landed: numbers of closed ones that a bot has merged by a commit of its own
        shared: the parts that were read together with other repositories
        now: the time of the refresh
        problems: GitHub's messages about parts that it does not show
        has_unread_reviews: whether `run` has left reviews for the next refresh
    """

    client: Client
    overview: Overview
    before: PullRequestHistory | None
    landed: Collection[int]
    shared: SharedReading
    now: datetime
    problems: list[str] = field(default_factory=list)
    has_unread_reviews: bool = False
    _has_all_open: bool = True
    _has_all_closed: bool = True

    def run(self) -> PullRequests:
        """Return the open pull requests, and those merged or closed in the window."""
        listed = self._open()
        opened, closed = _without_former_states(listed, self._closed(listed.keys()))
        # One without a change in the window was not closed in it either.
        recent = [pull for pull in closed.values() if pull.updated >= self.now - WEEK]
        crawl = ReviewCrawl(self.client, REVIEW_REQUESTS, self.problems)
        read_closed = crawl.run(map(self._as_merged, recent))
        read_open = crawl.run(map(self._with_known_reviews, opened.values()))
        self.has_unread_reviews = crawl.has_unread
        return PullRequests(
            closed=read_closed,
            open=read_open,
            open_count=self.overview.open_count,
            has_all_open=self._has_all_open,
            has_all_closed=self._has_all_closed,
        )

    def _open(self) -> dict[int, PullRequest]:
        overview = self.overview
        found = {pull.number: pull for pull in overview.open}
        self._has_all_open = overview.has_all_open
        if message := overview.hidden.get('openPullRequests'):
            self.problems.append(f'GitHub does not show parts of pull requests: {message}')
        if overview.open_after is not None:
            for page in self.client.open_pull_requests(overview.owner, overview.name, overview.open_after):
                found |= {pull.number: pull for pull in page.rows}
                self._has_all_open &= page.is_complete
                self.problems += page.problems
        return found

    def _as_merged(self, pull: PullRequest) -> PullRequest:
        """Return a closed pull request as merged when a commit says that it was merged."""
        is_landed = pull.state == 'closed' and pull.number in self.landed
        return pull._replace(state='merged', merged=pull.closed) if is_landed else pull

    def _with_known_reviews(self, pull: PullRequest) -> PullRequest:
        """Return an open pull request with the reviews that earlier refreshes have read beyond the first page."""
        known = self.before.reviews.get(pull.number) if self.before is not None else None
        if known is None or known.read <= pull.reviews.read:
            return pull
        return pull._replace(reviews=known._replace(total=pull.reviews.total))

    def _closed(self, opened: Collection[int]) -> dict[int, PullRequest]:
        """Return the known closed pull requests with those that have changed since, and their present checks.

        `opened` are the numbers of the open ones. One that was open and is not any more has changed, also when the list
        of closed ones showed a later one before it.
        """
        before, start = self.before, self.now - WEEK
        if before is None and not has_recent(self.overview, start):
            return {}
        if before is None or not before.has_all_closed:
            return self._closed_since(start)[0]
        ids = before.unsettled(self.now)
        changed: dict[int, PullRequest] = {}
        checks = self.shared.checks
        if not before.unchanged(self.overview) or not before.open.issubset(opened):
            stop = max(start, before.read_until - LAG)
            asked = ids if checks is None else []
            changed, states = self._closed_since(stop, CLOSED_PAGE_WARM, asked[:CHECKED_IDS])
            checks = checks or Checks.read(self.client, asked[CHECKED_IDS:]).with_states(states)
        checks = checks or Checks()
        self.problems += checks.problems
        known = {pull.number: checks.applied_to(pull, ids) for pull in before.closed}
        return known | changed

    def _closed_since(
        self, stop: datetime, size: int | None = None, known: Sequence[str] = ()
    ) -> tuple[dict[int, PullRequest], dict[str, str | None]]:
        """Return the closed pull requests that changed since a time, and the checks of known ones, by id."""
        found: dict[int, PullRequest] = {}
        checks: dict[str, str | None] = {}
        for page in self._closed_pages(size, known):
            found |= {pull.number: pull for pull in page.rows if pull.updated >= stop}
            checks |= page.checks
            self._has_all_closed &= page.is_complete
            self.problems += page.problems
            # They are sorted by their last change, and a pull request that is closed changes: all others are older.
            if any(pull.updated < stop for pull in page.rows):
                break
        return found, checks

    def _closed_pages(self, size: int | None, known: Sequence[str]) -> Iterator[PullRequestPage]:
        """Yield the pages of closed pull requests, the one that was read together with others first."""
        first = self.shared.first
        if first is not None:
            yield first
        if first is None or first.cursor is not None:
            after = None if first is None else first.cursor
            owner, name = self.overview.owner, self.overview.name
            yield from self.client.closed_pull_requests(owner, name, size=size, known=known, after=after)


def _without_former_states(
    opened: Mapping[int, PullRequest], closed: Mapping[int, PullRequest]
) -> tuple[dict[int, PullRequest], dict[int, PullRequest]]:
    """Return open and closed pull requests, each of them once.

    One that was re-opened is open. One that was closed a moment ago may be in both lists, which lag behind.
    """
    both = opened.keys() & closed.keys()
    reopened = {key for key in both if opened[key].updated > closed[key].updated}
    return (
        {key: pull for key, pull in opened.items() if key not in both or key in reopened},
        {key: pull for key, pull in closed.items() if key not in reopened},
    )


@dataclass(slots=True)
class ReviewCrawl:
    """Reads reviews beyond those that a list shows, where a figure needs them.

    Attributes:
        client: the server
        requests: the number of requests that are left
        problems: GitHub's messages about reviews that it does not show
        has_unread: whether `run` needed more requests than were left
        has_failed: whether a request has failed, after which none is sent
    """

    client: Client
    requests: int
    problems: list[str]
    has_unread: bool = False
    has_failed: bool = False

    def run(self, pulls: Iterable[PullRequest]) -> list[PullRequest]:
        """Return these pull requests with the reviews that could be read."""
        return [self._read_on(pull) for pull in pulls]

    def _read_on(self, pull: PullRequest) -> PullRequest:
        reviews = pull.reviews
        while not self.has_failed and _has_unread(pull.state, reviews):
            if self.requests == 0:
                self.has_unread = True
                break
            self.requests -= 1
            try:
                reviews = reviews.followed_by(self.client.more_reviews(pull.id, reviews.after))
            except REFUSALS as error:
                self.problems.append(f'reviews of pull request {pull.number} could not be read: {error}')
                self.has_failed = True
        return pull._replace(reviews=reviews)


def _has_unread(state: str, reviews: Reviews) -> bool:
    """Return whether GitHub has more reviews, and a figure needs them."""
    if not reviews.is_visible or reviews.after is None or reviews.read >= reviews.total:
        return False
    # The first review and the first approval stay what they are. The last approval and the rounds count at the end.
    return state != 'open' or reviews.first is None or reviews.first_approval is None

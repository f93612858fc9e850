"""Figures of pull requests, with one request for each of their lists: reviews, events, commits and files.

The decision of the reviews and the checks of a commit are not in REST and come from GraphQL.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from github.PaginatedList import PaginatedList
from github.PullRequest import PullRequest
from github.PullRequestReview import PullRequestReview
from github.TimelineEvent import TimelineEvent

from .people import Bots
from .reading import Reading, Row, hours, mean, percentile, spread

SIZES = {'xs': 10, 's': 50, 'm': 250, 'l': 1000}
DECISIONS = ('approved', 'changes_requested', 'review_required', 'none')
CHECKED_PULLS = 50
OPEN_DECISIONS = """
query($owner: String!, $name: String!, $after: String) {
  repository(owner: $owner, name: $name) {
    pullRequests(first: 100, after: $after, states: OPEN) {
      nodes { number reviewDecision }
      pageInfo { hasNextPage endCursor }
    }
  }
}
"""
CHECKS = """
query($ids: [ID!]!) {
  nodes(ids: $ids) {
    ... on PullRequest { commits(last: 1) { nodes { commit { statusCheckRollup { state } } } } }
  }
}
"""


class Pull:
    """A pull request with lists that are requested when they are first needed."""

    def __init__(self, reading: Reading, pull: PullRequest, bots: Bots) -> None:
        self.listed = pull
        self.number = pull.number
        self._reading = reading
        self._bots = bots

    @cached_property
    def whole(self) -> PullRequest:
        """The pull request with its sums, which lists do not have."""
        return self._reading.repository.get_pull(self.number)

    @property
    def is_by_bot(self) -> bool:
        """True for the pull request of a bot."""
        return self._bots.is_account(self.listed.user)

    @cached_property
    def reviews(self) -> list[PullRequestReview]:
        """Submitted reviews by people other than the author, the oldest first."""
        url = f'{self._reading.repository.url}/pulls/{self.number}/reviews'
        everything = PaginatedList(PullRequestReview, self._reading.repository.requester, url, None)
        found = [
            review
            for review in everything
            if review.submitted_at and not self._bots.is_account(review.user) and not self._is_own(review)
        ]
        return sorted(found, key=lambda review: review.submitted_at)

    def _is_own(self, review: PullRequestReview) -> bool:
        """Return whether a review is by the author, who can comment but neither approve nor request changes."""
        author = self.listed.user
        if review.user is None or author is None:
            return review.user is author and review.state == 'COMMENTED'
        return bool(review.user.login.lower() == author.login.lower())

    def approvals(self, until: datetime) -> list[datetime]:
        """Return the times of the approvals by people until then, the oldest first."""
        return [one.submitted_at for one in self.reviews if one.state == 'APPROVED' and one.submitted_at <= until]

    @cached_property
    def ready_at(self) -> datetime:
        """The creation, or the last time before the first review at which the pull request left draft."""
        url = f'{self._reading.repository.url}/issues/{self.number}/timeline'
        events = PaginatedList(TimelineEvent, self._reading.repository.requester, url, None)
        until = self.reviews[0].submitted_at if self.reviews else self.listed.merged_at or self._reading.now
        left = [one.created_at for one in events if one.event == 'ready_for_review' and one.created_at <= until]
        return max([self.listed.created_at, *left])


@dataclass(frozen=True, slots=True)
class Merged:
    """A pull request merged in the week. `moment`: the merge, or the closing by a bot that merged it by itself."""

    pull: Pull
    moment: datetime


class Pulls:
    """The open pull requests, and those that ended in the week."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.bots = Bots(reading.option('bots', ()))
        only_people = bool(reading.option('exclude_bots', False))

        def made(pulls: Iterable[PullRequest]) -> list[Pull]:
            found = [Pull(reading, pull, self.bots) for pull in pulls]
            return [pull for pull in found if not (only_people and pull.is_by_bot)]

        repository = reading.repository
        self.opened = made(repository.get_pulls(state='open'))
        self.ended = made(self._updated_in_week())
        self.created = sum(1 for pull in self._created_in_week() if not (only_people and pull.is_by_bot))
        self.merged_elsewhere = _merged_by_commit(reading)
        self.merged = list(self._merged())

    def _updated_in_week(self) -> Iterator[PullRequest]:
        """Yield the closed pull requests updated in the week; one that ended in it was also updated in it."""
        for pull in self.reading.repository.get_pulls(state='closed', sort='updated', direction='desc'):
            if _untouched_since(pull, self.reading.start):
                return
            yield pull

    def _created_in_week(self) -> Iterator[Pull]:
        for pull in self.reading.repository.get_pulls(state='all', sort='created', direction='desc'):
            if pull.created_at < self.reading.start:
                return
            yield Pull(self.reading, pull, self.bots)

    def _merged(self) -> Iterator[Merged]:
        for pull in self.ended:
            moment = pull.listed.merged_at
            if moment is None and pull.number in self.merged_elsewhere:
                moment = pull.listed.closed_at
            if moment is not None and self.reading.covers(moment):
                yield Merged(pull, moment)


def _untouched_since(pull: PullRequest, moment: datetime) -> bool:
    return pull.updated_at is not None and pull.updated_at < moment


def _merged_by_commit(reading: Reading) -> set[int]:
    """Return the numbers of pull requests that commits of the week name as merged (option merge_commit_patterns)."""
    patterns = [
        re.compile(pattern, re.IGNORECASE | re.MULTILINE) for pattern in reading.option('merge_commit_patterns', ())
    ]
    if not patterns:
        return set()
    commits = reading.repository.get_commits(sha=reading.repository.default_branch, since=reading.start)
    messages = [commit.commit.message for commit in commits]
    return {int(found[1]) for text in messages for pattern in patterns for found in pattern.finditer(text)}


def rows(reading: Reading) -> Iterator[Row]:
    """Yield the figures of pull requests."""
    pulls = Pulls(reading)
    yield from _open(pulls)
    yield from _ended(pulls)
    yield from _by_author(pulls)
    yield from _first_opinions(pulls)
    yield from _reviews(pulls)
    yield from _times(pulls)
    yield from _sizes(pulls)
    yield from _checks(pulls)
    yield 'code.files_changed_7d', _changed_paths(reading), {}


def _open(pulls: Pulls) -> Iterator[Row]:
    now = pulls.reading.now
    yield 'prs.open', len(pulls.opened), {}
    ready = [pull for pull in pulls.opened if not pull.listed.draft]
    quiet = now - timedelta(days=14)
    yield 'prs.stale_count_14d', sum(_untouched_since(pull.listed, quiet) for pull in ready), {}
    ages = [hours(pull.listed.created_at, now) for pull in ready]
    yield from spread('prs.age_hours', ages, ('avg', 'p50', 'p90', 'max'))
    decisions = dict(_decisions(pulls.reading))
    states = Counter((pull.listed.draft, decisions.get(pull.number, 'none')) for pull in pulls.opened)
    for draft in (True, False):
        for decision in DECISIONS:
            tags = {'draft': str(draft).lower(), 'review': decision}
            yield 'prs.open_by_state', states[draft, decision], tags
    waiting = [pull for pull in ready if not pull.reviews and decisions.get(pull.number) != 'approved']
    yield 'prs.waiting_for_review', len(waiting), {}
    yield 'prs.oldest_unreviewed_hours', max((hours(pull.ready_at, now) for pull in waiting), default=None), {}


def _decisions(reading: Reading) -> Iterator[tuple[int, str]]:
    """Yield the decision of the reviews by the number of an open pull request."""
    after: str | None = None
    while True:
        page: dict[str, Any] = reading.graphql(OPEN_DECISIONS, after=after)['pullRequests']
        for node in page['nodes']:
            yield node['number'], (node['reviewDecision'] or 'none').lower()
        if not page['pageInfo']['hasNextPage']:
            return
        after = page['pageInfo']['endCursor']


def _ended(pulls: Pulls) -> Iterator[Row]:
    reading, count = pulls.reading, len(pulls.merged)
    merged = {one.pull.number for one in pulls.merged}
    closed = sum(reading.covers(pull.listed.closed_at) and not pull.listed.merged_at for pull in pulls.ended)
    closed -= sum(one.pull.listed.merged_at is None for one in pulls.merged)
    yield 'prs.merged_7d', len(merged), {}
    yield 'prs.merged_24h', sum(one.moment >= reading.now - timedelta(hours=24) for one in pulls.merged), {}
    yield 'prs.closed_without_merge_7d', closed, {}
    yield 'prs.merge_ratio_pct', 100 * count / (count + closed) if count + closed else None, {}
    yield 'prs.opened_7d', pulls.created, {}
    labels = {label.lower() for label in reading.option('hotfix_labels', ())}
    if labels:
        named = [{label.name.lower() for label in one.pull.listed.labels} for one in pulls.merged]
        yield 'prs.hotfix_merged_7d', sum(not labels.isdisjoint(names) for names in named), {}


def _by_author(pulls: Pulls) -> Iterator[Row]:
    for kind in ('human', 'bot'):
        tags = {'author_type': kind}
        if kind == 'bot' and pulls.reading.option('exclude_bots', False):
            return
        yield 'prs.open_by_author', sum(pull.is_by_bot == (kind == 'bot') for pull in pulls.opened), tags
        merged = [one for one in pulls.merged if one.pull.is_by_bot == (kind == 'bot')]
        yield 'prs.merged_by_author_7d', len(merged), tags
        cycle = [hours(one.pull.ready_at, one.moment) for one in merged]
        yield from spread('prs.cycle_time_by_author_hours', cycle, ('p50', 'p90'), tags)


def _first_opinions(pulls: Pulls) -> Iterator[Row]:
    """Yield the times to first reviews and approvals of the week. A review updates its pull request."""
    first, approved = [], []
    for pull in (*pulls.opened, *pulls.ended):
        if _untouched_since(pull.listed, pulls.reading.start) or not pull.reviews:
            continue
        if pulls.reading.covers(moment := pull.reviews[0].submitted_at):
            first.append(hours(pull.ready_at, moment))
        if (times := pull.approvals(pulls.reading.now)) and pulls.reading.covers(times[0]):
            approved.append(hours(pull.ready_at, times[0]))
    yield from spread('prs.time_to_first_review_hours', first, ('avg', 'p50', 'p90'))
    yield from spread('prs.first_approval_hours', approved, ('p50', 'p90'))


def _reviews(pulls: Pulls) -> Iterator[Row]:
    merged = pulls.merged
    reviewed = sum(bool(one.pull.reviews) for one in merged)
    yield 'prs.with_review_comments_pct', 100 * reviewed / len(merged) if merged else None, {}
    comments = [float(one.pull.whole.comments + one.pull.whole.review_comments) for one in merged]
    yield 'prs.avg_comments_per_pr', mean(comments), {}
    rounds = [float(sum(one.state == 'CHANGES_REQUESTED' for one in merge.pull.reviews)) for merge in merged]
    yield from spread('prs.review_rounds', rounds, ('avg', 'p50'))
    approvals = [(one.moment, one.pull.approvals(one.moment)) for one in merged]
    yield 'prs.merged_without_approval_7d', sum(not times for _, times in approvals), {}
    lasting = [hours(times[-1], moment) for moment, times in approvals if times]
    yield from spread('prs.approval_to_merge_hours', lasting, ('p50', 'p90'))


def _times(pulls: Pulls) -> Iterator[Row]:
    to_merge = [hours(one.pull.listed.created_at, one.moment) for one in pulls.merged]
    yield 'prs.avg_time_to_merge_hours', mean(to_merge), {}
    yield from spread('prs.time_to_merge_hours', to_merge, ('p50', 'p90'))
    cycle = [hours(one.pull.ready_at, one.moment) for one in pulls.merged]
    yield 'prs.cycle_time_hours', percentile(cycle, 50), {}
    yield from spread('prs.cycle_time_hours', cycle, ('avg', 'p50', 'p90'))
    coding = []
    for one in pulls.merged:
        first = one.pull.listed.get_commits().get_page(0)[0]
        coding.append(hours(first.commit.author.date, one.pull.listed.created_at))
    yield from spread('prs.coding_time_hours', coding, ('p50', 'p90'))


def _sizes(pulls: Pulls) -> Iterator[Row]:
    lines = [one.pull.whole.additions + one.pull.whole.deletions for one in pulls.merged]
    yield from spread('prs.size_lines', [float(number) for number in lines], ('p50', 'p90'))
    numbers = Counter(next((size for size, limit in SIZES.items() if number < limit), 'xl') for number in lines)
    for size in (*SIZES, 'xl'):
        yield 'prs.merged_by_size_7d', numbers[size], {'size': size}


def _checks(pulls: Pulls) -> Iterator[Row]:
    """Yield the number of merged pull requests whose last commit has failed checks."""
    requester = pulls.reading.repository.requester
    ids = [one.pull.listed.node_id for one in pulls.merged]
    red = 0
    for start in range(0, len(ids), CHECKED_PULLS):
        _, answer = requester.graphql_query(CHECKS, {'ids': ids[start : start + CHECKED_PULLS]})
        for node in answer['data']['nodes']:
            rollup = node['commits']['nodes'][0]['commit']['statusCheckRollup'] or {}
            red += rollup.get('state') in ('FAILURE', 'ERROR')
    yield 'prs.merged_red_7d', red, {}


def _changed_paths(reading: Reading) -> int:
    """Return the number of paths that the pull requests merged into the default branch in the week changed."""
    paths: set[str] = set()
    for pull in reading.repository.get_pulls(state='closed', sort='updated', direction='desc'):
        if _untouched_since(pull, reading.start):
            break
        if reading.covers(pull.merged_at) and pull.base.ref == reading.repository.default_branch:
            paths.update(file.filename for file in pull.get_files())
    return len(paths)

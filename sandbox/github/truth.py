"""The figures that the check should report of a repository, computed by loops over its data.

People are counted as people, not by their addresses. Shares no code with the check.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from ..server import Figure
from . import truth_ci
from .model import Pull, Repository, Review
from .spread import Row, quantile, spread

PREFIX = 'metta.github.'
WEEK = timedelta(days=7)
HOTFIX = re.compile(r'\[?hotfix\b', re.IGNORECASE)
REVERT_TYPE = re.compile(r'revert(\([^)]*\))?:')
SIZES = ((10, 'xs'), (50, 's'), (250, 'm'), (1000, 'l'))


def base_tags(repository: Repository) -> tuple[str, str]:
    """Return the tags of every figure of a repository."""
    return f'org:{repository.owner}'.lower(), f'repo:{repository.name_with_owner}'.lower()


def figures(repository: Repository, now: datetime, required: Iterable[str]) -> Iterator[Figure]:
    """Compute all true figures of a repository at `now`."""
    base = base_tags(repository)
    for part in (
        pulls(repository, now),
        review_times(repository, now),
        commits(repository, now),
        surroundings(repository, now),
        truth_ci.rows(repository, now, tuple(required)),
    ):
        yield from as_figures(part, base)


def as_figures(rows: Iterable[Row], base: Iterable[str]) -> Iterator[Figure]:
    """Convert rows to figures with the base tags; unknown values are left out."""
    for name, value, tags in rows:
        if value is not None:
            own = (f'{key}:{tag}'.lower() for key, tag in tags.items())
            yield Figure(PREFIX + name, float(value), tuple(sorted((*base, *own))))


def hours(start: datetime, end: datetime) -> float:
    """Return the hours between two moments, never negative."""
    return max(0.0, (end - start).total_seconds() / 3600)


def is_own(review: Review, pull: Pull) -> bool:
    """Return whether a review is by the author of the pull request.

    Deleted accounts look alike. Since nobody can approve an own pull request or request changes of it, only a comment
    by a deleted account may be the author's.
    """
    if review.author is None and pull.author is None:
        return review.state == 'COMMENTED'
    return review.author == pull.author


def human_reviews(pull: Pull) -> list[Review]:
    """Return reviews by people other than the author, in order."""
    found = []
    for review in pull.reviews:
        by_machine = review.author is not None and review.author.machine
        if not by_machine and not is_own(review, pull):
            found.append(review)
    return sorted(found, key=lambda review: review.submitted_at)


def author_type(pull: Pull) -> str:
    """Return the tag value for the author of a pull request. A deleted account was a person's."""
    return 'bot' if pull.author is not None and pull.author.machine else 'human'


def approvals(pull: Pull, until: datetime) -> list[datetime]:
    """Return the times of the approvals by people other than the author until then, in order."""
    rows = [row.submitted_at for row in human_reviews(pull) if row.state == 'APPROVED']
    return [moment for moment in rows if moment <= until]


def ready_at(pull: Pull, now: datetime) -> datetime:
    """Return the time at which a pull request was last made ready for its first review."""
    reviews = human_reviews(pull)
    limit = reviews[0].submitted_at if reviews else pull.merged_at or now
    ready = pull.created_at
    for event in pull.timeline:
        if event.kind == 'READY_FOR_REVIEW_EVENT' and event.created_at <= limit:
            ready = max(ready, event.created_at)
    return ready


def merged_between(repository: Repository, start: datetime, end: datetime) -> list[tuple[Pull, datetime]]:
    """Return pull requests that were merged between two moments, with the time of the merge."""
    merges = [(pull, pull.merged_at) for pull in repository.pulls.values()]
    return [(pull, moment) for pull, moment in merges if moment is not None and start <= moment <= end]


def pulls(repository: Repository, now: datetime) -> Iterator[Row]:
    """Compute the figures of open, merged and closed pull requests."""
    start = now - WEEK
    everything = list(repository.pulls.values())
    opened = [pull for pull in everything if pull.state == 'OPEN']
    merges = merged_between(repository, start, now)
    merged = [pull for pull, _ in merges]
    closed = [
        pull for pull in everything if pull.state == 'CLOSED' and pull.closed_at and start <= pull.closed_at <= now
    ]
    count = len(merged)

    yield 'prs.open', len(opened), {}
    yield 'prs.merged_7d', count, {}
    yield 'prs.closed_without_merge_7d', len(closed), {}
    yield 'prs.opened_7d', sum(start <= pull.created_at <= now for pull in everything), {}
    yield 'prs.merged_24h', sum(moment >= now - timedelta(hours=24) for _, moment in merges), {}
    yield 'prs.merge_ratio_pct', 100 * count / (count + len(closed)) if merged or closed else None, {}
    quiet = now - timedelta(days=14)
    yield 'prs.stale_count_14d', sum(not pull.is_draft and pull.updated_at < quiet for pull in opened), {}

    to_merge = [hours(pull.created_at, moment) for pull, moment in merges]
    yield 'prs.avg_time_to_merge_hours', sum(to_merge) / count if merged else None, {}
    yield from spread('prs.time_to_merge_hours', to_merge, ('p50', 'p90'))
    cycle = [hours(ready_at(pull, now), moment) for pull, moment in merges]
    yield 'prs.cycle_time_hours', quantile(sorted(cycle), 0.5) if merged else None, {}
    yield from spread('prs.cycle_time_hours', cycle, ('avg', 'p50', 'p90'))

    reviewed = sum(1 for pull in merged if human_reviews(pull))
    yield 'prs.with_review_comments_pct', 100 * reviewed / count if merged else None, {}
    comments = sum(pull.comments + pull.review_comments for pull in merged)
    yield 'prs.avg_comments_per_pr', comments / count if merged else None, {}
    rounds = [float(sum(review.state == 'CHANGES_REQUESTED' for review in human_reviews(pull))) for pull in merged]
    yield from spread('prs.review_rounds', rounds, ('avg', 'p50'))
    without = [pull for pull, moment in merges if not approvals(pull, moment)]
    yield 'prs.merged_without_approval_7d', len(without), {}
    for kind in ('human', 'bot'):
        tags = {'author_type': kind}
        yield 'prs.open_by_author', sum(author_type(pull) == kind for pull in opened), tags
        yield 'prs.merged_by_author_7d', sum(author_type(pull) == kind for pull in merged), tags
        own = [hours(ready_at(pull, now), moment) for pull, moment in merges if author_type(pull) == kind]
        yield from spread('prs.cycle_time_by_author_hours', own, ('p50', 'p90'), tags)
    yield 'prs.merged_red_7d', sum(pull.commits[-1].rollup in ('FAILURE', 'ERROR') for pull in merged), {}

    lines = [pull.additions + pull.deletions for pull in merged]
    yield from spread('prs.size_lines', [float(number) for number in lines], ('p50', 'p90'))
    sizes = Counter(next((name for limit, name in SIZES if number < limit), 'xl') for number in lines)
    for size in ('xs', 's', 'm', 'l', 'xl'):
        yield 'prs.merged_by_size_7d', sizes[size], {'size': size}

    states = Counter((pull.is_draft, (pull.review_decision or 'none').lower()) for pull in opened)
    for draft in (True, False):
        for decision in ('approved', 'changes_requested', 'review_required', 'none'):
            yield 'prs.open_by_state', states[draft, decision], {'draft': str(draft).lower(), 'review': decision}
    ready = [pull for pull in opened if not pull.is_draft]
    yield from spread('prs.age_hours', [hours(pull.created_at, now) for pull in ready], ('avg', 'p50', 'p90', 'max'))

    yield 'code.files_changed_7d', len({path for pull in merged for path in own_paths(repository, pull)}), {}


def own_paths(repository: Repository, pull: Pull) -> list[str]:
    """Return the paths that a pull request to the default branch changes; none for others."""
    if pull.base_ref_name != repository.default_branch:
        return []
    return [path for path, _, _ in pull.files]


def review_times(repository: Repository, now: datetime) -> Iterator[Row]:
    """Compute the times between opening, reviews, approvals and merges."""
    start = now - WEEK
    waiting, first, approved, approval, coding = [], [], [], [], []
    for pull in repository.pulls.values():
        reviews = human_reviews(pull)
        if pull.state == 'OPEN' and not pull.is_draft and not reviews and pull.review_decision != 'APPROVED':
            waiting.append(hours(ready_at(pull, now), now))
        if reviews and start <= reviews[0].submitted_at <= now:
            first.append(hours(ready_at(pull, now), reviews[0].submitted_at))
        if (times := approvals(pull, now)) and times[0] >= start:
            approved.append(hours(ready_at(pull, now), times[0]))
    for pull, merged_at in merged_between(repository, start, now):
        if in_time := approvals(pull, merged_at):
            approval.append(hours(in_time[-1], merged_at))
        coding.append(hours(pull.commits[0].authored_date, pull.created_at))
    yield 'prs.waiting_for_review', len(waiting), {}
    yield 'prs.oldest_unreviewed_hours', max(waiting, default=None), {}
    yield from spread('prs.time_to_first_review_hours', first, ('avg', 'p50', 'p90'))
    yield from spread('prs.first_approval_hours', approved, ('p50', 'p90'))
    yield from spread('prs.approval_to_merge_hours', approval, ('p50', 'p90'))
    yield from spread('prs.coding_time_hours', coding, ('p50', 'p90'))


def commits(repository: Repository, now: datetime) -> Iterator[Row]:
    """Compute the figures of the default branch in the last week."""
    week = [row for row in repository.commits.recent if now - WEEK <= row.committed_date <= now]
    plain = [row for row in week if len(row.parents) < 2]
    people = {signature.who for row in plain for signature in row.signatures} - {None}
    hotfixes = reverts = 0
    for row in week:
        headline = row.message.split('\n')[0]
        hotfixes += HOTFIX.match(headline) is not None
        undone = headline.startswith('Revert "') and not headline.startswith('Revert "Revert "')
        reverts += undone or REVERT_TYPE.match(headline) is not None
    yield 'commits.total_7d', len(week), {}
    yield 'commits.hotfix', hotfixes, {}
    yield 'commits.reverts', reverts, {}
    by_people = [row for row in plain if any(signature.who is not None for signature in row.signatures)]
    yield 'commits.per_developer_7d', len(by_people) / len(people) if people else None, {}
    yield 'developers.active_7d', len(people), {}
    yield 'code.lines_added_7d', sum(added for row in plain for _, added, _ in row.files), {}
    yield 'code.lines_deleted_7d', sum(deleted for row in plain for _, _, deleted in row.files), {}
    is_counted = all(row.counts_files for row in plain)
    yield 'code.file_changes_7d', sum(len(row.files) for row in plain) if is_counted else None, {}


def surroundings(repository: Repository, now: datetime) -> Iterator[Row]:
    """Compute the figures of branches, force pushes, merge queue, releases and the repository itself."""
    yield 'branches.count', len(repository.branches), {}
    yield 'branches.active', len(repository.branches) - 1, {}
    forced = [
        push
        for push in repository.activity
        if push.activity_type == 'force_push'
        and push.ref == f'refs/heads/{repository.default_branch}'
        and now - WEEK <= push.timestamp <= now
    ]
    yield 'commits.force_merge_7d', len(forced), {}
    yield 'repo.issues_open', sum(issue.state == 'OPEN' for issue in repository.issues), {}
    yield 'repo.stars', repository.stargazer_count, {}
    yield 'repo.forks', repository.fork_count, {}
    yield 'repo.size_gb', repository.disk_usage / 1_000_000, {}
    if repository.merge_queue is not None:
        entries = Counter(entry.state for entry in repository.merge_queue)
        for state in ('AWAITING_CHECKS', 'LOCKED', 'MERGEABLE', 'QUEUED', 'UNMERGEABLE'):
            yield 'merge_queue.entries', entries[state], {'state': state}
        waits = [(now - entry.enqueued_at).total_seconds() / 60 for entry in repository.merge_queue]
        yield 'merge_queue.oldest_minutes', max(waits, default=None), {}
        if repository.merge_queue_eta_seconds is not None:
            yield 'merge_queue.eta_minutes', repository.merge_queue_eta_seconds / 60, {}
    published = [release.published_at for release in repository.releases if release.published_at is not None]
    yield 'releases.published_30d', sum(moment >= now - timedelta(days=30) for moment in published), {}
    if published:
        yield 'releases.age_days', (now - max(published)).total_seconds() / 86_400, {}

"""GitHub's figures through PyGithub and the REST API: one request per pull request and commit, no cache.

Two facts are not in REST and come from small GraphQL queries: the accounts of a commit's co-authors, and the combined
status of the newest commits. Cost: about 5 requests per pull request merged in the week, 1 per commit, 1 per hundred
workflow runs.
"""

from __future__ import annotations

import fnmatch
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from github import Auth, Github, GithubException
from github.Commit import Commit
from github.NamedUser import NamedUser
from github.PaginatedList import PaginatedList
from github.PullRequest import PullRequest
from github.PullRequestReview import PullRequestReview
from github.Repository import Repository
from github.Requester import Requester
from github.TimelineEvent import TimelineEvent

from .. import Figure, Recomputed
from . import workflow_runs
from .reading import Reading, hours, mean, percentile

PREFIX = 'metta.github.'
BOTS = (
    'dependabot', 'renovate', 'github-actions', 'copilot', 'copilot-swe-agent', 'copilot-pull-request-reviewer',
    'claude', 'cursoragent', 'devin-ai-integration',
)  # fmt: skip
NOREPLY = re.compile(r'(?:\d+\+)?([^@]+)@users\.noreply\.github\.com', re.IGNORECASE)
CO_AUTHOR = re.compile(r'^co-authored-by:\s*(.*?)\s*<([^>]*)>\s*$', re.IGNORECASE | re.MULTILINE)
REVERT = re.compile(r'Revert "(?!Revert ")|revert(\([^)]*\))?:')
WEEK = timedelta(days=7)

AUTHORS = """
query($owner: String!, $name: String!, $oid: GitObjectID!) {
  repository(owner: $owner, name: $name) {
    object(oid: $oid) { ... on Commit { authors(first: 100) { nodes { name email user { login } } } } }
  }
}
"""


def recompute(instance: Mapping[str, Any], now: datetime) -> Recomputed:
    """Return the seed names, and the names derived with them, of every repository of the instance.

    Raises github.GithubException (nothing is retried, nothing waits for a limit) and requests.RequestException.
    """
    with _counted() as counter:
        github = Github(
            base_url=str(instance.get('api_url') or 'https://api.github.com').rstrip('/'),
            auth=_auth(instance),
            per_page=100,
            retry=None,
            seconds_between_requests=0,
            seconds_between_writes=0,
        )
        try:
            figures = []
            for repository in _repositories(github, instance):
                owner, name = repository.owner.login, repository.full_name
                tags = (f'org:{owner}'.lower(), f'repo:{name}'.lower())
                for metric, value in _Reading(repository, instance, now).figures():
                    if value is not None:
                        figures.append(Figure(PREFIX + metric, float(value), tags))
                for metric, value, own in workflow_runs.rows(Reading(repository, instance, now)):
                    if value is not None:
                        more = (f'{key}:{tag}'.lower() for key, tag in own.items())
                        figures.append(Figure(PREFIX + metric, float(value), tuple(sorted((*tags, *more)))))
        finally:
            github.close()
    return Recomputed(tuple(figures), counter.requests)


class _Counter(logging.Handler):
    """Counts requests by log lines, since PyGithub logs each request once."""

    requests = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.requests += 1


class _Log(logging.Logger):
    """Counts also if the process has disabled logging."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 (the library's name)
        return True


@contextmanager
def _counted() -> Iterator[_Counter]:
    counter = _Counter()
    logger = _Log('metta_checks.verify.github', logging.DEBUG)
    logger.addHandler(counter)
    Requester.injectLogger(logger)
    try:
        yield counter
    finally:
        Requester.resetLogger()


def _auth(instance: Mapping[str, Any]) -> Auth.Auth:
    if instance.get('token'):
        return Auth.Token(instance['token'])
    app = Auth.AppAuth(instance['app_id'], instance['app_private_key'])
    return app.get_installation_auth(int(instance['app_installation_id']))


def _repositories(github: Github, instance: Mapping[str, Any]) -> Iterator[Repository]:
    """Return the listed repositories, and the matching ones of the organization."""
    listed = list(instance.get('repositories') or ())
    for slug in listed:
        yield github.get_repo(slug)
    if not instance.get('organization'):
        return
    known = {slug.lower() for slug in listed}
    include, exclude = instance.get('include') or ['*'], instance.get('exclude') or []
    for repository in github.get_organization(instance['organization']).get_repos():
        slug = repository.full_name.lower()
        if slug in known or not _is_in_use(repository):
            continue
        if _matches(slug, include) and not _matches(slug, exclude):
            yield repository


def _is_in_use(repository: Repository) -> bool:
    """Return False for archived and disabled repositories, and for forks."""
    return not (repository.archived or repository.fork or repository.raw_data.get('disabled'))


def _matches(slug: str, patterns: Iterable[str]) -> bool:
    name = slug.split('/')[1]
    return any(fnmatch.fnmatchcase(slug if '/' in pattern else name, pattern.lower()) for pattern in patterns)


@dataclass
class _Merged:
    """A pull request merged in the window, with the fields that need further requests."""

    pull: PullRequest
    merged_at: datetime
    human_reviews: list[PullRequestReview]
    ready_at: datetime
    paths: set[str] = field(default_factory=set)

    @property
    def comments(self) -> int:
        return self.pull.comments + self.pull.review_comments

    @property
    def changed_lines(self) -> int:
        return self.pull.additions + self.pull.deletions

    def reviews_with(self, state: str) -> int:
        return sum(review.state == state for review in self.human_reviews)


class _Reading:
    """All figures of one repository."""

    def __init__(self, repository: Repository, instance: Mapping[str, Any], now: datetime) -> None:
        self.repository = repository
        self.requester = repository.requester
        self.now = now
        self.start = now - WEEK
        self.bots = {*BOTS, *(login.lower() for login in instance.get('bots') or ())}
        self.hotfix = [
            re.compile(pattern, re.IGNORECASE) for pattern in instance.get('hotfix_patterns') or [r'^\[?hotfix\b']
        ]

    def figures(self) -> Iterator[tuple[str, float | None]]:
        """Yield (name without the prefix, value or None)."""
        yield from self._pulls()
        yield from self._commits()
        branches = [branch.name for branch in self.repository.get_branches()]
        yield 'branches.count', len(branches)
        yield 'branches.active', sum(name != self.repository.default_branch for name in branches)
        yield 'commits.force_merge_7d', sum(1 for _ in self._force_pushes())
        yield 'repo.stars', self.repository.stargazers_count
        yield 'repo.forks', self.repository.forks_count

    # Pull requests.

    def _pulls(self) -> Iterator[tuple[str, float | None]]:
        opened = list(self.repository.get_pulls(state='open'))
        yield 'prs.open', len(opened)
        quiet = self.now - timedelta(days=14)
        yield 'prs.stale_count_14d', sum(not pull.draft and _untouched_since(pull, quiet) for pull in opened)

        ended = list(self._updated_closed_pulls())
        merged = [
            self._merged(pull.number, pull.merged_at)
            for pull in ended
            if pull.merged_at and self._covers(pull.merged_at)
        ]
        unmerged = sum(not pull.merged_at and self._covers(pull.closed_at) for pull in ended)
        count = len(merged)
        yield 'prs.merged_7d', count
        yield 'prs.merged_24h', sum(one.merged_at >= self.now - timedelta(hours=24) for one in merged)
        yield 'prs.closed_without_merge_7d', unmerged
        yield 'prs.merge_ratio_pct', 100 * count / (count + unmerged) if merged or unmerged else None
        yield from self._merge_times(merged)
        yield from self._reviews(merged)
        yield from self._sizes(merged)

    def _updated_closed_pulls(self) -> Iterator[PullRequest]:
        """Yield the closed pull requests updated in the window; one that ended in it was also updated in it."""
        for pull in self.repository.get_pulls(state='closed', sort='updated', direction='desc'):
            if _untouched_since(pull, self.start):
                return
            yield pull

    def _covers(self, moment: datetime | None) -> bool:
        """Return whether a time lies in the window; False for None."""
        return moment is not None and self.start <= moment <= self.now

    @staticmethod
    def _merge_times(merged: list[_Merged]) -> Iterator[tuple[str, float | None]]:
        to_merge = [hours(one.pull.created_at, one.merged_at) for one in merged]
        yield 'prs.avg_time_to_merge_hours', mean(to_merge)
        yield 'prs.time_to_merge_hours.p50', percentile(to_merge, 50)
        yield 'prs.time_to_merge_hours.p90', percentile(to_merge, 90)
        cycle = [hours(one.ready_at, one.merged_at) for one in merged]
        yield 'prs.cycle_time_hours', percentile(cycle, 50)
        yield 'prs.cycle_time_hours.avg', mean(cycle)
        yield 'prs.cycle_time_hours.p50', percentile(cycle, 50)
        yield 'prs.cycle_time_hours.p90', percentile(cycle, 90)

    @staticmethod
    def _reviews(merged: list[_Merged]) -> Iterator[tuple[str, float | None]]:
        reviewed = sum(bool(one.human_reviews) for one in merged)
        yield 'prs.with_review_comments_pct', 100 * reviewed / len(merged) if merged else None
        yield 'prs.avg_comments_per_pr', mean([float(one.comments) for one in merged])
        yield 'prs.review_rounds.avg', mean([float(one.reviews_with('CHANGES_REQUESTED')) for one in merged])
        yield 'prs.merged_without_approval_7d', sum(not one.reviews_with('APPROVED') for one in merged)

    @staticmethod
    def _sizes(merged: list[_Merged]) -> Iterator[tuple[str, float | None]]:
        lines = [float(one.changed_lines) for one in merged]
        yield 'prs.size_lines.p50', percentile(lines, 50)
        yield 'prs.size_lines.p90', percentile(lines, 90)
        yield 'code.files_changed_7d', len(set().union(*(one.paths for one in merged)))

    def _merged(self, number: int, merged_at: datetime) -> _Merged:
        # The list lacks comments, lines and files.
        pull = self.repository.get_pull(number)
        reviews = self._human_reviews(pull)
        reviewed_at = reviews[0].submitted_at if reviews else merged_at
        ready = [moment for moment in self._ready_for_review(pull) if moment <= reviewed_at]
        merged = _Merged(pull, merged_at, reviews, max([pull.created_at, *ready]))
        if pull.base.ref == self.repository.default_branch:
            merged.paths.update(file.filename for file in pull.get_files())
        return merged

    def _human_reviews(self, pull: PullRequest) -> list[PullRequestReview]:
        """Return the submitted reviews by others than the author, without bots, oldest first."""
        reviews = [
            review
            for review in pull.get_reviews()
            if review.submitted_at and not self._is_bot(review.user) and _login(review.user) != _login(pull.user)
        ]
        return sorted(reviews, key=lambda review: review.submitted_at)

    def _ready_for_review(self, pull: PullRequest) -> list[datetime]:
        """Return the times at which a draft was marked as ready for review."""
        url = f'{self.repository.url}/issues/{pull.number}/timeline'
        events = PaginatedList(TimelineEvent, self.requester, url, None)
        return [event.created_at for event in events if event.event == 'ready_for_review']

    def _is_bot(self, user: NamedUser | None) -> bool:
        if user is None:
            return False
        login = user.login.lower()
        return user.type == 'Bot' or login.endswith('[bot]') or login in self.bots

    # Commits.

    def _commits(self) -> Iterator[tuple[str, float | None]]:
        commits = [commit for commit in self._history() if self._covers(commit.commit.committer.date)]
        yield 'commits.total_7d', len(commits)
        headlines = [commit.commit.message.partition('\n')[0] for commit in commits]
        yield 'commits.hotfix', sum(self._is_hotfix(line) for line in headlines)
        yield 'commits.reverts', sum(bool(REVERT.match(line)) for line in headlines)
        yield from self._contributions(commits)

    def _contributions(self, commits: list[Commit]) -> Iterator[tuple[str, float | None]]:
        """Yield the figures of people and lines, which leave merge commits out."""
        plain = [commit for commit in commits if len(commit.parents) < 2]
        authors = [set(self._people(commit)) for commit in plain]
        people = set().union(*authors)
        yield 'commits.per_developer_7d', sum(map(bool, authors)) / len(people) if people else None
        yield 'developers.active_7d', len(people)
        # One request per commit, since lists have no statistics.
        changes = [commit.stats for commit in plain]
        yield 'code.lines_added_7d', sum(one.additions for one in changes)
        yield 'code.lines_deleted_7d', sum(one.deletions for one in changes)

    def _is_hotfix(self, headline: str) -> bool:
        return any(pattern.search(headline) for pattern in self.hotfix)

    def _history(self) -> Iterator[Commit]:
        try:
            yield from self.repository.get_commits(sha=self.repository.default_branch, since=self.start)
        except GithubException as error:
            # An empty repository answers with 409 instead of a history.
            if error.status != 409:
                raise

    def _people(self, commit: Commit) -> Iterator[str]:
        author = commit.commit.author
        signatures = [(commit.author.login if commit.author else None, author.email, author.name)]
        if CO_AUTHOR.search(commit.commit.message):
            signatures = self._authors(commit)
        for login, email, name in signatures:
            person = _person(login, email, name)
            if not self._is_bot_signature(person, login, email):
                yield person

    def _authors(self, commit: Commit) -> list[tuple[str | None, str, str]]:
        """Return all authors, with the accounts that GitHub associates with their addresses."""
        _, answer = self.requester.graphql_query(AUTHORS, {**self._slug(), 'oid': commit.sha})
        rows = answer['data']['repository']['object']['authors']['nodes']
        return [((row['user'] or {}).get('login'), row['email'] or '', row['name'] or '') for row in rows]

    def _is_bot_signature(self, person: str, login: str | None, email: str | None) -> bool:
        address = (email or '').lower()
        if '[bot]@' in address or address == 'noreply@anthropic.com':
            return True
        names = {person, (login or '').lower()}
        return any(name.endswith('[bot]') or name in self.bots for name in names)

    def _force_pushes(self) -> Iterator[datetime]:
        parameters: dict[str, Any] | None = {
            'activity_type': 'force_push',
            'ref': f'refs/heads/{self.repository.default_branch}',
            'per_page': 100,
        }
        url: str | None = f'{self.repository.url}/activity'
        while url:
            headers, rows = self.requester.requestJsonAndCheck('GET', url, parameters=parameters)
            for row in rows:
                if self._covers(moment := datetime.fromisoformat(row['timestamp'])):
                    yield moment
            following = re.search(r'<([^>]+)>; rel="next"', headers.get('link', ''))
            url, parameters = (following[1] if following else None), None

    def _slug(self) -> dict[str, str]:
        return {'owner': self.repository.owner.login, 'name': self.repository.name}


def _login(user: NamedUser | None) -> str:
    return user.login.lower() if user else 'ghost'


def _untouched_since(pull: PullRequest, moment: datetime) -> bool:
    return pull.updated_at is not None and pull.updated_at < moment


def _person(login: str | None, email: str | None, name: str | None) -> str:
    """Return a person's identity: the account, else the one in a noreply address, else the address, else the name."""
    noreply = NOREPLY.fullmatch(email or '')
    return (login or (noreply[1] if noreply else None) or email or name or '').lower()

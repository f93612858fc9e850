"""Reads the first query of many repositories, in as few requests as GitHub's limits allow.

GitHub limits a query by its nodes, its points and its time (ten seconds). The points are the connections that it asks
for, with every page full, divided by 100. So a repository that is known to be small is asked for small pages, and
as many repositories share a query as CONNECTIONS allow. When a query is too heavy, it is divided.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..core.errors import SourceError, Unavailable
from ..core.fields import mapping
from ..core.times import format_time
from . import queries
from .connections import GITHUB, without_unknown
from .graphql import TRY_SMALLER, Answer, GraphQL
from .records import Overview
from .refusals import GraphqlError, Path, invisible

if TYPE_CHECKING:
    from .repository import Repository

# Connections of one query: a hundred of them are a point.
CONNECTIONS = 1200
# The number of repositories that share a query, among the learned sizes.
REPOSITORIES = 'repositories of now'
# After this number of repositories in a row that GitHub could not show, each alone, it is GitHub that fails.
OUTAGE = 2


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes of the pages of one repository.

    Attributes:
        page: open pull requests
        commits: commits of the window
        checks: commits whose checks are shown, which cost no points
    """

    page: int
    commits: int
    checks: int = 10

    @property
    def connections(self) -> int:
        """The connections of the repository: eight, two of each commit, and two of each open pull request."""
        return 8 + 2 * self.commits + 2 * self.page

    @property
    def repositories(self) -> int:
        """The number of repositories that share a query."""
        return CONNECTIONS // self.connections


# `parse(repository, missing)` reads the fields of a repository.
Parse = Callable[[Mapping[str, Any], Mapping[str, str]], Overview]

# Parts of a repository that are never null, and never have a null in their lists.
NEVER_NULL = ('branches', 'openIssues', 'newestClosed', 'releases', 'openPullRequests')
# Parts that are null where there is nothing.
SOMETIMES_NULL = ('defaultBranchRef', 'mergeQueue', 'diskUsage', 'stargazerCount', 'forkCount')
PARTS_OF_BRANCH = ('inWindow', 'newest')

LARGE = Sizes(page=50, commits=20, checks=20)
# Of a repository that was never read.
UNKNOWN = Sizes(page=6, commits=10)
# Of known repositories: enough for those that are open, some new ones, and the commits since the last refresh.
SMALL = (Sizes(page=3, commits=2), Sizes(page=6, commits=3), Sizes(page=12, commits=5))


def sizes_for(repositories: Sequence[Repository]) -> dict[str, Sizes]:
    """Return the sizes of the pages of each repository, by key. A few repositories share a query of large pages."""
    if len(repositories) <= LARGE.repositories:
        return dict.fromkeys((one.key for one in repositories), LARGE)
    return {one.key: _sizes(one.open_count) for one in repositories}


def _sizes(open_count: int | None) -> Sizes:
    if open_count is None:
        return UNKNOWN
    return next((sizes for sizes in SMALL if open_count < sizes.page), LARGE)


class Overviews:
    """Reads the overviews of a group of repositories, in one refresh.

    Attributes:
        found: the overview or the error of each repository so far, by key
    """

    def __init__(self, graphql: GraphQL, since: datetime, parse: Parse, is_enough: Callable[[Overview], bool]) -> None:
        self._is_enough = is_enough
        self._sizes: dict[str, Sizes] = {}
        self._graphql = graphql
        self._since = format_time(since)
        self._parse = parse
        # GitHub's messages about the parts that are left out, by part, of each repository.
        self._refused: dict[str, dict[str, str]] = {}
        self._failed_in_a_row = 0
        self._divisions = 0
        self.found: dict[str, Overview | SourceError] = {}

    def read(self, repositories: Sequence[Repository]) -> dict[str, Overview | SourceError]:
        """Return the overview or the error of each repository, by key."""
        self._refused = {one.key: self._graphql.refused_parts(one.full_name) for one in repositories}
        self._sizes = sizes_for(repositories)
        try:
            self._ask_in_groups(repositories)
        except SourceError as error:
            # It concerns all repositories that were not asked for yet.
            return {**dict.fromkeys((one.key for one in repositories), error), **self.found}
        return self.found

    def _ask_in_groups(self, repositories: Iterable[Repository]) -> None:
        """Ask for repositories, those together that have the same pages and the same refused parts."""
        groups: dict[tuple[Sizes, frozenset[str], bool], list[Repository]] = defaultdict(list)
        for one in repositories:
            is_heavy = self._graphql.is_heavy(one.full_name)
            groups[self._sizes[one.key], self._left_out(one), is_heavy].append(one)
        again: list[Repository] = []
        for (pages, _, is_heavy), members in groups.items():
            while members:
                number = 1 if is_heavy else self._graphql.known_size(REPOSITORIES, pages.repositories)
                again += self._ask(members[:number], pages)
                members = members[number:]
        if again:
            self._ask_in_groups(again)

    def _left_out(self, repository: Repository) -> frozenset[str]:
        return frozenset(queries.OPTIONAL[part] for part in self._refused[repository.key])

    def _ask(self, group: Sequence[Repository], pages: Sizes) -> list[Repository]:
        """Ask for repositories in one query, or in smaller ones when it is too heavy.

        Returns those to be asked for again, without the parts that GitHub refuses, or for larger pages.
        """
        try:
            answer = self._answer(group, pages)
        except Unavailable as error:
            if error.reason not in TRY_SMALLER:
                raise
            return self._divided(group, pages, error)
        self._failed_in_a_row = 0
        return self._take(group, pages, answer)

    def _answer(self, group: Sequence[Repository], pages: Sizes) -> Answer:
        variables: dict[str, Any] = {'since': self._since, 'commits': pages.commits, 'checks': pages.checks}
        left_out = self._left_out(group[0])
        if len(group) == 1:
            variables |= {'owner': group[0].owner, 'name': group[0].name}
            return self._graphql.page('now', variables, pages.page, partial=True, left_out=left_out)
        for place, one in enumerate(group):
            variables |= {f'owner{place}': one.owner, f'name{place}': one.name}
        variables['page'] = pages.page
        return self._graphql.ask('now', variables, partial=True, left_out=left_out, repositories=len(group))

    def _divided(self, group: Sequence[Repository], pages: Sizes, error: Unavailable) -> list[Repository]:
        """Ask for the halves of a group that is too heavy. A single repository that is too heavy has no overview."""
        if len(group) == 1:
            self.found[group[0].key] = error
            self._failed_in_a_row += 1
            if self._failed_in_a_row >= OUTAGE:
                raise error
            return []
        self._divisions += 1
        divisions = self._divisions
        half = len(group) // 2
        parts = group[:half], group[half:]
        again = [one for part in parts for one in self._ask(part, pages)]
        if half == 1:
            # One of them made the query too heavy.
            self._graphql.remember_heavy(part[0].full_name for part in parts if len(part) == 1)
        elif self._divisions == divisions:
            self._graphql.remember_size(REPOSITORIES, half)
        return again

    def _take(self, group: Sequence[Repository], pages: Sizes, answer: Answer) -> list[Repository]:
        """Take the overviews from an answer. Returns the repositories to be asked for again."""
        again = []
        slow = []
        for place, one in enumerate(group):
            alias = 'repository' if len(group) == 1 else f'repository{place}'
            errors = [error for error in answer.found if error.path[:1] in ((), (alias,))]
            value = GITHUB.optional(mapping, answer.data, alias)
            if value is not None:
                self.found[one.key] = overview = self._overview(one, value, errors)
                if self._lacks_commits(overview, pages):
                    self._sizes[one.key] = LARGE
                    again.append(one)
            elif self._leave_out_refused(one, errors):
                again.append(one)
            elif any(error.is_timeout for error in errors):
                slow.append(one)
            else:
                self.found[one.key] = _invisible(one, errors)
        # They are fewer, because GitHub has answered others.
        return again + (self._ask(slow, pages) if slow else [])

    def _lacks_commits(self, overview: Overview | SourceError, pages: Sizes) -> bool:
        """Return True if larger pages show more commits, which are needed."""
        if isinstance(overview, SourceError) or pages == LARGE:
            return False
        return len(overview.rollups) == pages.checks and not self._is_enough(overview)

    def _leave_out_refused(self, repository: Repository, errors: Sequence[GraphqlError]) -> bool:
        """Leave out the parts that GitHub declares non-null and does not show. Returns False without any.

        Parts that are the same field of a repository are left out together. A refused part is left out for a day.
        """
        refused = self._refused[repository.key]
        fields = {
            queries.OPTIONAL[error.path[1]]: error
            for error in errors
            if len(error.path) > 1 and error.path[1] in queries.OPTIONAL
        }
        more = {
            part: fields[field].message
            for part, field in queries.OPTIONAL.items()
            if field in fields and part not in refused
        }
        refused |= more
        if more and all(error.is_forbidden for error in fields.values()):
            self._graphql.remember_refused(repository.full_name, refused)
        return bool(more)

    def _overview(
        self, repository: Repository, value: Mapping[str, Any], errors: Sequence[GraphqlError]
    ) -> Overview | SourceError:
        refused = self._refused[repository.key]
        forbidden = {_part(error.path) for error in errors if error.is_forbidden}
        missing = {**missing_parts(value, errors), **refused}
        hidden = {error.path: error.message for error in errors if row_of(error.path) or not error.path}
        kept = self._graphql.refused_parts(repository.full_name)
        unknown = frozenset(part for part in missing if part not in forbidden and part not in kept)
        try:
            known = self._parse(without_unknown(value, [path[1:] for path in hidden]), missing)
            messages = {_part(path): message for path, message in hidden.items()}
            return replace(known, unknown=unknown, hidden=messages)
        except SourceError as error:
            return error


def missing_parts(value: Mapping[str, Any], errors: Sequence[GraphqlError]) -> dict[str, str]:
    """Return messages about the parts of a repository that the answer lacks, by part.

    These are the parts that errors name, and the parts that are null although GitHub declares that they never are. An
    error that names no part may be about any null. An error about one pull request or one commit leaves the others.
    """
    rows = {row for error in errors if (row := row_of(error.path)) is not None}
    pathless = next((error.message for error in errors if not error.path), None)
    missing = {_part(error.path): error.message for error in errors if error.path and row_of(error.path) is None}
    branch = GITHUB.optional(mapping, value, 'defaultBranchRef')
    target = None if branch is None else GITHUB.optional(mapping, branch, 'target')
    nulls = [part for part in NEVER_NULL if part in value and _is_cut(value[part], part, rows)]
    if pathless is not None:
        nulls += [part for part in SOMETIMES_NULL if part in value and value[part] is None]
    if branch is not None and target is None:
        nulls += PARTS_OF_BRANCH
    elif target is not None:
        nulls += [part for part in PARTS_OF_BRANCH if part in target and _is_cut(target[part], part, rows)]
    return {**dict.fromkeys(nulls, pathless or 'it is null'), **missing}


def _is_cut(connection: Any, part: str, rows: Collection[tuple[str, str | int]]) -> bool:
    """Return whether a connection is null, or a part of it is, but for the rows that errors name."""
    if not isinstance(connection, Mapping):
        return connection is None
    listed = connection.get('nodes', ())
    if listed is None or connection.get('totalCount', 0) is None:
        return True
    nulls = [place for place, row in enumerate(listed) if row is None] if isinstance(listed, list) else ()
    return any((part, place) not in rows for place in nulls)


def row_of(path: Path) -> tuple[str, str | int] | None:
    """Return the part and the position of the open pull request, or of the commit of the window, with an error."""
    for start in (('openPullRequests', 'nodes'), ('defaultBranchRef', 'target', 'inWindow', 'nodes')):
        if path[1 : len(start) + 1] == start and len(path) > len(start) + 1:
            return start[-2], path[len(start) + 1]
    return None


def _part(path: Path) -> str:
    """Return the part of the first query that an error is about: a field of the repository or of its branch."""
    if path[1:3] == ('defaultBranchRef', 'target') and len(path) > 3:
        return str(path[3])
    return str(path[1]) if len(path) > 1 else 'repository'


def _invisible(repository: Repository, errors: Iterable[GraphqlError]) -> SourceError:
    """Return the error for a repository that GitHub answers with null. Only without a reason it is not found."""
    return invisible(
        errors,
        f'repository {repository.full_name}',
        'read it; check the name, and that the token or App may read Metadata, Contents, Pull requests and Actions',
    )

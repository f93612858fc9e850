"""Figures of the commits of the default branch."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from ...core.refresh import Sample
from ...core.stats import ratio
from ..records import Commit

# Git's own headline, but not that of a revert of a revert, or the type `revert:` of conventional commits.
REVERT = re.compile(r'^(revert "(?!revert ")|revert(\([^)]*\))?!?:)', re.IGNORECASE)


def measure(commits: Collection[Commit], hotfix: Collection[re.Pattern[str]]) -> Iterator[Sample]:
    """Yield the gauges of block commits, over the commits of the window."""
    yield total(len(commits))
    yield Sample('commits.hotfix', sum(is_hotfix(commit.headline, hotfix) for commit in commits))
    yield Sample('commits.reverts', sum(is_revert(commit.headline) for commit in commits))
    plain = [commit for commit in commits if not commit.is_merge]
    yield from _people(plain)
    yield from _code(plain)


def total(commits: int | None) -> Sample:
    """Return the gauge of block commits that is known when GitHub does not show all commits."""
    return Sample('commits.total_7d', commits)


def _people(plain: Collection[Commit]) -> Iterator[Sample]:
    """Yield the gauges of people, over the commits without merge commits. One unknown author makes them unknown."""
    names = [commit.people for commit in plain if commit.people is not None]
    if len(names) < len(plain):
        return
    people = {name for some in names for name in some}
    yield Sample('commits.per_developer_7d', ratio(sum(bool(some) for some in names), len(people)))
    yield Sample('developers.active_7d', len(people))


def _code(plain: Collection[Commit]) -> Iterator[Sample]:
    """Yield the gauges of changed lines and files, over the commits without merge commits."""
    yield Sample('code.lines_added_7d', _sum(commit.additions for commit in plain))
    yield Sample('code.lines_deleted_7d', _sum(commit.deletions for commit in plain))
    yield Sample('code.file_changes_7d', _sum(commit.files for commit in plain))


def _sum(values: Iterable[int | None]) -> int | None:
    """Return the sum of lines or files; None when GitHub did not count those of one commit."""
    found = list(values)
    known = [value for value in found if value is not None]
    return sum(known) if len(known) == len(found) else None


def is_hotfix(headline: str, patterns: Collection[re.Pattern[str]]) -> bool:
    """Return whether a headline matches one of the patterns."""
    return any(pattern.search(headline) for pattern in patterns)


def is_revert(headline: str) -> bool:
    """Return whether a headline says that the commit reverts another one."""
    return REVERT.match(headline) is not None

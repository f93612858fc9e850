"""Figures of the commits of the default branch."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from ...core.refresh import Sample
from ...core.stats import ratio
from ..records import Commit

# Git's own headline, but not that of a revert of a revert, or the type `revert:` of conventional commits.
REVERT = re.compile(r'^(revert "(?!revert ")|revert(\([^)]*\))?!?:)', re.IGNORECASE)


def measure(commits: Collection[Commit], hotfix: Collection[re.Pattern[str]]) -> Iterator[Sample]:
    """Yield the gauges of block commits, over the commits of the window."""
    people = {name for commit in commits if not commit.is_merge for name in commit.people}
    yield Sample('commits.total_7d', len(commits))
    yield Sample('commits.hotfix', sum(is_hotfix(commit.headline, hotfix) for commit in commits))
    yield Sample('commits.reverts', sum(is_revert(commit.headline) for commit in commits))
    yield Sample('commits.per_developer_7d', ratio(len(commits), len(people)))
    yield from _code([commit for commit in commits if not commit.is_merge])
    yield Sample('developers.active_7d', len(people))


def _code(commits: Collection[Commit]) -> Iterator[Sample]:
    """Yield the gauges of changed lines and files, over the commits without merge commits."""
    yield Sample('code.lines_added_7d', sum(commit.additions for commit in commits))
    yield Sample('code.lines_deleted_7d', sum(commit.deletions for commit in commits))
    files = [commit.files for commit in commits if commit.files is not None]
    yield Sample('code.file_changes_7d', sum(files) if files or not commits else None)


def is_hotfix(headline: str, patterns: Collection[re.Pattern[str]]) -> bool:
    """Return whether a headline matches one of the patterns."""
    return any(pattern.search(headline) for pattern in patterns)


def is_revert(headline: str) -> bool:
    """Return whether a headline says that the commit reverts another one."""
    return REVERT.match(headline) is not None

"""Figures of the commits of the default branch."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from ...core.refresh import Sample
from ...core.stats import ratio
from ..records import Commit

_REVERT = re.compile(r'^(revert "(?!revert ")|revert(\([^)]*\))?!?:)', re.IGNORECASE)


def measure(commits: Collection[Commit], hotfix: Iterable[re.Pattern[str]]) -> Iterator[Sample]:
    """All gauges of block commits, over the commits of the window."""
    patterns = tuple(hotfix)
    plain = [commit for commit in commits if commit.plain]
    people = {name for commit in plain for name in commit.people}
    yield Sample('commits.total_7d', len(commits))
    yield Sample('commits.hotfix', sum(any(one.search(commit.headline) for one in patterns) for commit in commits))
    yield Sample('commits.reverts', sum(is_revert(commit.headline) for commit in commits))
    yield Sample('commits.per_developer_7d', ratio(len(commits), len(people)))
    yield Sample('code.lines_added_7d', sum(commit.additions for commit in plain))
    yield Sample('code.lines_deleted_7d', sum(commit.deletions for commit in plain))
    files = [commit.files for commit in plain if commit.files is not None]
    yield Sample('code.file_changes_7d', sum(files) if files or not plain else None)
    yield Sample('developers.active_7d', len(people))


def is_revert(headline: str) -> bool:
    """Whether a headline says that the commit takes back another one.

    Git's own form, but not for a revert of a revert, or the conventional type `revert:`.
    """
    return _REVERT.match(headline) is not None

"""Records of comparisons of two commits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..core.fields import integer, moment, objects, text
from .connections import GITHUB

BEHIND = 'behind'


@dataclass(frozen=True, slots=True)
class ComparedCommit:
    """A commit that the head of a comparison contains and its base does not."""

    sha: str
    committed: datetime
    # First line of the message.
    headline: str
    is_merge: bool

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> ComparedCommit:
        """Read a commit of a comparison of REST. Raises BadPayload without its SHA or its time."""
        commit = GITHUB.part(value, 'commit')
        return cls(
            sha=GITHUB.required(text, value, 'sha', 'commit'),
            committed=GITHUB.required(moment, GITHUB.part(commit, 'committer'), 'date', 'commit'),
            headline=(text(commit.get('message')) or '').partition('\n')[0],
            is_merge=len(GITHUB.parts(value, 'parents')) > 1,
        )


@dataclass(frozen=True, slots=True)
class ComparisonPage:
    """A page of a comparison.

    Attributes:
        is_behind: whether the head is an ancestor of the base
        total: number of commits on all pages
        commits: the commits of the page
    """

    is_behind: bool
    total: int
    commits: tuple[ComparedCommit, ...]

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> ComparisonPage:
        """Read a page of REST. Raises BadPayload without the status, the number or the commits."""
        status = GITHUB.required(text, body, 'status', 'comparison')
        total = GITHUB.required(integer, body, 'total_commits', 'comparison')
        commits = GITHUB.required(objects, body, 'commits', 'comparison')
        return cls(status == BEHIND, total, tuple(map(ComparedCommit.parse, commits)))

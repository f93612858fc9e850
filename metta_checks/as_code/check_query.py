"""The query of a service check monitor: `"check".over("a:b").exclude("c:d").by("e").last(4).count_by_status()`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .query_tree import QuerySyntaxError

# Statuses that Datadog keeps of a check, at most.
MAX_LAST = 100
_NAME = re.compile(r'\s*"([^"]+)"')
_CALL = re.compile(r'\s*\.(over|exclude|by)\(\s*("[^"]*"(?:\s*,\s*"[^"]*")*)\s*\)')
_LAST = re.compile(r'\s*\.last\(\s*(\d+)\s*\)')
_END = re.compile(r'\s*\.(?:count_by_status|pct_by_status)\(\s*\)\s*')
_TEXT = re.compile(r'"([^"]*)"')


@dataclass(frozen=True, slots=True)
class CheckQuery:
    """A service check and the statuses that a monitor counts.

    Attributes:
        check: name of the service check
        over, exclude: tags that its series must have, and must not have
        by: tags that form the groups
        last: number of the latest statuses of each group that are looked at
    """

    check: str
    over: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    last: int = 1


def parse_check(text: str) -> CheckQuery:
    """Parse the query of a service check monitor. Raises QuerySyntaxError."""
    name = _NAME.match(text)
    if not name:
        raise QuerySyntaxError('column 1: expected the name of a service check in double quotes', 0)
    calls: dict[str, tuple[str, ...]] = {}
    position = name.end()
    while call := _CALL.match(text, position):
        calls[call[1]] = (*calls.get(call[1], ()), *_TEXT.findall(call[2]))
        position = call.end()
    last = _LAST.match(text, position)
    position = last.end() if last else position
    if not _END.fullmatch(text, position):
        found = text[position : position + 20]
        raise QuerySyntaxError(
            f'column {position + 1}: expected .over(), .exclude(), .by(), .last() and .count_by_status(), '
            f'in this order, found {found!r}',
            position,
        )
    # Every series: `over("*")`, and `over("")`, as Datadog's own monitors also have it.
    over = tuple(tag for tag in calls.get('over', ()) if tag not in ('*', ''))
    return CheckQuery(name[1], over, calls.get('exclude', ()), calls.get('by', ()), int(last[1]) if last else 1)

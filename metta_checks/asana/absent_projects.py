"""Projects that the list of projects no longer has: archived, deleted, hidden from the token, or missing by mistake."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..core.errors import Forbidden, NotFound, SourceError
from ..core.refresh import Attempt
from ..core.times import age
from .client import Client
from .records import Project

# Projects that one refresh looks up.
MAX_LOOKS = 10
# A lost project is reported for a day: after that, it was most likely deleted on purpose.
REPORTED_SECONDS = 86_400
SHOWN_PROJECTS = 5


@dataclass(slots=True)
class AbsentProjects:
    """The result of a second look.

    Attributes:
        present: projects that are there and not archived, although the list does not have them
        lost: projects that the token cannot read any more, and when it lost them, in seconds since the epoch
        error: the answer for the first project that was lost in this refresh
    """

    present: list[Project] = field(default_factory=list)
    lost: dict[str, float] = field(default_factory=dict)
    error: SourceError | None = None

    def report(self, attempt: Attempt[Any]) -> None:
        """Report the projects that were lost in the last day."""
        if not self.lost:
            return
        more = len(self.lost) - SHOWN_PROJECTS
        gids = ', '.join(list(self.lost)[:SHOWN_PROJECTS]) + (f' and {more} more' if more > 0 else '')
        number = '1 project' if len(self.lost) == 1 else f'{len(self.lost)} projects'
        reason = '' if self.error is None else f'; {self.error}'
        attempt.problem(
            'not_found',
            f'the token no longer sees {number} that it saw before, so the tasks there do not count ({gids}): deleted, '
            f'or the user of option `access_token` was removed{reason}',
        )


def second_look(
    client: Client, before: Collection[str], lost: Mapping[str, float], listed: Collection[str], now: datetime
) -> AbsentProjects:
    """Return the state of the projects that were listed before and are not any more.

    Parameters:
        before: gids of the projects of the last refresh
        lost: the lost projects of the last refresh
        listed: gids of the projects of this refresh
    """
    at = now.timestamp()
    recent = {gid: since for gid, since in lost.items() if gid not in listed and _is_recent(since, at)}
    found = AbsentProjects(lost=recent)
    absent = [gid for gid in before if gid not in listed]
    for gid in absent[:MAX_LOOKS]:
        try:
            project = client.unarchived_project(gid)
        except (Forbidden, NotFound) as error:
            found.lost[gid] = at
            found.error = found.error or error
        else:
            found.present += [] if project is None else [project]
    if found.error is not None:
        # There is no request for each of very many; they went together with those that were looked up.
        found.lost.update(dict.fromkeys(absent[MAX_LOOKS:], at))
    return found


def _is_recent(since: float, now: float) -> bool:
    known_for = age(since, now)
    return known_for is not None and known_for < REPORTED_SECONDS

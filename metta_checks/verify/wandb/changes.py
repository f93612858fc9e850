"""Figures of changes, from two readings of a project: runs that ended, and the utilization of the time between."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from .reading import ENDED, Run


@dataclass(frozen=True, slots=True)
class Earlier:
    """The ends of a project's runs by id, and the time of the reading by the server's clock."""

    ends: Mapping[str, datetime]
    at: datetime

    @classmethod
    def of(cls, runs: Iterable[Run], at: datetime) -> Earlier:
        """Return a reading that a later one is compared with."""
        return cls({run.id: run.heard for run in runs if run.state in ENDED}, at)

    def newly_ended(self, runs: Iterable[Run], now: datetime) -> list[Run]:
        """Return the runs that ended since: also those that ended again, and those that came after their end."""
        since = now - timedelta(days=7)
        ended = [run for run in runs if run.state in ENDED and run.end >= since]
        return [run for run in ended if run.id not in self.ends or run.heard > self.ends[run.id]]

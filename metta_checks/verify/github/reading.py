"""One repository of an instance through PyGithub, the window of its figures, and statistics."""

from __future__ import annotations

import fnmatch
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from github.Repository import Repository

# Name without the prefix, value (None: there is no such series), tags beyond those of the repository.
Row = tuple[str, float | None, Mapping[str, str]]
WEEK = timedelta(days=7)


@dataclass(frozen=True)
class Reading:
    """A repository, the options of the instance, and the time of the figures."""

    repository: Repository
    instance: Mapping[str, Any]
    now: datetime

    @property
    def start(self) -> datetime:
        """The beginning of the last week."""
        return self.now - WEEK

    def covers(self, moment: datetime | None) -> bool:
        """Return whether a time lies in the last week; False for None."""
        return moment is not None and self.start <= moment <= self.now

    def option(self, name: str, default: Any) -> Any:
        """Return an option of the instance; the default when it is not set."""
        value = self.instance.get(name)
        return default if value is None else value

    def graphql(self, query: str, **variables: Any) -> Any:
        """Return the part `repository` of a GraphQL answer. Raises github.GithubException."""
        slug = {'owner': self.repository.owner.login, 'name': self.repository.name}
        _, answer = self.repository.requester.graphql_query(query, {**slug, **variables})
        return answer['data']['repository']


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Return whether a name matches one of the shell patterns, in any case."""
    return any(fnmatch.fnmatchcase(name.lower(), pattern.lower()) for pattern in patterns)


def percentile(values: list[float], percent: int) -> float | None:
    """Return the percentile by inclusive interpolation, as in the standard library; None without values."""
    if len(values) < 2:
        return values[0] if values else None
    return statistics.quantiles(values, n=100, method='inclusive')[percent - 1]


def mean(values: list[float]) -> float | None:
    """Return the mean; None without values."""
    return statistics.fmean(values) if values else None


def hours(start: datetime, end: datetime) -> float:
    """Return the hours between two times, never negative."""
    return max(0.0, (end - start) / timedelta(hours=1))


def spread(
    name: str, values: list[float], names: Iterable[str], tags: Mapping[str, str] | None = None
) -> Iterable[Row]:
    """Yield statistics of some values: avg, max and percentiles such as p50; unknown ones without values."""
    for one in names:
        value = {'avg': mean(values), 'max': max(values, default=None)}.get(one)
        if one.startswith('p'):
            value = percentile(values, int(one[1:]))
        yield f'{name}.{one}', value, tags or {}

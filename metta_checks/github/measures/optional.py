"""Figures of deployments and self-hosted runners."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping

from ...core.refresh import Sample
from ...core.stats import summary, top
from ..records import Deployment, Runner

# Review apps have an environment each: the most frequent ones are shown, the rest is `other`.
MAX_ENVIRONMENTS = 20
OTHER = 'other'


def environments(deployments: Iterable[Deployment]) -> dict[str, str]:
    """The tag of each environment, lower case."""
    names = [deployment.environment for deployment in deployments]
    kept = top(Counter(map(str.lower, names)), MAX_ENVIRONMENTS)
    return {name: name.lower() if name.lower() in kept else OTHER for name in names}


def deployments(rows: Collection[Deployment]) -> Iterator[Sample]:
    """The gauges of block deployments, over the deployments created in the window."""
    label = environments(rows)
    for (environment, state), number in Counter((label[row.environment], row.state) for row in rows).items():
        yield Sample('deployments.created_7d', number, {'environment': environment, 'state': state})
    minutes: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        if row.ended is not None:
            minutes[label[row.environment]].append(max(0.0, row.ended - row.created) / 60)
    for environment, values in minutes.items():
        for name, value in summary(values, ('p50', 'p90')).items():
            yield Sample(f'deployments.duration_minutes.{name}', value, {'environment': environment})


def finished(rows: Iterable[Deployment], label: Mapping[str, str]) -> Iterator[Sample]:
    """The count of deployments that came to an end."""
    ended = ((label[row.environment], row.outcome) for row in rows if row.outcome is not None)
    for (environment, outcome), number in Counter(ended).items():
        yield Sample('deployments.finished', number, {'environment': environment, 'state': outcome})


def outcomes(rows: Iterable[Deployment]) -> dict[str, str]:
    """The outcome of the newest deployment of every environment that has come to an end."""
    latest: dict[str, tuple[float, str]] = {}
    for row in rows:
        if row.outcome is not None and (row.environment not in latest or row.created > latest[row.environment][0]):
            latest[row.environment] = (row.created, row.outcome)
    return {environment: outcome for environment, (_, outcome) in latest.items()}


def runners(rows: Iterable[Runner]) -> Iterator[Sample]:
    """The gauges of block runners."""
    by_os: dict[str, list[Runner]] = defaultdict(list)
    for row in rows:
        by_os[row.os.lower()].append(row)
    for system, some in by_os.items():
        yield Sample('runners.online', sum(row.online for row in some), {'os': system})
        yield Sample('runners.busy', sum(row.online and row.busy for row in some), {'os': system})

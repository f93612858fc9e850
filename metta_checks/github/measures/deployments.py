"""Figures of deployments."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime

from ...core.refresh import Sample
from ...core.stats import summary
from ...core.tag_values import MAX_UNKNOWN, labels
from ...core.times import seconds_between
from ..deployment_records import Deployment

# Review apps have an environment each: only the most frequent ones get a tag value of their own.
MAX_ENVIRONMENTS = 20
# The states that GitHub documents; unknown for a deployment without one.
STATES = (
    'abandoned', 'active', 'destroyed', 'error', 'failure', 'inactive', 'in_progress', 'pending', 'queued', 'success',
    'waiting', 'unknown',
)  # fmt: skip


def environments(deployments: Iterable[Deployment]) -> dict[str, str]:
    """Return the tag value of each environment, lower case; `other` for the less frequent ones."""
    names = [deployment.environment for deployment in deployments]
    shown = labels(Counter(map(str.lower, names)), MAX_ENVIRONMENTS)
    return {name: shown[name.lower()] for name in names}


def measure(deployments: Collection[Deployment]) -> Iterator[Sample]:
    """Yield the gauges of block deployments, over the deployments created in the window."""
    tag = environments(deployments)
    states = labels(Counter(one.state for one in deployments), MAX_UNKNOWN, known=STATES)
    counts = Counter((tag[one.environment], states[one.state]) for one in deployments)
    for (environment, state), number in counts.items():
        yield Sample('deployments.created_7d', number, {'environment': environment, 'state': state})
    minutes: dict[str, list[float]] = defaultdict(list)
    for one in deployments:
        if one.ended is not None:
            minutes[tag[one.environment]].append(seconds_between(one.created, one.ended) / 60)
    for environment, values in minutes.items():
        for name, value in summary(values, ('p50', 'p90')).items():
            yield Sample(f'deployments.duration_minutes.{name}', value, {'environment': environment})


def finished(deployments: Iterable[Deployment], tag: Mapping[str, str]) -> Iterator[Sample]:
    """Yield the count of deployments that have ended; `tag` is the tag value by environment."""
    ended = ((tag[one.environment], one.outcome) for one in deployments if one.outcome is not None)
    for (environment, outcome), number in Counter(ended).items():
        yield Sample('deployments.finished', number, {'environment': environment, 'state': outcome})


def outcomes(deployments: Iterable[Deployment]) -> dict[str, str]:
    """Return the outcome of the newest ended deployment by environment."""
    latest: dict[str, tuple[datetime, str]] = {}
    for one in deployments:
        known = latest.get(one.environment)
        if one.outcome is not None and (known is None or one.created > known[0]):
            latest[one.environment] = (one.created, one.outcome)
    return {environment: outcome for environment, (_, outcome) in latest.items()}

"""Figures of the delivery of software, as DORA defines them. docs/sources/github.md has the definitions in full."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, pairwise
from typing import NamedTuple

from ...core.refresh import Sample
from ...core.stats import percentage, summary
from ...core.tag_values import labels
from ...core.times import hours_between
from ..comparison_records import ComparedCommit
from .ci import matches
from .commits import is_hotfix, is_revert
from .deployments import MAX_ENVIRONMENTS

DEPLOYMENTS, WORKFLOW, RELEASE = 'deployments', 'workflow', 'release'
DAYS = 30
WINDOW = timedelta(days=DAYS)
# A deployment of the window is compared with the one before it, which may be older.
LOOK_BACK = 2 * WINDOW
# The longest time between a failed change and the deployment of a hotfix or revert.
REPAIR_TIME = timedelta(days=1)
QUOTED = re.compile(r'revert "(.+)"', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class DoraSettings:
    """The option `dora`.

    Attributes:
        source: where deployments come from
        environments: patterns for the environments of deployments
        workflows: patterns for the names of the workflows that deploy
    """

    source: str = DEPLOYMENTS
    environments: tuple[str, ...] = ('prod*',)
    workflows: tuple[str, ...] = ()

    def includes(self, environment: str) -> bool:
        """Return whether deployments to an environment count."""
        return matches(environment, self.environments)

    def deploys(self, workflow: str) -> bool:
        """Return whether a workflow deploys."""
        return matches(workflow, self.workflows)

    @property
    def selection(self) -> str:
        """The patterns for environments or workflows, for messages."""
        patterns = self.workflows if self.source == WORKFLOW else self.environments
        return f'{"workflows" if self.source == WORKFLOW else "environments"}: {", ".join(patterns)}'


class Delivery(NamedTuple):
    """A successful deployment. Deliveries are in the order of their ends, then of their creations."""

    ended: datetime
    created: datetime
    id: str
    # In lower case.
    environment: str
    commit: str


class Pair(NamedTuple):
    """Two commits that were deployed one after the other."""

    base: str
    head: str


class Brought(NamedTuple):
    """The result of comparing a deployed commit with the one deployed before it."""

    # True if the deployed commit is an ancestor of the one before.
    is_rollback: bool
    # True if one of the commits repairs the deployment before.
    is_repair: bool
    # The first 16 digits and the committed date of each commit, without merge commits.
    commits: tuple[tuple[str, datetime], ...]

    @classmethod
    def of(
        cls, commits: Collection[ComparedCommit], hotfix: Collection[re.Pattern[str]], *, is_rollback: bool
    ) -> Brought:
        """Return the result for the commits that a deployment brings; `hotfix` are patterns for their headlines."""
        headlines = {commit.headline for commit in commits}
        return cls(
            is_rollback,
            any(_repairs(headline, headlines, hotfix) for headline in headlines),
            tuple((commit.sha[:16], commit.committed) for commit in commits if not commit.is_merge),
        )


def _repairs(headline: str, deployed: Collection[str], hotfix: Collection[re.Pattern[str]]) -> bool:
    """Return whether a commit is a hotfix, or reverts one that is not deployed together with it."""
    quoted = QUOTED.match(headline)
    return is_hotfix(headline, hotfix) or (is_revert(headline) and (quoted is None or quoted[1] not in deployed))


Comparisons = Mapping[Pair, Brought]


@dataclass(frozen=True, slots=True)
class Deployed:
    """The deployments of 60 days, in the same form for every source of deployments.

    Attributes:
        deliveries: the ones that succeeded
        failures: environments and times of the ones that failed and never succeeded; None where these are not known
        environments: all environments, in lower case
        selects_nothing: whether there are deployments or workflows, and the options select none of them
    """

    deliveries: Collection[Delivery]
    failures: Collection[tuple[str, datetime]] | None
    environments: Collection[str]
    selects_nothing: bool = False

    def pairs(self, now: datetime) -> list[Pair]:
        """Return the commits to compare for the figures, those of the newest deliveries first."""
        found = [
            (delivery, Pair(before.commit, delivery.commit))
            for group in self.by_environment().values()
            for before, delivery in pairwise(group)
            if delivery.ended >= now - WINDOW and before.commit != delivery.commit
        ]
        return list(dict.fromkeys(pair for _, pair in sorted(found, reverse=True)))

    def by_environment(self) -> dict[str, list[Delivery]]:
        """Return the deliveries to each environment in their order."""
        groups: dict[str, list[Delivery]] = {name: [] for name in sorted(self.environments)}
        for delivery in sorted(self.deliveries):
            groups[delivery.environment].append(delivery)
        return groups


def measure(deployed: Deployed, comparisons: Comparisons, now: datetime) -> Iterator[Sample]:
    """Yield the gauges of block dora."""
    start = now - WINDOW
    groups = deployed.by_environment()
    shown = labels({name: sum(one.ended >= start for one in group) for name, group in groups.items()}, MAX_ENVIRONMENTS)
    failed = Counter(shown[name] for name, at in deployed.failures or () if at >= start)
    by_label: dict[str, list[_Environment]] = defaultdict(list)
    for name, group in groups.items():
        by_label[shown[name]].append(_Environment.of(group, comparisons, start))
    for label, environments in by_label.items():
        tags = {'environment': label}
        yield Sample('dora.failed_deployments_30d', None if deployed.failures is None else failed[label], tags)
        for name, value in _figures(environments):
            yield Sample(f'dora.{name}', value, tags)


@dataclass(frozen=True, slots=True)
class _Environment:
    """The deployments of the window to one environment.

    Attributes:
        deployments: their number
        unknown: number of those whose commits are unknown; the others are empty unless it is 0
        lead_hours: the lead time of each commit
        recovery_hours: the recovery time of each failed change
    """

    deployments: int
    unknown: int
    lead_hours: tuple[float, ...]
    recovery_hours: tuple[float, ...]

    @classmethod
    def of(cls, deliveries: Sequence[Delivery], comparisons: Comparisons, start: datetime) -> _Environment:
        number = sum(one.ended >= start for one in deliveries)
        new = [
            (delivery, comparisons.get(Pair(before.commit, delivery.commit)))
            for before, delivery in pairwise(deliveries)
            if delivery.ended >= start and before.commit != delivery.commit
        ]
        known = [(delivery, brought) for delivery, brought in new if brought is not None]
        if len(known) < len(new):
            return cls(number, len(new) - len(known), (), ())
        return cls(number, 0, tuple(_lead_hours(known)), tuple(_recovery_hours(deliveries, comparisons, start)))


def _lead_hours(deliveries: Iterable[tuple[Delivery, Brought]]) -> Iterator[float]:
    seen: set[str] = set()
    for delivery, brought in deliveries:
        for sha, committed in brought.commits:
            if sha not in seen:
                seen.add(sha)
                yield hours_between(committed, delivery.ended)


def _recovery_hours(deliveries: Iterable[Delivery], comparisons: Comparisons, start: datetime) -> Iterator[float]:
    # A deployment of the commit that is deployed already changes nothing.
    changes = [next(group) for _, group in groupby(deliveries, key=lambda delivery: delivery.commit)]
    for change, following in pairwise(changes):
        if change.ended < start:
            continue
        brought = comparisons[Pair(change.commit, following.commit)]
        if brought.is_rollback or (brought.is_repair and following.ended - change.ended <= REPAIR_TIME):
            yield hours_between(change.ended, following.ended)


def _figures(group: Sequence[_Environment]) -> Iterator[tuple[str, float | None]]:
    number = sum(one.deployments for one in group)
    unknown = sum(one.unknown for one in group)
    yield 'deployments_30d', number
    yield 'deployments_per_day_30d', number / DAYS
    yield 'unknown_deployments_30d', unknown
    if unknown:
        return
    leads = [hours for one in group for hours in one.lead_hours]
    recoveries = [hours for one in group for hours in one.recovery_hours]
    yield 'lead_time_commits_30d', len(leads)
    yield 'failed_changes_30d', len(recoveries)
    yield 'change_failure_rate_pct_30d', percentage(len(recoveries), number)
    for name, value in summary(leads, ('p50', 'p90')).items():
        yield f'lead_time_hours.{name}', value
    for name, value in summary(recoveries, ('p50', 'max')).items():
        yield f'recovery_hours.{name}', value

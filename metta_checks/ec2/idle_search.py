"""The search for idle instances, in CloudWatch or in the findings of Compute Optimizer."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ..core.errors import Rejected, SourceError
from ..core.stored import stored
from .client import Client
from .measures.accelerators import is_known
from .measures.idle import candidates, is_idle, of_known_type
from .records import Fleet, Instance, InstanceType, Reading, RecommendationError
from .settings import IdleSettings

OFF, COMPUTE_OPTIMIZER = 'off', 'compute_optimizer'
# The reason of the error for instances that AWS could not judge, in an answer that is not an error.
PARTIAL = 'partial'


@stored
class IdleInstances:
    """The outcome of the last search.

    Attributes:
        ids: identifiers of the idle instances
        unknown: identifiers of the instances that cannot be judged; None when nothing tells them
    """

    ids: frozenset[str]
    unknown: frozenset[str] | None = None

    def without_restarted(self, instances: Iterable[Instance], searched_at: float) -> IdleInstances:
        """Return the outcome without the instances that were started after the search: nothing is known about them."""
        restarted = {
            one.instance_id for one in instances if one.launched is not None and one.launched.timestamp() > searched_at
        }
        return IdleInstances(self.ids - restarted, None if self.unknown is None else self.unknown - restarted)

    def running(self, fleet: Fleet) -> tuple[list[Instance], int | None]:
        """Return the idle instances that still run, and the number of those that cannot be judged and still run."""
        running = fleet.running
        unknown = None if self.unknown is None else sum(one.instance_id in self.unknown for one in running)
        return of_known_type([one for one in running if one.instance_id in self.ids], fleet.types), unknown


@dataclass(frozen=True, slots=True)
class Findings:
    """The outcome of a search.

    Attributes:
        idle: the idle instances
        unknown: identifiers of the instances that cannot be judged; None when nothing tells them
        not_asked: number of these that CloudWatch was not asked about, to bound the costs
        failure: the error for which AWS could not judge some of these
    """

    idle: list[Instance]
    unknown: frozenset[str] | None = None
    not_asked: int = 0
    failure: SourceError | None = None

    def of_known_type(self, types: Mapping[str, InstanceType]) -> IdleInstances:
        """Return the findings to remember. Idle instances whose type AWS does not describe count as unknown."""
        idle = frozenset(one.instance_id for one in of_known_type(self.idle, types))
        without = frozenset(one.instance_id for one in self.idle) - idle
        return IdleInstances(idle, (self.unknown or frozenset()) | without if without else self.unknown)


def search(client: Client, fleet: Fleet, regions: Sequence[str], rule: IdleSettings, now: datetime) -> Findings:
    """Return the idle instances, from the source of the rule. Raises SourceError."""
    if rule.source == COMPUTE_OPTIMIZER:
        return in_compute_optimizer(client, fleet, regions)
    return in_cloudwatch(client, fleet, regions, rule, now)


def in_compute_optimizer(client: Client, fleet: Fleet, regions: Iterable[str]) -> Findings:
    """Return the running instances that Compute Optimizer finds idle.

    It names few of those that it cannot judge: without any, their number is not known.
    """
    running = {instance.instance_id: instance for instance in fleet.running}
    idle: list[Instance] = []
    failures: dict[str, str] = {}
    for region in regions:
        for finding in client.idle_recommendations(region):
            if isinstance(finding, RecommendationError):
                failures |= _failures(finding, region)
            elif finding.is_idle and finding.instance_id in running:
                idle.append(running[finding.instance_id])
    failures = {instance_id: why for instance_id, why in failures.items() if instance_id in running}
    # Not an error of the search: it never judges some kinds of instances.
    failure = _failure(failures.values(), len(running), 'Compute Optimizer')
    return Findings(idle, frozenset(failures) or None, failure=failure)


def _failures(error: RecommendationError, region: str) -> dict[str, str]:
    """Return the reason of an error by instance. Raises Rejected when a whole account could not be read."""
    if not error.concerns_instances:
        return {}
    if error.is_about_instance:
        return {error.identifier: error.detail}
    subject = error.identifier or 'the account'
    raise Rejected(f'Compute Optimizer could not read {subject} in {region} ({error.detail})', reason=PARTIAL)


def in_cloudwatch(client: Client, fleet: Fleet, regions: Sequence[str], rule: IdleSettings, now: datetime) -> Findings:
    """Return the running instances that the rule finds idle. An instance with missing hours is unknown, never idle.

    Raises Rejected when CloudWatch failed for too many instances to show a figure.
    """
    found = candidates(fleet.running, now, rule)
    asked = found[: rule.max_instances]
    readings: dict[str, Reading] = {}
    for region in regions:
        readings |= client.utilization(region, [one.instance_id for one in asked if one.region == region], now)
    failures = [reading.failure for reading in readings.values() if reading.failure]
    failure = _failure(failures, len(asked), 'CloudWatch')
    if failure is not None and not is_known(len(asked) - len(failures), len(asked)):
        raise failure
    not_asked = found[rule.max_instances :]
    unjudged = (instance_id for instance_id, reading in readings.items() if reading.utilization is None)
    return Findings(
        [one for one in asked if _is_idle(readings[one.instance_id], rule)],
        frozenset((*unjudged, *(one.instance_id for one in not_asked))),
        len(not_asked),
        failure,
    )


def _is_idle(reading: Reading, rule: IdleSettings) -> bool:
    return reading.utilization is not None and is_idle(reading.utilization, rule)


def _failure(reasons: Collection[str], asked: int, service: str) -> SourceError | None:
    """Return the error for instances that AWS could not judge, None without any."""
    if not reasons:
        return None
    first = next(iter(reasons))
    return Rejected(f'{service} could not judge {len(reasons)} of {asked} instances ({first})', reason=PARTIAL)

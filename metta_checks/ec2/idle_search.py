"""The search for idle instances, in CloudWatch or in the findings of Compute Optimizer."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from .client import Client
from .measures.idle import candidates, is_idle
from .records import Fleet, Instance
from .settings import IdleSettings


@dataclass(frozen=True, slots=True)
class Findings:
    """The outcome of a search.

    Attributes:
        idle: the idle instances
        unknown: number of instances that cannot be judged; None when nothing tells it
        not_asked: number of these that CloudWatch was not asked about, to bound the costs
    """

    idle: list[Instance]
    unknown: int | None = None
    not_asked: int = 0


def in_compute_optimizer(client: Client, fleet: Fleet, regions: Iterable[str]) -> Findings:
    """Return the running instances that Compute Optimizer finds idle. It does not tell which ones it cannot judge."""
    findings = (finding for region in regions for finding in client.idle_recommendations(region))
    ids = {finding.instance_id for finding in findings if finding.is_idle}
    return Findings([instance for instance in fleet.running if instance.instance_id in ids])


def in_cloudwatch(client: Client, fleet: Fleet, regions: Sequence[str], rule: IdleSettings, now: datetime) -> Findings:
    """Return the running instances that the rule finds idle. An instance with missing hours is unknown, never idle."""
    found = candidates(fleet.running, now, rule)
    asked = found[: rule.max_instances]
    idle: list[Instance] = []
    unknown = not_asked = len(found) - len(asked)
    for region in regions:
        few, lacking = _in_region(client, region, [one for one in asked if one.region == region], rule, now)
        idle += few
        unknown += lacking
    return Findings(idle, unknown, not_asked)


def _in_region(
    client: Client, region: str, instances: Collection[Instance], rule: IdleSettings, now: datetime
) -> tuple[list[Instance], int]:
    """Return the idle instances of a region, and the number of those that cannot be judged."""
    by_id = {instance.instance_id: instance for instance in instances}
    found = client.utilization(region, list(by_id), now)
    idle = [by_id[one] for one, utilization in found.items() if utilization and is_idle(utilization, rule)]
    return idle, sum(utilization is None for utilization in found.values())

"""Clusters and their bills, parsed from the answers of the API server.

Fields that are missing, null or of another type are None or take the documented default.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from math import fsum
from typing import Any

from ..core.errors import BadPayload
from ..core.fields import flag, integer, items, number, objects, text
from ..core.times import Window, from_epoch, hours_between
from . import resources
from .operations import CHECK_ADDRESS
from .records import DEFAULT_WORKSPACE
from .resources import Machine, Resources

UP = 'UP'
INIT = 'INIT'
STOPPED = 'STOPPED'
CLUSTER_STATUSES = (UP, INIT, STOPPED, 'AUTOSTOPPING')
# SkyPilot reserves these names for the machines of its own controllers.
CONTROLLER_PREFIXES = ('sky-jobs-controller-', 'sky-serve-controller-')
# The last events of a cluster that has no machine: none could be had, or none has been had yet.
WITHOUT_MACHINES = ('Provision failed', 'Retrying provisioning', 'Provisioning on ')

# Start and end of a span in which a cluster was up; an end of None means that it still is.
Interval = tuple[datetime, datetime | None]


def is_controller(name: str) -> bool:
    """Return True for the name of a cluster that SkyPilot launches for itself."""
    return name.startswith(CONTROLLER_PREFIXES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """Machines and their owner, as both lists of clusters tell them.

    Attributes:
        hash: identity of the cluster, or its name where the server omits the hash
        owner: hash of the user, or the name where there is no hash
        accelerators: accelerators per node by type
    """

    name: str
    hash: str
    owner: str | None
    user_name: str | None
    workspace: str
    nodes: int
    accelerators: Mapping[str, float]

    @property
    def is_controller(self) -> bool:
        """True for the machines of a controller of SkyPilot itself."""
        return is_controller(self.name)

    @property
    def user_id(self) -> str:
        """Hash of the user, or the name where there is no hash, for telling users apart."""
        return self.owner or resources.UNKNOWN

    @property
    def user(self) -> str:
        """Name of the user, for display."""
        return self.user_name or self.user_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster(Owned):
    """A cluster of /status, which lists those that people launched and those of SkyPilot's controllers.

    Attributes:
        autostop: minutes until an idle cluster stops; negative without autostop
        was_up: False when it has never been up; None where the server omits it
    """

    status: str
    market: str
    launched_at: datetime | None
    autostop: float | None
    was_up: bool | None = None

    @property
    def is_up(self) -> bool:
        """True while it is running."""
        return self.status == UP

    @property
    def gpus(self) -> dict[str, float]:
        """Accelerators over all nodes, by type."""
        return {name: count * self.nodes for name, count in self.accelerators.items()}

    @property
    def has_no_autostop(self) -> bool:
        """True when the server says that autostop is off."""
        return self.autostop is not None and self.autostop < 0

    @classmethod
    def parse(cls, record: Mapping[str, Any]) -> Cluster:
        """Return a cluster of /status. Raises BadPayload without a name or a status."""
        name, status = text(record.get('name')), text(record.get('status'))
        if name is None or status is None:
            raise BadPayload('SkyPilot sent a cluster without a name or a status')
        described = _described(record)
        return cls(
            name=name,
            hash=_hash(record, name),
            status=resources.capitals(status),
            owner=text(record.get('user_hash')) or text(record.get('user_name')),
            user_name=text(record.get('user_name')),
            workspace=text(record.get('workspace')) or DEFAULT_WORKSPACE,
            nodes=_nodes(record.get('nodes'), described),
            accelerators=_accelerators(record, described),
            market=described.market,
            launched_at=from_epoch(record.get('launched_at')),
            autostop=number(record.get('autostop')),
            was_up=flag(record.get('cluster_ever_up')),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill(Owned):
    """A cluster of /cost_report: running or ended, of a person, a job, a pool, a service or a controller.

    Attributes:
        status: None for a cluster that has ended
        total_cost: USD over the whole life of the cluster; 0 when the server has no price
        duration: seconds that the cluster was up in its whole life
        intervals: the spans in which it had machines. The server also writes the time in which it only tries to get
            some; a span that ended so, or has not come further yet, is left out
    """

    status: str | None
    described: Resources
    cloud: str
    region: str | None
    total_cost: float
    duration: float
    intervals: Sequence[Interval]

    @property
    def is_billed(self) -> bool:
        """True while it has machines that the cloud bills: also while it is stopping, or unhealthy."""
        return self.status not in (None, STOPPED) and bool(self.intervals) and self.intervals[-1][1] is None

    @property
    def market(self) -> str:
        """`spot` or `ondemand`."""
        return self.described.market

    @property
    def machine(self) -> Machine:
        """The kind of its machines."""
        return Machine.of(self.cloud, self.region, self.described, self.accelerators)

    def hours_up(self, window: Window) -> float:
        """Return the hours of a window in which it had machines."""
        return fsum(
            hours_between(max(start, window.start), min(end or window.end, window.end)) for start, end in self.intervals
        )

    @classmethod
    def parse(cls, record: Mapping[str, Any]) -> Bill:
        """Return a cluster of /cost_report. Raises BadPayload without a name."""
        name = text(record.get('name'))
        if name is None:
            raise BadPayload('SkyPilot sent a cluster without a name in the cost report')
        status = text(record.get('status'))
        described = _described(record)
        return cls(
            name=name,
            hash=_hash(record, name),
            status=resources.capitals(status) if status else None,
            owner=text(record.get('user_hash')) or text(record.get('user_name')),
            user_name=text(record.get('user_name')),
            workspace=text(record.get('workspace')) or DEFAULT_WORKSPACE,
            nodes=_nodes(record.get('num_nodes'), described),
            accelerators=_accelerators(record, described),
            described=described,
            cloud=(resources.place(record.get('cloud')) or resources.UNKNOWN).lower(),
            region=resources.place(record.get('region')),
            total_cost=number(record.get('total_cost')) or 0.0,
            duration=number(record.get('duration')) or 0.0,
            intervals=_intervals(record),
        )


def parse_clusters(answer: Any) -> list[Cluster]:
    """Return the clusters in the answer of /status. Raises BadPayload for a cluster without a name or a status."""
    return [Cluster.parse(record) for record in _records(answer, 'the list of clusters')]


def parse_bills(answer: Any) -> list[Bill]:
    """Return the clusters in the answer of /cost_report. Raises BadPayload for a cluster without a name."""
    return [Bill.parse(record) for record in _records(answer, 'the cost report')]


def without_never_up(bills: Iterable[Bill], clusters: Iterable[Cluster]) -> list[Bill]:
    """Return the bills, without the time of clusters that have never been up: the cloud has given them no machine."""
    never_up = {cluster.hash for cluster in clusters if cluster.was_up is False}
    return [replace(bill, intervals=()) if bill.hash in never_up else bill for bill in bills]


def _records(answer: Any, name: str) -> list[Mapping[str, Any]]:
    records = objects(answer)
    if records is None:
        raise BadPayload(f'{name} is not a list of objects; {CHECK_ADDRESS}')
    return records


def _described(record: Mapping[str, Any]) -> Resources:
    """Return the resource string of a cluster; the long form has the whole instance type."""
    described = text(record.get('resources_str_full')) or text(record.get('resources_str'))
    return Resources.parse(described or '')


def _hash(record: Mapping[str, Any], name: str) -> str:
    return text(record.get('cluster_hash')) or name


def _accelerators(record: Mapping[str, Any], described: Resources) -> Mapping[str, float]:
    return resources.parse_accelerators(record.get('accelerators')) or described.accelerators


def _nodes(value: Any, described: Resources) -> int:
    nodes = integer(value)
    return nodes if nodes is not None and nodes > 0 else described.nodes


def _intervals(record: Mapping[str, Any]) -> list[Interval]:
    pairs = map(_interval, items(record.get('usage_intervals')) or ())
    spans = [pair for pair in pairs if pair is not None]
    status = text(record.get('status'))
    if (text(record.get('last_event')) or '').startswith(WITHOUT_MACHINES) and status in (None, INIT):
        spans = spans[:-1]
    if status is None:
        # An open end of a cluster that has ended is a time that the server does not know.
        spans = [span for span in spans if span[1] is not None]
    return spans


def _interval(value: Any) -> Interval | None:
    """Return a pair of start and end. None for a damaged pair, whose time cannot be billed."""
    pair = items(value)
    if pair is None or len(pair) != 2:
        return None
    start, end = map(from_epoch, pair)
    if start is None or (end is None and pair[1] is not None):
        return None
    return start, end

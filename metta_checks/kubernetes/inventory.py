"""Accelerators by node and type: how many a node offers, how many are held, and how many are free.

They are counted per node and then added up: a node that is not usable neither hides nor offers any.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from .accelerator_types import ALIASES, AcceleratorTypes, Unit, UnknownShare
from .device_claims import DeviceClaims, HeldDevice
from .records import Node, Pod

# The resources of a node, by name of the node and of the resource.
_Place = tuple[str, str]


@dataclass(slots=True)
class Stock:
    """The accelerators of one type on one node.

    Attributes:
        allocatable: the devices that the node offers to pods
        held: the devices that pods hold
        counts: True when the node is Ready and not virtual
        usable: True when the scheduler may place pods on the node
    """

    allocatable: float = 0.0
    held: float = 0.0
    counts: bool = False
    usable: bool = False

    @property
    def free(self) -> float:
        """The devices that a pod could get."""
        return self._left if self.usable else 0.0

    @property
    def unusable(self) -> float:
        """The devices that nobody holds and no pod could get."""
        return 0.0 if self.usable else self._left

    @property
    def _left(self) -> float:
        return max(0.0, self.allocatable - self.held)


class Holding(NamedTuple):
    """Accelerators of one type that a pod holds or waits for.

    Attributes:
        source: the resource that it requests, or the driver of the devices that it claims
        gpu_type: their type
        number: a fraction for shares
    """

    source: str
    gpu_type: str
    number: float


class Inventory:
    """The accelerators of a cluster.

    Parameters:
        nodes: all nodes
        types: the types of accelerators
        claims: the devices of dynamic resource allocation; None when they are not read

    Attributes:
        stocks: by name of the node and type; a node that no longer exists has stocks that pods still hold
        kept_by_claims: devices that were allocated to claims and that no pod uses
    """

    def __init__(self, nodes: Collection[Node], types: AcceleratorTypes, claims: DeviceClaims | None = None) -> None:
        self.stocks: defaultdict[tuple[str, str], Stock] = defaultdict(Stock)
        self._unknown_shares: list[str] = []
        self._uncounted: set[str] = set()
        self._types = types
        self._units: dict[_Place, Unit] = {}
        self._left_out: set[_Place] = set()
        self._units_of_resource: defaultdict[str, set[Unit]] = defaultdict(set)
        self.kept_by_claims: list[HeldDevice] = []
        self._claims = claims
        self._claimed: defaultdict[str, list[Holding]] = defaultdict(list)
        self._nodes = {node.name: node for node in nodes}
        for node in nodes:
            self._add_node(node)
        if claims is not None:
            self._add_devices(claims)

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield reason and message of everything that is not counted."""
        if self._unknown_shares:
            number = len(self._unknown_shares)
            where = f', and the same on {number - 1} more' if number > 1 else ''
            yield 'unknown_share', f'GPUs left out: {self._unknown_shares[0]}{where}'
        if self._uncounted:
            names = ', '.join(sorted(self._uncounted))
            yield 'uncounted', f'not counted as accelerators: {names}; set `accelerator_types` to count them'

        if self._claims is not None and self._claims.unknown_drivers:
            names = ', '.join(sorted(self._claims.unknown_drivers))
            yield 'uncounted', f'devices of these drivers are not counted as accelerators: {names}'

    def totals(self, figure: Callable[[Stock], float]) -> dict[str, float]:
        """Return the sums of a figure over all nodes, by type."""
        found: defaultdict[str, float] = defaultdict(float)
        for (_, gpu_type), stock in self.stocks.items():
            found[gpu_type] += figure(stock)
        return dict(found)

    def holdings(self, pod: Pod) -> Iterator[Holding]:
        """Yield the accelerators that a pod holds or waits for, without devices that are left out.

        The devices that it claims are known after `hold`.
        """
        yield from self._claimed.get(pod.uid, ())
        for resource, number in pod.requested.items():
            # CPU and memory have no domain.
            if not number or '/' not in resource or (self._claims and resource in pod.claimed_resources):
                continue
            if (unit := self._unit(pod, resource)) is not None:
                yield Holding(resource, unit.gpu_type, number * unit.devices)

    def requested(self, pod: Pod) -> dict[str, float]:
        """Return the accelerators that a pod holds or waits for, by type."""
        found: defaultdict[str, float] = defaultdict(float)
        for holding in self.holdings(pod):
            found[holding.gpu_type] += holding.number
        return found

    def requested_by(self, pods: Iterable[Pod]) -> dict[str, float]:
        """Return the accelerators that some pods hold or wait for together, by type."""
        found: defaultdict[str, float] = defaultdict(float)
        for pod in pods:
            for gpu_type, number in self.requested(pod).items():
                found[gpu_type] += number
        return dict(found)

    def hold(self, pods: Iterable[Pod]) -> None:
        """Count the accelerators that pods hold, and those that claims keep for no pod."""
        holders = {pod.uid: pod for pod in pods if pod.holds_resources}
        for device in self._claims.held if self._claims else ():
            if users := [holders[uid] for uid in device.pods if uid in holders]:
                holder = min(users, key=_seniority)
                self._claimed[holder.uid].append(Holding(device.driver, device.gpu_type, 1.0))
            else:
                self.kept_by_claims.append(device)
                self.stocks[device.node, device.gpu_type].held += 1
        for pod in holders.values():
            for gpu_type, number in self.requested(pod).items():
                self.stocks[pod.node, gpu_type].held += number

    def _add_node(self, node: Node) -> None:
        for resource, number in node.allocatable.items():
            try:
                unit = self._types.unit(resource, node.allocatable, node.labels)
            except UnknownShare as error:
                if number:
                    self._unknown_shares.append(f'node {node.name}: {error}')
                    self._add_unit(node, resource, Unit(error.gpu_type, 0.0))
                self._left_out.add((node.name, resource))
                continue
            if unit is None:
                self._uncounted.update({resource} if number and self._types.is_unknown(resource) else ())
                continue
            self._units[node.name, resource] = unit
            if number:
                self._add_unit(node, resource, unit)
            stock = self.stocks[node.name, unit.gpu_type]
            stock.counts, stock.usable = node.counts, node.usable
            if ALIASES.get(resource, '') not in node.allocatable:
                stock.allocatable += number * unit.devices

    def _add_unit(self, node: Node, resource: str, unit: Unit) -> None:
        # Pods that wait do not get to virtual nodes.
        if not node.virtual:
            self._units_of_resource[resource].add(unit)

    def _add_devices(self, claims: DeviceClaims) -> None:
        for (name, gpu_type), number in claims.offered.items():
            stock = self.stocks[name, gpu_type]
            stock.allocatable += number
            if (node := self._nodes.get(name)) is not None:
                stock.counts, stock.usable = node.counts, node.usable

    def _unit(self, pod: Pod, resource: str) -> Unit | None:
        """Return the meaning of a resource that a pod requests, None when it is not counted."""
        by_name = self._types.of_resource(resource)
        if by_name is None or (pod.node, resource) in self._left_out:
            return None
        if (unit := self._units.get((pod.node, resource))) is not None:
            return unit
        if (node := self._nodes.get(pod.node)) is not None:
            try:
                return self._types.unit(resource, {**node.allocatable, resource: 0.0}, node.labels)
            except UnknownShare:
                return None
        return self._elsewhere(resource, self._types.selected(resource, pod.selector), by_name)

    def _elsewhere(self, resource: str, selected: str | None, by_name: str) -> Unit | None:
        """Return the meaning of a resource on the nodes that have it, for a pod without a node, or on none of them.

        The model is known when the pod selects it or all these nodes have the same. None when all of them are left out.
        """
        candidates = {unit for unit in self._units_of_resource[resource] if selected in (None, unit.gpu_type)}
        shares = {unit.devices for unit in candidates if unit.devices}
        if candidates and not shares:
            return None
        if len(candidates) == 1:
            return next(iter(candidates))
        return Unit(selected or by_name, shares.pop() if len(shares) == 1 else 1.0)


def _seniority(pod: Pod) -> tuple[bool, str, str]:
    """Return the order in which pods that share a device count as its holder: the oldest one that stays comes first."""
    return pod.deleting, pod.created.isoformat() if pod.created else '', pod.uid

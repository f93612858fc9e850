"""Accelerators by node and type: how many a node offers, how many are held, and how many are free.

They are counted per node and then added up: a node that is not usable neither hides nor offers any.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

from .accelerator_types import ALIASES, AcceleratorTypes, Unit, UnknownShare
from .device_claims import DeviceClaims
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


class Inventory:
    """The accelerators of a cluster.

    Parameters:
        nodes: all nodes
        types: the types of accelerators
        claims: the devices of dynamic resource allocation; None when they are not read

    Attributes:
        stocks: by name of the node and type; a node that no longer exists has stocks that pods still hold
    """

    def __init__(self, nodes: Collection[Node], types: AcceleratorTypes, claims: DeviceClaims | None = None) -> None:
        self.stocks: defaultdict[tuple[str, str], Stock] = defaultdict(Stock)
        self._unknown_shares: list[str] = []
        self._uncounted: set[str] = set()
        self._types = types
        self._units: dict[_Place, Unit] = {}
        self._left_out: set[_Place] = set()
        self._units_of_resource: defaultdict[str, set[Unit]] = defaultdict(set)
        self._claims = claims
        for node in nodes:
            self._add_node(node)
        if claims is not None:
            self._add_devices(nodes, claims)

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

    def requested(self, pod: Pod) -> dict[str, float]:
        """Return the accelerators that a pod holds or waits for, by type. Devices that are left out are missing."""
        claimed = self._claims.allocated.get(pod.uid, {}) if self._claims else {}
        found: defaultdict[str, float] = defaultdict(float, {name: float(number) for name, number in claimed.items()})
        if claimed and not pod.claims:
            # The scheduler made the claim for the extended resources that the pod requests.
            return found
        for resource, number in pod.requested.items():
            # CPU and memory have no domain.
            if number and '/' in resource and (unit := self._unit(pod, resource)) is not None:
                found[unit.gpu_type] += number * unit.devices
        return found

    def requested_by(self, pods: Iterable[Pod]) -> dict[str, float]:
        """Return the accelerators that some pods hold or wait for together, by type."""
        found: defaultdict[str, float] = defaultdict(float)
        for pod in pods:
            for gpu_type, number in self.requested(pod).items():
                found[gpu_type] += number
        return dict(found)

    def hold(self, pods: Iterable[Pod]) -> None:
        """Count the accelerators that pods hold."""
        for pod in pods:
            if pod.holds_resources:
                for gpu_type, number in self.requested(pod).items():
                    self.stocks[pod.node, gpu_type].held += number

    def _add_node(self, node: Node) -> None:
        for resource, number in node.allocatable.items():
            try:
                unit = self._types.unit(resource, node.allocatable, node.labels)
            except UnknownShare as error:
                self._unknown_shares.append(f'node {node.name}: {error}')
                self._left_out.add((node.name, resource))
                continue
            if unit is None:
                self._uncounted.update({resource} if number and self._types.is_unknown(resource) else ())
                continue
            self._units[node.name, resource] = unit
            if number:
                self._units_of_resource[resource].add(unit)
            stock = self.stocks[node.name, unit.gpu_type]
            stock.counts, stock.usable = node.counts, node.usable
            if ALIASES.get(resource, '') not in node.allocatable:
                stock.allocatable += number * unit.devices

    def _add_devices(self, nodes: Iterable[Node], claims: DeviceClaims) -> None:
        by_name = {node.name: node for node in nodes}
        for (name, gpu_type), number in claims.offered.items():
            stock = self.stocks[name, gpu_type]
            stock.allocatable += number
            if (node := by_name.get(name)) is not None:
                stock.counts, stock.usable = node.counts, node.usable

    def _unit(self, pod: Pod, resource: str) -> Unit | None:
        """Return the meaning of a resource that a pod requests, None when it is not counted."""
        by_name = self._types.of_resource(resource)
        if by_name is None or (pod.node, resource) in self._left_out:
            return None
        if (unit := self._units.get((pod.node, resource))) is not None:
            return unit
        return self._elsewhere(resource, self._types.selected(resource, pod.selector), by_name)

    def _elsewhere(self, resource: str, selected: str | None, by_name: str) -> Unit:
        """Return the meaning of a resource on the nodes that have it, for a pod without a node, or on none of them.

        The model is known when the pod selects it or all these nodes have the same.
        """
        candidates = {unit for unit in self._units_of_resource[resource] if selected in (None, unit.gpu_type)}
        if len(candidates) == 1:
            return next(iter(candidates))
        shares = {unit.devices for unit in candidates}
        return Unit(selected or by_name, shares.pop() if len(shares) == 1 else 1.0)

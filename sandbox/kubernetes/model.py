"""The objects of the cluster. Quantities keep the notation of the user and its value, so that this code parses none.

CPU is in nanocores, memory in bytes, all whole numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple


class Amount(NamedTuple):
    """A quantity as it was written, and its value."""

    text: str
    value: int


NANO = 10**9
MIB = 2**20
GIB = 2**30

CPU_AMOUNTS = (
    Amount('100m', NANO // 10),
    Amount('250m', NANO // 4),
    Amount('0.5', NANO // 2),
    Amount('1', NANO),
    Amount('1500m', NANO * 3 // 2),
    Amount('2', 2 * NANO),
    Amount('3e0', 3 * NANO),
)
# Notations of users: decimal, binary, exponents, plain bytes, and milli-bytes, which are a common mistake.
MEMORY_AMOUNTS = (
    Amount('64Mi', 64 * MIB),
    Amount('128974848', 128_974_848),
    Amount('512Mi', 512 * MIB),
    Amount('1500M', 1_500_000_000),
    Amount('1e9', 10**9),
    Amount('2Gi', 2 * GIB),
    Amount('12e6', 12_000_000),
    Amount('4194304k', 4_194_304_000),
    Amount('629145600000m', 629_145_600),
)


@dataclass(frozen=True)
class Ended:
    """The end of a container, which had run for some time."""

    reason: str
    exit_code: int
    at: datetime
    container_id: str
    ran: timedelta = timedelta(hours=3)


@dataclass
class Container:
    """A container: its requests, its state, its usage."""

    name: str
    cpu: Amount | None = None
    memory: Amount | None = None
    # Units of the resource `gpu_resource`.
    gpus: int = 0
    gpu_resource: str = 'nvidia.com/gpu'
    # An init container that always restarts.
    sidecar: bool = False
    restarts: int = 0
    # Reason for waiting, empty when not waiting.
    waiting: str = ''
    # The present state, when it is an end; and the end before.
    ended: Ended | None = None
    ended_before: Ended | None = None
    used_cpu: int = 0
    used_memory: int = 0

    def request(self, resource: str) -> int:
        """Return the request in whole units, 0 for none."""
        amount = self.cpu if resource == 'cpu' else self.memory
        return amount.value if amount else 0

    @property
    def ends(self) -> list[Ended]:
        """The ends that the API shows, the latest first."""
        return [end for end in (self.ended, self.ended_before) if end]


@dataclass
class Pod:
    """A pod."""

    namespace: str
    name: str
    uid: str
    created: datetime
    containers: list[Container]
    init: list[Container] = field(default_factory=list)
    phase: str = 'Running'
    reason: str = ''
    started: datetime | None = None
    node: str = ''
    ready: bool = True
    # Its deletion was requested, and its grace period ends then.
    deletion_ends: datetime | None = None
    unschedulable: bool = False
    # Scheduling gates keep the scheduler from looking at it.
    gated: bool = False
    # (kind, name) of the controller.
    owner: tuple[str, str] = ('ReplicaSet', '')
    # (kind, name) of the workload.
    workload: tuple[str, str] = ('', '')
    deployment: str = ''
    overhead: tuple[Amount, Amount] | None = None
    pod_cpu: Amount | None = None
    # The CPU that the node has allocated during a resize: to the first container, and to the pod as a whole.
    allocated_cpu: Amount | None = None
    pod_allocated_cpu: Amount | None = None
    sampled: bool = True
    # Name of the claim of devices.
    claim: str = ''
    # Restarts of each container at the last time step; None before the first one.
    restarts_before: dict[str, int] | None = None
    # Rendered JSON. Code that changes the pod must reset it.
    rendered: bytes | None = None

    @property
    def deleting(self) -> bool:
        """True when its deletion was requested."""
        return self.deletion_ends is not None

    @property
    def live(self) -> bool:
        """True when it is in phase Running and not being deleted."""
        return self.phase == 'Running' and not self.deleting

    @property
    def all_containers(self) -> list[Container]:
        """The init containers, followed by the other containers."""
        return [*self.init, *self.containers]

    @property
    def app_and_sidecars(self) -> list[Container]:
        """The containers that run as long as the pod: app containers and native sidecars."""
        return [*(container for container in self.init if container.sidecar), *self.containers]


@dataclass(frozen=True)
class Deployment:
    """A deployment; `replicas` None where the user left it to the server."""

    namespace: str
    name: str
    replicas: int | None


@dataclass(frozen=True)
class Node:
    """A node.

    Attributes:
        gpus: units of `gpu_resource`
        product: the label with the model; empty without it
        replicas: units that share one GPU
        devices: GPUs that a driver of dynamic resource allocation offers instead
        instance_type: the label with the type of the machine; empty without it
    """

    name: str
    ready: bool
    cpu: Amount
    memory: Amount
    gpus: int = 0
    gpu_resource: str = 'nvidia.com/gpu'
    product: str = ''
    replicas: int = 1
    devices: int = 0
    cordoned: bool = False
    virtual: bool = False
    instance_type: str = ''


@dataclass(frozen=True)
class Claim:
    """A claim of devices.

    Attributes:
        devices: numbers of the devices of the node that it was given; empty while it waits
        pods: those that share it
    """

    namespace: str
    name: str
    node: str
    devices: tuple[int, ...]
    pods: tuple[Pod, ...]
    # Access for monitoring, which takes the devices from nobody.
    admin: bool = False

"""The fields of Kubernetes' answers that are decoded, as types for pydantic.

A pod is about ten kilobytes of JSON, of which a tenth is needed. Pydantic's parser skips all other fields, known and
unknown, without building objects. Field names are Kubernetes' own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, NotRequired, Required, TypeVar

from pydantic import TypeAdapter, ValidationError

# pydantic wants this one below Python 3.12; it is a dependency of pydantic.
from typing_extensions import TypedDict

from ..core import bounded_json
from ..core.errors import BadPayload
from ..core.http import Response

Text = str | None
Quantities = dict[str, Any] | None
Item = TypeVar('Item')


class Resources(TypedDict, total=False):
    """`ResourceRequirements` of a container, its status or a pod."""

    requests: Quantities


class Terminated(TypedDict, total=False):
    """`ContainerStateTerminated`: the end of a container."""

    reason: Text
    exitCode: int | None
    startedAt: Text
    finishedAt: Text
    containerID: Text


class Waiting(TypedDict, total=False):
    """`ContainerStateWaiting`: the reason why a container does not run."""

    reason: Text


class Running(TypedDict, total=False):
    """`ContainerStateRunning`: the container runs."""

    startedAt: Text


class State(TypedDict, total=False):
    """`ContainerState`: at most one member is set."""

    waiting: Waiting | None
    terminated: Terminated | None
    running: Running | None


class ContainerStatus(TypedDict, total=False):
    """`ContainerStatus`: the state of a container of any kind."""

    name: Required[str]
    restartCount: int | None
    state: State | None
    lastState: State | None
    allocatedResources: Quantities
    resources: Resources | None


class Container(TypedDict, total=False):
    """`Container`: the specification of a container."""

    name: Required[str]
    restartPolicy: Text
    resources: Resources | None


class Owner(TypedDict, total=False):
    """`OwnerReference`: the object that manages a pod."""

    kind: Text
    name: Text
    controller: bool | None


class NodeMeta(TypedDict, total=False):
    """`ObjectMeta` of a node."""

    name: Required[str]
    uid: Required[str]
    labels: dict[str, Any] | None


class PodMetricsMeta(TypedDict):
    """`ObjectMeta` of a sample, with the name of its pod."""

    name: str
    namespace: str


class DeploymentMeta(TypedDict):
    """`ObjectMeta` of a deployment."""

    name: str
    namespace: str
    uid: str


# The labels of a pod that are read. Their names are not those of variables.
PodLabels = TypedDict(
    'PodLabels',
    {'pod-template-hash': Text, 'rollouts-pod-template-hash': Text, 'kueue.x-k8s.io/managed': Text},
    total=False,
)


class PodMeta(TypedDict, total=False):
    """`ObjectMeta` of a pod."""

    name: Required[str]
    namespace: Required[str]
    uid: Required[str]
    creationTimestamp: Text
    deletionTimestamp: Text
    labels: PodLabels | None
    ownerReferences: list[Owner] | None


class Condition(TypedDict, total=False):
    """`PodCondition` or `NodeCondition`."""

    type: Required[str]
    status: Text
    reason: Text
    lastTransitionTime: Text


class NamedObject(TypedDict, total=False):
    """An entry of a list of which only the number counts: a scheduling gate, a claim of devices."""

    name: Text


# The labels of nodes by which pods select a model of accelerators.
NodeSelector = TypedDict(
    'NodeSelector',
    {
        'nvidia.com/gpu.product': Text,
        'cloud.google.com/gke-accelerator': Text,
        'amd.com/gpu.product-name': Text,
        'cloud.google.com/gke-tpu-accelerator': Text,
    },
    total=False,
)


class PodSpec(TypedDict, total=False):
    """`PodSpec`: the specification of a pod."""

    nodeName: Text
    nodeSelector: NodeSelector | None
    containers: Required[list[Container]]
    initContainers: list[Container] | None
    overhead: Quantities
    resources: Resources | None
    resourceClaims: list[NamedObject] | None
    schedulingGates: list[NamedObject] | None


class ExtendedResourceRequest(TypedDict, total=False):
    """`ContainerExtendedResourceRequest`: a requested resource that is served by a claim."""

    resourceName: Text


class ExtendedResourceClaimStatus(TypedDict, total=False):
    """`PodExtendedResourceClaimStatus`: the claim that the scheduler made for extended resources."""

    requestMappings: list[ExtendedResourceRequest] | None


class PodStatus(TypedDict, total=False):
    """`PodStatus`: the state of a pod."""

    phase: Text
    reason: Text
    startTime: Text
    conditions: list[Condition] | None
    containerStatuses: list[ContainerStatus] | None
    initContainerStatuses: list[ContainerStatus] | None
    allocatedResources: Quantities
    resources: Resources | None
    extendedResourceClaimStatus: ExtendedResourceClaimStatus | None


class Pod(TypedDict):
    """`Pod`."""

    metadata: PodMeta
    spec: PodSpec
    status: PodStatus


class ContainerUsage(TypedDict):
    """`ContainerMetrics`: the usage of a container."""

    name: str
    usage: Quantities


class PodMetrics(TypedDict):
    """`PodMetrics`: a sample of a pod."""

    metadata: PodMetricsMeta
    timestamp: NotRequired[Text]
    containers: list[ContainerUsage] | None


class DeploymentSpec(TypedDict, total=False):
    """`DeploymentSpec`: the requested number of replicas."""

    replicas: int | None


class Deployment(TypedDict):
    """`Deployment`."""

    metadata: DeploymentMeta
    spec: DeploymentSpec


class Taint(TypedDict, total=False):
    """`Taint`: a mark that keeps pods away."""

    key: Text


class NodeSpec(TypedDict, total=False):
    """`NodeSpec`: whether a node accepts pods."""

    unschedulable: bool | None
    taints: list[Taint] | None


class NodeStatus(TypedDict, total=False):
    """`NodeStatus`: the resources and conditions of a node."""

    allocatable: Quantities
    capacity: Quantities
    conditions: list[Condition] | None


class Node(TypedDict):
    """`Node`."""

    metadata: NodeMeta
    spec: NotRequired[NodeSpec | None]
    status: NodeStatus


class ClaimMeta(TypedDict):
    """`ObjectMeta` of a claim."""

    name: str
    namespace: str
    uid: str


class AllocatedDevice(TypedDict, total=False):
    """`DeviceRequestAllocationResult`: a device that was allocated."""

    driver: Required[str]
    pool: Required[str]
    device: Required[str]
    adminAccess: bool | None


class DeviceAllocation(TypedDict, total=False):
    """`DeviceAllocationResult`: the devices that were allocated."""

    results: list[AllocatedDevice] | None


class Allocation(TypedDict, total=False):
    """`AllocationResult`."""

    devices: DeviceAllocation | None


class Consumer(TypedDict, total=False):
    """`ResourceClaimConsumerReference`: an object that a claim is reserved for."""

    resource: Text
    uid: Required[str]


class ClaimStatus(TypedDict, total=False):
    """`ResourceClaimStatus`: the devices of a claim, and the pods that may use them."""

    allocation: Allocation | None
    reservedFor: list[Consumer] | None


class Claim(TypedDict):
    """`ResourceClaim`."""

    metadata: ClaimMeta
    status: NotRequired[ClaimStatus | None]


class Attribute(TypedDict, total=False):
    """`DeviceAttribute`: a value of one of several types."""

    string: Text


class OfferedDevice(TypedDict, total=False):
    """`Device`: a device that a driver offers."""

    name: Required[str]
    attributes: dict[str, Attribute] | None


class Pool(TypedDict, total=False):
    """`ResourcePool`."""

    name: Required[str]
    generation: int | None


class SliceSpec(TypedDict, total=False):
    """`ResourceSliceSpec`: devices of a driver on a node."""

    driver: Required[str]
    pool: Required[Pool]
    nodeName: Text
    devices: list[OfferedDevice] | None


class Slice(TypedDict):
    """`ResourceSlice`."""

    metadata: NodeMeta
    spec: SliceSpec


# A class cannot have a field named `continue`, which is a keyword of Python.
ListMeta = TypedDict('ListMeta', {'continue': NotRequired[Text], 'remainingItemCount': NotRequired[int | None]})


class ListOf(TypedDict, Generic[Item]):
    """A list, such as `PodList`. `items` is required; some APIs, written in Go, write an empty list as null."""

    metadata: ListMeta
    items: list[Item] | None


# The `parse` methods of records.py read the results by key.
Adapter = TypeAdapter[dict[str, Any]]
POD_LIST: Adapter = TypeAdapter(ListOf[Pod])
POD_METRICS_LIST: Adapter = TypeAdapter(ListOf[PodMetrics])
DEPLOYMENT_LIST: Adapter = TypeAdapter(ListOf[Deployment])
NODE_LIST: Adapter = TypeAdapter(ListOf[Node])
CLAIM_LIST: Adapter = TypeAdapter(ListOf[Claim])
SLICE_LIST: Adapter = TypeAdapter(ListOf[Slice])


# The end of an item of a list and the beginning of the next one, as the API server writes them.
_BOUNDARY = b'},{"metadata":{"name":"'
_HEAD = b'{"metadata":{},"items":['
_TAIL = b']}'
PIECE_BYTES = 64 * 1024
# Values in one answer. A page of 500 pods, each with 900 small objects (mostly managed fields), has a million.
MAX_PAGE_VALUES = 2_000_000
# Values in a piece, which is decoded at once. Pydantic takes up to 1.4 KiB for each. Large pods have a few thousand.
MAX_PIECE_VALUES = 100_000


def decode(adapter: Adapter, response: Response) -> dict[str, Any]:
    """Return the needed fields of an answer. Raises BadPayload, which names the place but never the value."""
    try:
        return _validated(adapter, response, response.content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        if first['type'] == 'json_invalid':
            response.json()
        place = '.'.join(map(str, first['loc'])) or 'the body'
        raise BadPayload(
            f'{response.request} answered with a value that the Kubernetes API does not allow: {place}: {first["msg"]}'
        ) from None


def decode_list(adapter: Adapter, response: Response) -> tuple[str, Iterator[dict[str, Any]]]:
    """Return the continue token (empty on the last page) and the items. Raises BadPayload, also while iterating.

    Pydantic first builds a tree of the whole text, eight times the size of the text. A large body is therefore cut
    between items and decoded in pieces, which takes a quarter of the memory and no more time. A piece that was cut
    inside an item is not valid JSON; then the body is decoded as a whole.
    """
    _count(response, response.content, MAX_PAGE_VALUES)
    pieces = _pieces(response.content)
    try:
        head = _validated(adapter, response, next(pieces))
    except ValidationError:
        head, pieces = decode(adapter, response), iter(())
    metadata = head['metadata']
    token, left = metadata.get('continue') or '', metadata.get('remainingItemCount') or 0
    if left > 0 and not token:
        raise BadPayload(
            f'{response.request} answered with a part of a list: {left} items are left, and no token leads there'
        )
    return token, _items(adapter, response, head['items'] or [], pieces)


def _validated(adapter: Adapter, response: Response, piece: bytes) -> dict[str, Any]:
    _count(response, piece, MAX_PIECE_VALUES)
    return adapter.validate_json(piece)


def _count(response: Response, content: bytes, limit: int) -> None:
    try:
        bounded_json.count_values(content, limit)
    except bounded_json.TooComplex as error:
        raise BadPayload(f'{response.request} answered JSON {error}') from error


def _pieces(content: bytes) -> Iterator[bytes]:
    """Yield a list in pieces, each a list; in one piece when it is small or written in another way."""
    start = 0
    before = b''
    while (end := content.find(_BOUNDARY, start + PIECE_BYTES)) >= 0:
        yield before + content[start : end + 1] + _TAIL
        start, before = end + 2, _HEAD
    yield before + content[start:] if before else content


def _items(
    adapter: Adapter, response: Response, items: list[dict[str, Any]], pieces: Iterator[bytes]
) -> Iterator[dict[str, Any]]:
    number = len(items)
    yield from items
    for piece in pieces:
        # Frees the items of the last piece before the next one is decoded.
        del items
        try:
            items = _validated(adapter, response, piece)['items'] or []
        except ValidationError:
            yield from (decode(adapter, response)['items'] or ())[number:]
            return
        number += len(items)
        yield from items

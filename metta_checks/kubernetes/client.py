"""Reads the lists of the Kubernetes API that the figures need.

Large lists come in pages of 500 items. A page is decoded, reduced to records and dropped before the next one is
requested, so that peak memory depends on the size of a page. No `resourceVersion` is sent: with one, servers ignore
`limit`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from ..core.errors import Forbidden, NotFound, RateLimited, Rejected, Unavailable
from ..core.http import RETRIED_STATUSES, Api, Response, ResponsePolicy
from ..core.paging import pages
from ..core.text import one_line
from .accelerator_types import AcceleratorTypes
from .device_claims import DeviceClaims
from .effective_requests import Problem
from .namespaces import Namespaces
from .payloads import (
    CLAIM_LIST,
    DEPLOYMENT_LIST,
    NODE_LIST,
    POD_LIST,
    POD_METRICS_LIST,
    SLICE_LIST,
    Adapter,
    decode_list,
)
from .records import Deployment, Node, Pod, PodKey, PodUsage

Result = TypeVar('Result')

PAGE_SIZE = 500
EXPIRED = 410
# Longest text of the API server in a message.
MAX_REASON = 200
# An API server answers 500 for a moment when its storage changes its leader.
RETRIED = RETRIED_STATUSES | {500}
# Priority and Fairness turns requests away with a `Retry-After` of a second or some. Such a wait is part of the
# refresh; a longer one ends it.
LONGEST_WAIT_SECONDS = 10
MAX_WAITS = 5
# Pods that succeeded hold no resources and are often the larger part of a list.
UNFINISHED = 'status.phase!=Succeeded'


@dataclass(frozen=True, slots=True)
class Kind:
    """A list of the API."""

    group: str
    root: str
    plural: str
    items: Adapter
    namespaced: bool = True

    def path(self, namespace: str = '') -> str:
        """Return the path of the list of a namespace, or of the whole cluster when it is empty."""
        return f'{self.root}/namespaces/{namespace}/{self.plural}' if namespace else f'{self.root}/{self.plural}'

    @property
    def rule(self) -> str:
        """The RBAC rule that allows to read it."""
        return f'apiGroups: ["{self.group}"], resources: ["{self.plural}"], verbs: ["list"]'


PODS = Kind('', '/api/v1', 'pods', POD_LIST)
NODES = Kind('', '/api/v1', 'nodes', NODE_LIST, namespaced=False)
DEPLOYMENTS = Kind('apps', '/apis/apps/v1', 'deployments', DEPLOYMENT_LIST)
CLAIMS = Kind('resource.k8s.io', '/apis/resource.k8s.io/v1', 'resourceclaims', CLAIM_LIST)
SLICES = Kind('resource.k8s.io', '/apis/resource.k8s.io/v1', 'resourceslices', SLICE_LIST, namespaced=False)
# The list is called `pods` here, too.
POD_METRICS = Kind('metrics.k8s.io', '/apis/metrics.k8s.io/v1beta1', 'pods', POD_METRICS_LIST)


@dataclass(slots=True)
class Sampling:
    """An answer of the metrics API.

    Attributes:
        samples: usage by namespace and name of the pod
        problems: reason and message of everything that could not be read
    """

    samples: dict[PodKey, PodUsage] = field(default_factory=dict)
    problems: list[tuple[str, str]] = field(default_factory=list)


class _LazyPage(NamedTuple):
    """A page of which the items are decoded, and their memory is freed, one part after the other."""

    items: Iterator[dict[str, Any]]
    cursor: str | None

    @classmethod
    def of(cls, kind: Kind, response: Response) -> _LazyPage:
        """Return the page in an answer. Raises BadPayload, also while its items are iterated over."""
        token, items = decode_list(kind.items, response)
        return cls(items, token or None)


class ExpiredList(Rejected):
    """The server has dropped the state of the first pages of a list, so it cannot send the other ones of that time."""


class Refusals(ResponsePolicy):
    """Leaves all errors to the general rules, and remembers a refused token, so that it is read again.

    Attributes:
        refused: True after HTTP 401
    """

    def __init__(self) -> None:
        self.refused = False

    def classify(self, response: Response, resource: str) -> None:
        """Remember that the token was refused."""
        if response.status == 401:
            self.refused = True

    def reason(self, response: Response) -> str:
        """Return the message of the API server, or its plain text about an aggregated API that it cannot reach."""
        if response.status >= 500 and response.headers.get('Content-Type', '').startswith('text/plain'):
            # Its beginning only: the body can be long.
            return one_line(response.content[: 10 * MAX_REASON].decode(errors='replace'), MAX_REASON)
        return super().reason(response)


class Client:
    """Yields the records of one cluster, limited to some namespaces. Raises SourceError.

    Parameters:
        api: the API server
        namespaces: the namespaces to read
    """

    def __init__(self, api: Api, namespaces: Namespaces) -> None:
        self._api = api
        self._namespaces = namespaces

    def pods(self, problem: Problem) -> list[Pod]:
        """Return all pods that have not succeeded."""

        def read(problem: Problem) -> list[Pod]:
            return [Pod.parse(item, problem) for item in self._list(PODS, problem, fieldSelector=UNFINISHED)]

        return _of_one_time(read, problem)

    def sampling(self) -> Sampling:
        """Return the present usage of all containers, which the metrics API sends in one answer without pages."""
        result = Sampling()

        def problem(reason: str, message: str) -> None:
            result.problems.append((reason, message))

        def items(scope: str) -> Iterator[dict[str, Any]]:
            return decode_list(POD_METRICS.items, self._metrics(scope))[1]

        for item in self._allowed(POD_METRICS, items, problem):
            if item['metadata']['namespace'] in self._namespaces:
                usage = PodUsage.parse(item, problem)
                result.samples[usage.namespace, usage.name] = usage
        return result

    def deployments(self, problem: Problem) -> list[Deployment]:
        """Return all deployments."""

        def read(problem: Problem) -> list[Deployment]:
            return [Deployment.parse(item) for item in self._list(DEPLOYMENTS, problem)]

        return _of_one_time(read, problem)

    def nodes(self, problem: Problem) -> list[Node]:
        """Return all nodes."""

        def read(problem: Problem) -> list[Node]:
            return [Node.parse(item, problem) for item in self._list(NODES, problem)]

        return _of_one_time(read, problem)

    def device_claims(self, types: AcceleratorTypes, problem: Problem) -> DeviceClaims:
        """Return the devices of dynamic resource allocation, offered and allocated."""

        def read(problem: Problem) -> DeviceClaims:
            return DeviceClaims.of(self._list(SLICES, problem), self._list(CLAIMS, problem), types)

        return _of_one_time(read, problem)

    def reach(self, kind: Kind) -> None:
        """Request one item of a list, in every scope that a refresh reads. Raises the errors that a refresh would."""
        for scope in self._scopes(kind):
            if kind is POD_METRICS:
                self._metrics(scope)
            else:
                self._get(kind, scope, {'limit': 1})

    def _scopes(self, kind: Kind) -> tuple[str, ...]:
        return self._namespaces.scopes() if kind.namespaced else ('',)

    def _metrics(self, scope: str) -> Response:
        try:
            return self._get(POD_METRICS, scope, {})
        except (NotFound, Unavailable) as error:
            if isinstance(error, Unavailable) and error.reason != 'http_5xx':
                raise
            # The API server answers 404 without metrics-server, and 503 while metrics-server starts.
            raise type(error)(f'metrics-server is not installed or not ready: {error}', reason=error.reason) from error

    def _list(self, kind: Kind, problem: Problem, **params: Any) -> Iterator[dict[str, Any]]:
        """Yield the items of the wanted namespaces, each once. Raises ExpiredList between two pages."""
        seen: set[str] = set()

        def items(scope: str) -> Iterator[dict[str, Any]]:
            return self._pages(kind, scope, params)

        for item in self._allowed(kind, items, problem):
            # Storage that does not sort its keys repeats items on later pages.
            metadata = item['metadata']
            if metadata['uid'] in seen or (kind.namespaced and metadata['namespace'] not in self._namespaces):
                continue
            seen.add(metadata['uid'])
            yield item

    def _allowed(
        self, kind: Kind, read: Callable[[str], Iterator[dict[str, Any]]], problem: Problem
    ) -> Iterator[dict[str, Any]]:
        """Yield the items of all namespaces that the credentials may list. Raises Forbidden if there is none."""
        scopes = self._scopes(kind)
        refusals: list[Forbidden] = []
        for scope in scopes:
            has_begun = False
            try:
                for item in read(scope):
                    has_begun = True
                    yield item
            except Forbidden as error:
                if has_begun or len(scopes) == 1:
                    raise
                refusals.append(error)
        if refusals and len(refusals) == len(scopes):
            raise refusals[0]
        for refusal in refusals:
            problem(refusal.reason, str(refusal))

    def _pages(self, kind: Kind, scope: str, params: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        def fetch(token: str | None) -> _LazyPage:
            query = {'limit': PAGE_SIZE, **params}
            if token is None:
                return _LazyPage.of(kind, self._get(kind, scope, query))
            response = self._get(kind, scope, {**query, 'continue': token}, accept=(EXPIRED,))
            if response.status == EXPIRED:
                raise ExpiredList(
                    f'{response.request} answered HTTP {EXPIRED}: the list expired twice while it was read',
                    reason='expired_token',
                )
            return _LazyPage.of(kind, response)

        request = self._api.request_line('get', kind.path(scope))
        repeated = f'{request} answered with the continue token of an earlier page: the list would never end'
        for chunk in pages(fetch, repeated=repeated):
            yield from chunk.items

    def _get(self, kind: Kind, scope: str, params: Mapping[str, Any], *, accept: tuple[int, ...] = ()) -> Response:
        try:
            return self._patiently(kind.path(scope), params, accept)
        except Forbidden as error:
            where = f'in namespace {scope}' if scope else 'in the whole cluster'
            group = f' of API group {kind.group}' if kind.group else ''
            # The words of the API server, which name the user and the authorizer.
            reason = error.fact.partition(': permission denied')[2]
            raise Forbidden(
                f'the credentials may not list {kind.plural}{group} {where} (HTTP 403){reason}',
                remedy=f'missing RBAC rule: {kind.rule}',
            ) from error

    def _patiently(self, path: str, params: Mapping[str, Any], accept: tuple[int, ...]) -> Response:
        """Send a request, again after the short waits that a busy API server asks for. Raises RateLimited."""
        budget = self._api.budget
        for _ in range(MAX_WAITS):
            try:
                return self._api.get(path, params, accept=accept, retry_statuses=RETRIED)
            except RateLimited as error:
                seconds = error.until - budget.clock.now().timestamp()
                if seconds > min(LONGEST_WAIT_SECONDS, budget.seconds_left()):
                    raise
                budget.wait(seconds)
        return self._api.get(path, params, accept=accept, retry_statuses=RETRIED)


def _of_one_time(read: Callable[[Problem], Result], problem: Problem) -> Result:
    """Return the result of reading a list, which is read once more from its beginning when it expires.

    The token that a server offers with the 410 continues the list with newer data: a pod that has been replaced would
    count beside its successor. Raises ExpiredList when the list expires again.
    """
    noted: list[tuple[str, str]] = []
    try:
        return read(lambda reason, message: noted.append((reason, message)))
    except ExpiredList:
        noted.clear()
    finally:
        for reason, message in noted:
            problem(reason, message)
    return read(problem)

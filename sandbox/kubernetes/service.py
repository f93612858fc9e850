"""The API server: tokens, rights, lists with pages and selectors, and the metrics API."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from werkzeug.wrappers import Request, Response

from metta_checks.testing import Clock

from ..organization import Organization
from ..server import Figure, Service
from . import prometheus, render, truth_gpus
from .data import PODS, Cluster
from .options import KubernetesOptions
from .truth import Truth

TOKEN = 'sandbox-token-of-the-check'
# A valid token without any permission.
READER_TOKEN = 'sandbox-token-without-rights'
CLUSTER_NAME = 'prod'
PRICES = {'cpu_core_hour': 0.031611, 'memory_gib_hour': 0.004237}
# Deployments and workloads with series of their own.
SHOWN = 10
# Path of a Prometheus that has scraped the GPUs of the cluster.
PROMETHEUS = '/prometheus'
# Smallest size of an answer that the API server compresses.
GZIP_BYTES = 128 * 1024
# A time long after the start in which metrics-server is away.
OUTAGE_AFTER = timedelta(hours=6)
OUTAGE = timedelta(minutes=20)
# Path of a list without and with its namespace: (API group, prefix, plural, list kind, API version).
LISTS = (
    ('', '/api/v1', 'pods', 'PodList', 'v1'),
    ('', '/api/v1', 'nodes', 'NodeList', 'v1'),
    ('apps', '/apis/apps/v1', 'deployments', 'DeploymentList', 'apps/v1'),
    ('resource.k8s.io', '/apis/resource.k8s.io/v1', 'resourceclaims', 'ResourceClaimList', 'resource.k8s.io/v1'),
    ('resource.k8s.io', '/apis/resource.k8s.io/v1', 'resourceslices', 'ResourceSliceList', 'resource.k8s.io/v1'),
    ('metrics.k8s.io', '/apis/metrics.k8s.io/v1beta1', 'pods', 'PodMetricsList', 'metrics.k8s.io/v1beta1'),
)
CLUSTER_WIDE = ('nodes', 'resourceslices')
REASONS = {
    400: 'BadRequest',
    401: 'Unauthorized',
    403: 'Forbidden',
    404: 'NotFound',
    405: 'MethodNotAllowed',
    410: 'Expired',
    503: 'ServiceUnavailable',
}


@dataclass
class Manifests:
    """Objects in the notation of the API, for situations that the cluster does not have."""

    pods: list[dict[str, Any]] = field(default_factory=list)
    nodes: list[dict[str, Any]] = field(default_factory=list)
    deployments: list[dict[str, Any]] = field(default_factory=list)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    resourceclaims: list[dict[str, Any]] = field(default_factory=list)
    resourceslices: list[dict[str, Any]] = field(default_factory=list)
    gpu_series: list[prometheus.GpuSeries] = field(default_factory=list)


class KubernetesService(Service):
    """The cluster `prod`: 400 pods in 40 namespaces, 60 deployments, 15 nodes of which 4 have 8 GPUs.

    Attributes:
        metrics_server: `ok`, `absent` (404) or `not_ready` (503)
        sampled: the metrics API has samples; it has none while metrics-server starts
        forbidden: plurals that the token may not list; `metrics` for the metrics API
        forbidden_namespaces: namespaces in which the token may list nothing
        manifests: objects to serve instead of the cluster's
    """

    name = 'kubernetes'
    options_type = KubernetesOptions

    def __init__(self, organization: Organization, clock: Clock, options: KubernetesOptions) -> None:
        super().__init__(organization, clock)
        pods = round(PODS * options.scale) if options.pods is None else options.pods
        self.cluster = Cluster(organization.random('kubernetes'), clock.now(), pods=pods, claims=options.claims)
        self.metrics_server = options.metrics_server
        self.sampled = True
        self.forbidden: set[str] = set()
        self.forbidden_namespaces: set[str] = set()
        self.manifests: Manifests | None = None
        self._expire = 0
        self._cache: dict[tuple[Any, ...], bytes] = {}

    # The contract of a service.

    def instance(self) -> dict[str, Any]:
        """Return an instance with prices and all optional figures."""
        return {
            'source': 'kubernetes',
            'cluster_name': CLUSTER_NAME,
            'api_server_url': self.url,
            'token': TOKEN,
            'prices': dict(PRICES),
            'per_deployment': SHOWN,
            'per_namespace': True,
            'per_workload': SHOWN,
            'cluster_idle': True,
        }

    def companions(self) -> dict[str, Any]:
        """Return option `gpu_usage`."""
        return {'gpu_usage': self.gpu_usage()}

    def gpu_usage(self) -> dict[str, Any]:
        """Return the option `gpu_usage` for the Prometheus of the cluster."""
        return {'prometheus_url': f'{self.url}{PROMETHEUS}'}

    def truth(self, now: datetime) -> Iterable[Figure]:
        """Compute the true figures, without those of usage while the metrics API does not answer."""
        return Truth(
            self.cluster,
            now,
            cluster_name=CLUSTER_NAME,
            sampled=self._metrics_state(now) == 'ok' and self.sampled,
            prices=PRICES,
            shown=SHOWN,
        ).figures()

    def usage_truth(self, now: datetime, prices: Mapping[str, float]) -> Iterable[Figure]:
        """Compute the true figures of option `gpu_usage`, with prices by type of GPU."""
        return truth_gpus.usage(self.cluster, now, f'cluster:{CLUSTER_NAME}', prices)

    def pass_time(self, seconds: float) -> None:
        """Advance the clock, and make the changes in the cluster until then."""
        before = self.clock.now()
        super().pass_time(seconds)
        if seconds > 0:
            self.cluster.pass_time(before, self.clock.now())
        self._cache.clear()

    def changed(self) -> None:
        """Drop cached answers. A test calls this after it has changed the cluster."""
        for pod in self.cluster.pods:
            pod.rendered = None
        self._cache.clear()

    def expire_tokens(self, times: int = 1) -> None:
        """Answer the next continue tokens with 410, and offer tokens that continue with newer data."""
        self._expire = times

    def _metrics_state(self, now: datetime) -> str:
        if self.metrics_server == 'ok' and OUTAGE_AFTER <= now - self.cluster.start < OUTAGE_AFTER + OUTAGE:
            return 'not_ready'
        return self.metrics_server

    # Answers.

    def answer(self, request: Request) -> Response:
        """Answer list requests of clients that have a token, and queries for Prometheus."""
        if request.path == f'{PROMETHEUS}/api/v1/query':
            return self._prometheus(request)
        token = request.headers.get('Authorization', '').partition(' ')[2]
        if token not in (TOKEN, READER_TOKEN):
            return self._status(401, 'Unauthorized')
        found = self._find(request.path)
        if found is None:
            return self._status(404, 'the server could not find the requested resource')
        (group, _, plural, _, _), namespace = found
        switch = 'metrics' if group == 'metrics.k8s.io' else plural
        if token == READER_TOKEN or switch in self.forbidden or namespace in self.forbidden_namespaces:
            where = f'in the namespace "{namespace}"' if namespace else 'at the cluster scope'
            return self._status(
                403,
                f'{plural} is forbidden: User "check" cannot list resource "{plural}" in API group "{group}" {where}',
            )
        if request.method != 'GET':
            return self._status(405, 'the sandbox can only list')
        if switch == 'metrics':
            return self._metrics(request, namespace)
        return self._list(request, found[0], namespace)

    def _prometheus(self, request: Request) -> Response:
        now = self.clock.now()
        if self.manifests is not None:
            series = self.manifests.gpu_series
        else:
            series = list(prometheus.of_pods(self.cluster.pods, now))
        found = prometheus.answer(request.args.get('query', ''), series, now)
        if found is None:
            return self.json({'status': 'error', 'errorType': 'bad_data', 'error': 'invalid parameter "query"'}, 400)
        return self.json(found)

    @staticmethod
    def _find(path: str) -> tuple[tuple[str, str, str, str, str], str] | None:
        for entry in LISTS:
            _, prefix, plural, _, _ = entry
            if path == f'{prefix}/{plural}':
                return entry, ''
            if plural not in CLUSTER_WIDE and path.startswith(f'{prefix}/namespaces/'):
                namespace, _, rest = path.removeprefix(f'{prefix}/namespaces/').partition('/')
                if rest == plural:
                    return entry, namespace
        return None

    def _metrics(self, request: Request, namespace: str) -> Response:
        now = self.clock.now()
        state = self._metrics_state(now)
        if state == 'absent':
            return self._status(404, 'the server could not find the requested resource')
        if state == 'not_ready':
            return self._status(503, 'the server is currently unable to handle the request')
        key = ('metrics', namespace, self.sampled)
        if key not in self._cache:
            if self.manifests is not None:
                found = _of_namespace(self.manifests.metrics, namespace)
                items = [render.compact(item) for item in found]
            else:
                live = [pod for pod in self.cluster.pods if pod.live and pod.sampled and self.sampled]
                items = [render.pod_metrics(pod, now) for pod in live if namespace in ('', pod.namespace)]
            head = '{"kind":"PodMetricsList","apiVersion":"metrics.k8s.io/v1beta1","metadata":{},"items":['
            self._cache[key] = f'{head}{",".join(items)}]}}'.encode()
        return self._body(request, key)

    def _list(self, request: Request, entry: tuple[str, str, str, str, str], namespace: str) -> Response:
        _, _, plural, kind, version = entry
        selector = request.args.get('fieldSelector', '')
        try:
            items = self._items(plural, namespace, selector)
            limit = int(request.args.get('limit', 0))
            start = self._start(request.args.get('continue', ''))
        except ValueError as error:
            return self._status(400, str(error))
        if request.args.get('resourceVersion'):
            # Real servers do not cut an answer from their cache into pages.
            limit = 0
        if start and self._expire > 0:
            self._expire -= 1
            offered = self._token(start, inconsistent=True)
            return self._status(410, 'The provided continue parameter is too old', **{'continue': offered})
        key = (plural, namespace, selector, start, limit)
        if key not in self._cache:
            page = items[start : start + limit] if limit else items[start:]
            left = len(items) - start - len(page)
            meta: dict[str, str | int] = {'resourceVersion': '1000'}
            if left:
                meta['continue'] = self._token(start + len(page))
                if not selector:
                    # Real servers do not count the remaining items of a list with a selector.
                    meta['remainingItemCount'] = left
            head = f'{{"kind":"{kind}","apiVersion":"{version}","metadata":{render.compact(meta)},"items":['
            self._cache[key] = head.encode() + b','.join(self._render(plural, item) for item in page) + b']}'
        return self._body(request, key)

    def _items(self, plural: str, namespace: str, selector: str) -> list[Any]:
        if self.manifests is not None:
            items: list[Any] = _of_namespace(getattr(self.manifests, plural), namespace)
        elif plural == 'nodes':
            items = self.cluster.nodes
        elif plural == 'resourceslices':
            items = [node for node in self.cluster.nodes if node.devices]
        else:
            found: dict[str, list[Any]] = {
                'pods': self.cluster.pods,
                'deployments': self.cluster.deployments,
                'resourceclaims': self.cluster.claims,
            }
            items = [item for item in found[plural] if namespace in ('', item.namespace)]
        for term in filter(None, selector.split(',')):
            label, operator, value = _selector_term(term)
            if plural != 'pods' or label not in SELECTABLE:
                raise ValueError(f'field label not supported: {label}')
            selected = SELECTABLE[label]
            items = [item for item in items if (selected(item) == value) is (operator != '!=')]
        return items

    def _render(self, plural: str, item: Any) -> bytes:
        if isinstance(item, dict):
            return render.compact(item).encode()
        if plural == 'pods':
            return render.pod(item)
        return getattr(render, plural.removesuffix('s'))(item, self.cluster.start).encode()

    @staticmethod
    def _token(start: int, *, inconsistent: bool = False) -> str:
        return base64.urlsafe_b64encode(json.dumps({'start': start, 'inconsistent': inconsistent}).encode()).decode()

    @staticmethod
    def _start(token: str) -> int:
        try:
            return json.loads(base64.urlsafe_b64decode(token))['start'] if token else 0
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError('continue key is not valid') from error

    def _body(self, request: Request, key: tuple[Any, ...]) -> Response:
        content = self._cache[key]
        headers = {}
        if len(content) >= GZIP_BYTES and 'gzip' in request.headers.get('Accept-Encoding', ''):
            packed = (*key, 'gzip')
            if packed not in self._cache:
                self._cache[packed] = gzip.compress(content, compresslevel=1)
            content, headers = self._cache[packed], {'Content-Encoding': 'gzip'}
        return Response(content, 200, headers, content_type='application/json')

    def _status(self, code: int, message: str, **metadata: str) -> Response:
        body = {
            'kind': 'Status',
            'apiVersion': 'v1',
            'metadata': metadata,
            'status': 'Failure',
            'message': message,
            'reason': REASONS[code],
            'code': code,
        }
        return self.json(body, code)


def _field(part: str, name: str, attribute: str) -> Callable[[Any], Any]:
    """Return the reader of a field of a pod, which is an object of the cluster or a manifest."""
    return lambda pod: pod[part].get(name, '') if isinstance(pod, dict) else getattr(pod, attribute)


SELECTABLE = {
    'status.phase': _field('status', 'phase', 'phase'),
    'metadata.name': _field('metadata', 'name', 'name'),
    'metadata.namespace': _field('metadata', 'namespace', 'namespace'),
    'spec.nodeName': _field('spec', 'nodeName', 'node'),
}


def _of_namespace(items: Iterable[dict[str, Any]], namespace: str) -> list[dict[str, Any]]:
    return [item for item in items if namespace in ('', item['metadata'].get('namespace'))]


def _selector_term(term: str) -> tuple[str, str, str]:
    for operator in ('!=', '==', '='):
        label, found, value = term.partition(operator)
        if found:
            return label, operator, value
    raise ValueError(f'invalid selector: {term}')

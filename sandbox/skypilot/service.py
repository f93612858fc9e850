"""The SkyPilot API server: authentication, asynchronous operations, and switches for its special situations."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from werkzeug.wrappers import Request, Response

from metta_checks.testing import Clock

from ..organization import Organization
from ..server import Figure, Service
from . import machines, shapes
from .data import Generator
from .life import Life
from .model import Cluster
from .options import SkyPilotOptions
from .rare import RareSituations
from .truth import PLAIN, Truth

TOKEN = 'sky_7d1f0f5c2a9e4b60'
USERNAME, PASSWORD = 'datadog', 'correct horse'
VERSIONS = {14: '0.10.0', 18: '0.10.3', 24: '0.11.0', 31: '0.12.0', 62: '0.14.1'}
# The server refuses clients that state a lower version of the interface.
OLDEST_CLIENT = 24
QUEUE_V2, FIELDS, POOLS = 18, 24, 24
IDLE = 'No in-progress managed jobs.'
UNREACHABLE = 'Failed to connect to jobs controller, please try again later.'
LOGIN = 'https://login.metta-ai.example/oauth2/start'


class Failure(Exception):
    """An operation failed on the server, with an error of a type."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(slots=True)
class Operation:
    """A submitted request and its outcome."""

    id: str
    name: str
    value: Any = None
    error: tuple[str, str] | None = None
    # The time at which the result is ready, in monotonic seconds of the service's clock.
    ready_at: float = 0.0


class SkyPilotService(Service):
    """Managed jobs and clusters of metta-ai.

    Attributes:
        api_version: version of the interface that the server speaks
        auth: how it authenticates clients; see SkyPilotOptions
        consolidation: the server controls jobs itself, and so bills their clusters
        controller: state of the jobs controller: `up`, `idle` or `unreachable`
        bad_handle: a record of a job's cluster is damaged
        may_read: the account has the role viewer
        unlisted_clouds: clouds whose price list is missing on the server
        unreachable_clusters: names of clusters that cannot be asked for their jobs
        delay: seconds until the result of an operation is ready, by operation
    """

    name = 'skypilot'
    options_type = SkyPilotOptions

    def __init__(self, organization: Organization, clock: Clock, options: SkyPilotOptions) -> None:
        super().__init__(organization, clock)
        self.api_version = options.api_version
        self.auth = options.auth
        self.consolidation = options.consolidation
        self.controller = 'up'
        self.bad_handle = False
        self.may_read = True
        self.unlisted_clouds: set[str] = set()
        self.unreachable_clusters: set[str] = set()
        self.delay: dict[str, float] = {}
        groups = options.api_version >= shapes.SINCE['is_primary_in_job_group']
        self.jobs, self.clusters = Generator(organization, clock.now(), options.scale, groups=groups).generate()
        if options.rare:
            RareSituations(organization.people, clock.now(), self.jobs, self.clusters).add()
        self.life = Life(organization, clock.now(), self.jobs, self.clusters)
        if options.activity:
            self.life.plan_day()
        self._operations: dict[str, Operation] = {}
        self._lock = threading.Lock()
        self._count = 0

    # Answering.

    def answer(self, request: Request) -> Response:
        """Answer as the API server does."""
        self.life.catch_up(self.clock.now())
        path = request.path.removeprefix('/')
        known = self._knows(request)
        if path == 'api/health' and self.auth != 'oauth2':
            return self._with_version(self.json(self._health(known=known)))
        if not known:
            return self._turned_away()
        if (refusal := self._version_mismatch(request)) is not None:
            return self._with_version(refusal)
        if path == 'api/health':
            return self._with_version(self.json(self._health(known=True)))
        return self._with_version(self._read(path, request))

    def _read(self, path: str, request: Request) -> Response:
        if path == 'api/get':
            return self._get(request.args.get('request_id', ''))
        operations: dict[str, tuple[str, Callable[[Mapping[str, Any]], Any]]] = {
            'jobs/queue': ('jobs.queue', self._queue),
            'status': ('status', self._status),
            'cost_report': ('cost_report', self._cost_report),
            'list_accelerators': ('list_accelerators', self._list_accelerators),
            'queue': ('queue', self._cluster_queue),
        }
        if self.api_version >= POOLS:
            operations['jobs/pool_status'] = ('jobs.pool_status', self._pool_status)
        if self.api_version >= QUEUE_V2:
            operations['jobs/queue/v2'] = ('jobs.queue_v2', self._queue_v2)
        if path not in operations or request.method != 'POST':
            return self.json({'detail': 'Not Found'}, 404)
        if not self.may_read:
            return self.json({'detail': 'Forbidden'}, 403)
        return self._submit(*operations[path], request)

    # Authentication.

    def _knows(self, request: Request) -> bool:
        given = request.headers.get('Authorization', '')
        if self.auth == 'none':
            return True
        if self.auth == 'basic':
            return given == f'Basic {base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()}'
        if self.auth == 'oauth2' and request.headers.get('X-Skypilot-Auth-Mode') != 'token':
            return False
        return given == f'Bearer {TOKEN}'

    def _turned_away(self) -> Response:
        if self.auth == 'oauth2':
            return Response('', 302, {'Location': LOGIN})
        return self.json({'detail': 'Authentication required'}, 401, {'WWW-Authenticate': 'Basic realm="SkyPilot"'})

    def _version_mismatch(self, request: Request) -> Response | None:
        stated = request.headers.get('X-SkyPilot-API-Version')
        if stated is None or request.headers.get('X-SkyPilot-Version') is None or int(stated) >= OLDEST_CLIENT:
            return None
        return self.json({'error': 'version_mismatch', 'message': 'Your SkyPilot client is too old.'}, 400)

    def _with_version(self, response: Response) -> Response:
        # Every response has an id, even without an operation.
        response.headers.setdefault('X-Skypilot-Request-ID', self._new_id())
        return response

    def _health(self, *, known: bool) -> dict[str, Any]:
        if not known:
            return {'status': 'healthy'}
        return {
            'status': 'healthy',
            'api_version': str(self.api_version),
            'version': VERSIONS.get(self.api_version, '0.13.0'),
            'commit': '0' * 40,
            'basic_auth_enabled': self.auth == 'basic',
            'service_account_token_enabled': self.auth == 'token',
        }

    # Submit and get.

    def _submit(self, name: str, operation: Callable[[Mapping[str, Any]], Any], request: Request) -> Response:
        body = request.get_json(silent=True)
        if not isinstance(body, dict):
            problem = {'type': 'missing', 'loc': ['body'], 'msg': 'Field required'}
            return self.json({'detail': [problem]}, 422)
        wrong = [key for key in ('refresh', 'all_users') if name == 'jobs.queue_v2' and not _is_bool(body.get(key))]
        if wrong:
            problems = [{'type': 'bool', 'loc': ['body', key], 'msg': 'Input should be a boolean'} for key in wrong]
            return self.json({'detail': problems}, 422)
        submitted = Operation(self._new_id(), name, ready_at=self.clock.monotonic() + self.delay.get(name, 0.0))
        try:
            submitted.value = operation(body)
        except Failure as failure:
            submitted.error = (failure.kind, str(failure))
        with self._lock:
            self._operations[submitted.id] = submitted
        return self.json(None, headers={'X-Skypilot-Request-ID': submitted.id})

    def _get(self, request_id: str) -> Response:
        with self._lock:
            operation = self._operations.get(request_id)
        if operation is None:
            return self.json({'detail': f'Request {request_id!r} not found'}, 404)
        self.clock.sleep(max(0.0, operation.ready_at - self.clock.monotonic()))
        error = None
        if operation.error is not None:
            kind, message = operation.error
            error = {'object': shapes.PICKLE, 'type': kind, 'message': message}
        envelope = {
            'request_id': operation.id,
            'name': f'sky.{operation.name}',
            'entrypoint': shapes.PICKLE,
            'request_body': shapes.PICKLE,
            'status': 'FAILED' if error else 'SUCCEEDED',
            'created_at': self.clock.now().timestamp(),
            'user_id': 'datadog',
            'return_value': json.dumps(operation.value),
            'error': json.dumps(error),
            'pid': 4711,
            'schedule_type': 'short',
            'should_retry': False,
        }
        return self.json({'detail': envelope}, 500) if error else self.json(envelope)

    def restart(self) -> None:
        """Restart the server, which interrupts all submitted operations."""
        with self._lock:
            for operation in self._operations.values():
                operation.error = ('RequestInterruptedError', f'Request {operation.id!r} was interrupted by a restart.')
                operation.ready_at = 0.0

    def forget(self) -> None:
        """Lose all submitted operations."""
        with self._lock:
            self._operations.clear()

    def _new_id(self) -> str:
        with self._lock:
            self._count += 1
            return f'{self._count:08d}-0000-4000-8000-{self.api_version:012d}'

    # Operations.

    def _queue(self, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        if self.api_version < QUEUE_V2:
            return self._rows(list(self.jobs.values()), None)
        # Newer servers still have this call, with fewer fields.
        gone = ('accelerators', 'cluster_resources', 'cluster_resources_full', 'user_name', 'start_at')
        rows = self._rows(list(self.jobs.values()), None)
        return [{**{k: v for k, v in row.items() if k not in gone}, 'region': None, 'cloud': None} for row in rows]

    def _queue_v2(self, body: Mapping[str, Any]) -> dict[str, Any]:
        if self.controller != 'up':
            raise Failure('ClusterNotUpError', IDLE if self.controller == 'idle' else UNREACHABLE)
        # The account itself has not launched any cluster.
        jobs = sorted(self.jobs.values(), key=lambda job: -job.number) if body.get('all_users') else []
        fields = body.get('fields') if self.api_version >= FIELDS else None
        for field in fields or ():
            if field not in shapes.known_fields(self.api_version):
                raise Failure('ValueError', f'Unknown field: {field}')
        if self.bad_handle and (fields is None or set(fields) & set(shapes.HANDLE_FIELDS)):
            raise Failure('ModuleNotFoundError', "No module named 'sky.backends.gone'")
        total = len(jobs)
        if body.get('page') is not None and body.get('limit') is not None:
            first = (body['page'] - 1) * body['limit']
            jobs = jobs[first : first + body['limit']]
        answer: dict[str, Any] = {
            'jobs': self._rows(jobs, fields),
            'total': total,
            'total_no_filter': sum(len(job.tasks) for job in self.jobs.values()),
        }
        if self.api_version >= FIELDS:
            counts: dict[str, int] = {}
            for job in self.jobs.values():
                for task in job.tasks:
                    counts[task.status] = counts.get(task.status, 0) + 1
            answer |= {'status_counts': counts, 'infra_options': []}
        return answer

    def _rows(self, jobs: list[Any], fields: list[str] | None) -> list[dict[str, Any]]:
        now = self.clock.now()
        rows = [shapes.row(job, index, now, self.api_version) for job in jobs for index in range(len(job.tasks))]
        return rows if fields is None else [shapes.selected(row, fields, self.api_version) for row in rows]

    def _status(self, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        records = [shapes.status(one) for one in self.clusters if not one.is_hidden and one.status is not None]
        for record in records if body.get('include_credentials', True) else ():
            record['credentials'] = {'ssh_private_key_content': '-----BEGIN OPENSSH PRIVATE KEY-----'}
        for record in records if body.get('include_handle', True) else ():
            record['handle'] = shapes.PICKLE
        return records

    def _cost_report(self, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        now = self.clock.now()
        records = []
        for cluster in self.clusters:
            if cluster.is_hidden and (not self.consolidation or body.get('exclude_managed_clusters')):
                continue
            if shapes.in_report(cluster, now, body.get('days', 30)):
                record = shapes.bill(cluster, now)
                if body.get('dashboard_summary_response'):
                    record = {
                        k: v for k, v in record.items() if k not in ('total_cost', 'usage_intervals', 'resources')
                    }
                records.append(record)
        return records

    def _pool_status(self, _: Mapping[str, Any]) -> list[dict[str, Any]]:
        pools: dict[str, list[Cluster]] = {}
        for cluster in self.clusters:
            if cluster.pool is not None and cluster.status is not None:
                pools.setdefault(cluster.pool, []).append(cluster)
        return [shapes.pool(name, workers) for name, workers in pools.items()]

    def _cluster_queue(self, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        name = body.get('cluster_name')
        cluster = next((one for one in self.clusters if one.name == name and one.status == 'UP'), None)
        if cluster is None or name in self.unreachable_clusters:
            raise Failure('ClusterNotUpError', f'Cluster {name} is not up.')
        return [shapes.cluster_job(number, job) for number, job in enumerate(cluster.jobs, 1)]

    def _list_accelerators(self, body: Mapping[str, Any]) -> dict[str, Any]:
        clouds = body.get('clouds') or ['aws']
        return machines.catalog(({clouds} if isinstance(clouds, str) else set(clouds)) - self.unlisted_clouds)

    # For the check and its tests.

    def clear(self) -> None:
        """Remove all jobs and clusters."""
        self.jobs.clear()
        self.clusters.clear()

    def instance(self) -> dict[str, Any]:
        """Return an instance with the credentials that the server wants."""
        credentials: dict[str, Any] = {'token': TOKEN}
        if self.auth == 'basic':
            credentials = {'username': USERNAME, 'password': PASSWORD}
        elif self.auth == 'none':
            credentials = {}
        return {'source': 'skypilot', 'api_server_url': self.url, **credentials}

    def truth(self, now: datetime, options: Mapping[str, Any] = PLAIN) -> Iterable[Figure]:
        """Compute all gauges that an instance of the check with these options has."""
        self.life.catch_up(self.clock.now())
        jobs = list(self.jobs.values())
        reached = {**options, 'unreachable': self.unreachable_clusters}
        return Truth(jobs, self.clusters, now, reached, consolidation=self.consolidation).figures()

    def pass_time(self, seconds: float) -> None:
        """Advance the clock, and make the changes that are planned until then."""
        self.clock.advance(seconds)
        self.life.catch_up(self.clock.now())


def _is_bool(value: Any) -> bool:
    return value is None or isinstance(value, bool)

"""The W&B service: authentication, limits, time, and switches for behavior that only W&B has."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from werkzeug.http import http_date
from werkzeug.wrappers import Request, Response

from metta_checks.testing import Clock

from ..organization import GPU_HOUR_PRICES, Organization
from ..server import Figure, Service
from . import schema
from .data import ENTITY, HEARTS, LATENCY, LOSS, SPS, Generator, Project, Run
from .options import EVALS, MAIN, WandbOptions
from .rare import RareSituations
from .truth import Truth
from .truth_machines import Facts

API_KEY = '5a17db0c' * 5
ALIASES = {'sps': SPS, 'hearts_gained': HEARTS, 'queue_latency_s': LATENCY}
RUN_TYPES = {
    'ptm': {'field': 'display_name', 'pattern': '^ptm-'},
    'sweep': {'field': 'sweep', 'pattern': '.'},
    'stable': {'field': 'tags', 'pattern': '^stable$'},
    'local': {'field': 'display_name', 'pattern': r'^local\b'},
}
RATE_LIMIT = 1000
# The server calls a run crashed after this long without a heartbeat.
CRASH_AFTER = timedelta(minutes=5)
SHORTAGE_HOUR = 14
SHORTAGE_RUNS = 9
SHORTAGE_MINUTES = 25


class WandbService(Service):
    """The entity metta-ai with the projects metta and metta-evals.

    Attributes:
        heartbeat_filter: `yes`; `error`, `ignore` or `never` for servers that do not filter by heartbeatAt
        old_schema: no computeSeconds, runInfo, updatedAt, nor `keys`
        missing_fields: `Type.field` and `Type.field.argument` that the schema lacks
        clock_skew: time by which the server's clock is ahead of the client's
        denied_projects: projects that are answered with "permission denied"
        rate_headers: `always`, or `on_429` only
        requests_left: number of requests that are answered before 429; None: all
        reset_seconds: seconds that 429 asks to wait
        half_pages: every second run of a page is missing
    """

    name = 'wandb'
    options_type = WandbOptions

    def __init__(self, organization: Organization, clock: Clock, options: WandbOptions) -> None:
        super().__init__(organization, clock)
        # W&B's own SDK asks from several threads.
        self._lock = threading.Lock()
        self.heartbeat_filter = options.heartbeat_filter
        self.old_schema = options.old_schema
        self.missing_fields = tuple(options.missing_fields)
        self.clock_skew = timedelta(seconds=options.clock_skew)
        self.denied_projects = frozenset(options.denied_projects)
        self.rate_headers = options.rate_headers
        self.instance_options = options.instance_options
        self.requests_left: int | None = None
        self.reset_seconds = 30
        self.half_pages = False
        start = self.server_time()
        self._generator = Generator(organization, start, options.scale, options.week_scale or options.scale)
        made = self._generator.projects()
        if options.rare:
            made.update(RareSituations(organization, start, self._generator.next_number).projects())
        self.projects = {name: made[name] for name in (options.projects or made)}
        viewer = {
            'id': 'User:datadog',
            'username': 'datadog-agent',
            'name': 'Datadog Agent',
            'entity': ENTITY,
            'admin': False,
            'teams': {'edges': [{'node': {'name': ENTITY}}]},
        }
        self._root = schema.Root(viewer, lambda: self.projects, ENTITY)
        self._seen = start
        self._reopens: datetime | None = None
        self._plan: list[tuple[datetime, int, Callable[[], None]]] = []
        if options.activity:
            self._plan_activity()

    def server_time(self) -> datetime:
        """Return the time by the server's clock."""
        return self.clock.now() + self.clock_skew

    # Answering.

    def answer(self, request: Request) -> Response:
        """Answer GraphQL requests of clients that have the key. Telemetry of W&B's own SDK is ignored."""
        if request.path.startswith('/sdk/otel/'):
            return self.json({})
        expected = f'Basic {base64.b64encode(f"api:{API_KEY}".encode()).decode()}'
        if request.headers.get('Authorization') != expected:
            return self.json({'errors': [{'message': 'user is not logged in'}]}, 401)
        if request.path != '/graphql' or request.method != 'POST':
            return self.json({'message': 'not found'}, 404)
        body = request.get_json()
        with self._lock:
            response = self._graphql(body)
        response.headers['Date'] = http_date(self.server_time())
        return response

    def _graphql(self, body: dict[str, Any]) -> Response:
        self._catch_up()
        if (refusal := self._limited()) is not None:
            return refusal
        self._root.heartbeat = self.heartbeat_filter
        self._root.denied = self.denied_projects
        status, answer = schema.answer(
            self._root,
            body['query'],
            body.get('variables') or {},
            body.get('operationName'),
            old=self.old_schema,
            missing=self.missing_fields,
        )
        if self.half_pages:
            _halve(answer)
        headers = self._rate_headers() if self.rate_headers == 'always' else {}
        return self.json(answer, status, headers)

    def _limited(self) -> Response | None:
        if self.requests_left is None:
            return None
        if self._reopens is not None and self.clock.now() >= self._reopens:
            self._reopens = None
            self.requests_left = None
            return None
        refused = self.requests_left <= 0
        self.requests_left = max(0, self.requests_left - 1)
        if self.requests_left == 0 and self._reopens is None:
            self._reopens = self.clock.now() + timedelta(seconds=self.reset_seconds)
        return self.json({'error': 'rate limit exceeded'}, 429, self._rate_headers()) if refused else None

    def _rate_headers(self) -> dict[str, str]:
        left = RATE_LIMIT if self.requests_left is None else self.requests_left
        return {
            'RateLimit-Limit': str(RATE_LIMIT),
            'RateLimit-Remaining': str(left),
            'RateLimit-Reset': str(self.reset_seconds),
        }

    def instance(self) -> dict[str, Any]:
        """Return an instance for all projects, with the demo's prices: T4 has none."""
        return {
            'source': 'wandb',
            'api_url': self.url,
            'api_key': API_KEY,
            'entity': ENTITY,
            'projects': list(self.projects),
            'summary_metrics': ALIASES,
            'run_types': RUN_TYPES,
            'prices': GPU_HOUR_PRICES,
            **self.instance_options,
        }

    def truth(self, now: datetime, options: Mapping[str, Any] | None = None) -> Iterable[Figure]:
        """Compute every gauge that an instance of the check has; by default, that of `instance`."""
        with self._lock:
            self._catch_up()
            moment = now + self.clock_skew
            old, missing = self.old_schema, self.missing_fields
            facts = Facts(
                hosts='Run.host' not in missing,
                hardware=not old and 'Run.runInfo' not in missing,
                compute=not old and 'Run.computeSeconds' not in missing,
                environments=not old and 'Run.config.keys' not in missing,
            )
            return [
                figure
                for name, project in self.projects.items()
                if name not in self.denied_projects
                for figure in Truth(project, moment, options or self.instance(), facts).figures()
            ]

    # Time.

    def pass_time(self, seconds: float) -> None:
        """Advance the clock, and make the changes that are planned until then."""
        with self._lock:
            self.clock.advance(seconds)
            self._catch_up()

    def _catch_up(self) -> None:
        """Bring the runs up to the clock: planned changes in their order, heartbeats of the healthy ones."""
        now = self.server_time()
        if now <= self._seen:
            return
        while self._plan and self._plan[0][0] <= now:
            moment, _, change = self._plan.pop(0)
            self._beat(moment)
            change()
        self._beat(now)
        self._root.clear()

    def _beat(self, moment: datetime) -> None:
        for project in self.projects.values():
            for run in project.runs.values():
                if run.pulse is None or run.state not in ('running', 'preempting'):
                    continue
                heartbeat = max(run.last_seen, moment - timedelta(seconds=run.pulse))
                run.compute += (heartbeat - run.last_seen).total_seconds()
                run.heartbeat = heartbeat
        self._seen = max(self._seen, moment)

    def _at(self, moment: datetime, change: Callable[[], None]) -> None:
        self._plan.append((moment, len(self._plan), change))
        self._plan.sort(key=lambda item: item[:2])

    def _plan_activity(self) -> None:
        """Plan a short run in either project every 40 minutes, and the shortage of spot machines at 14:00."""
        start = self.server_time()
        dice = self.organization.random('wandb activity')
        names = [name for name in self.projects if name in (MAIN, EVALS)]
        for index in range(36):
            project = names[index % len(names)]
            begin = start + timedelta(minutes=7 + 40 * index)
            state = dice.choices(('finished', 'failed', 'crashed', 'killed'), (70, 12, 12, 6))[0]
            self._at(begin, self._short_run(project, f'local-{index}', timedelta(minutes=dice.randint(15, 35)), state))
        shortage = start.replace(hour=SHORTAGE_HOUR, minute=0, second=0, microsecond=0)
        if shortage <= start:
            shortage += timedelta(days=1)
        spot = {job.name for job in self.organization.running_jobs if job.spot and job.gpu == 'L4'}
        runs = self.projects[MAIN].runs.values() if MAIN in self.projects else ()
        healthy = [run for run in runs if run.display_name in spot and run.pulse is not None]
        # The youngest ones: their pauses are in the week for days, whenever W&B's clients see them.
        for run in sorted(healthy, key=lambda run: run.created)[-SHORTAGE_RUNS:]:
            self._at(shortage, partial(self.lose_run, run))
            self._at(shortage + CRASH_AFTER, partial(self.notice_crash, run))
            self._at(shortage + timedelta(minutes=SHORTAGE_MINUTES), partial(self.resume_run, run))

    def _short_run(self, project: str, name: str, duration: timedelta, state: str) -> Callable[[], None]:
        def begin() -> None:
            run = self.start_run(project, name, gpu_type='l4', gpus=1)
            self._at(run.created + duration, partial(self.end_run, run, state))

        return begin

    # Changes of runs. They happen at the time of the clock, or during a planned change at the time of that change.

    def start_run(self, project: str, name: str, gpu_type: str = 'l4', gpus: int = 4, run_type: str = 'local') -> Run:
        """Start a run on a machine of its own."""
        run = self._generator.blank(name, self._seen, run_type, gpu_type, gpus)
        run.state = 'running'
        run.heartbeat = run.created
        run.pulse = 5.0
        run.system = self._generator.system(run, 70)
        self._root.clear()
        return self.projects[project].add(run)

    def join_run(self, other: Run, project: str, name: str, held: tuple[int, ...]) -> Run:
        """Start a run that uses these GPUs of the machine of another run."""
        run = self.start_run(project, name, other.gpu_type, other.gpus, other.run_type)
        run.writers = (replace(other.writers[0], held=held),)
        uuids = run.writers[0].machine.uuids
        busy = {uuid: other.system.get(f'system.gpu.{index}.gpu', 0.0) for index, uuid in enumerate(uuids)}
        run.system = dict(run.writers[0].readings(busy))
        self._root.clear()
        return run

    def send_run(self, project: str, name: str, hours_ago: float, hours: float) -> Run:
        """Add a run that began that many hours ago, was recorded for some hours without a network, and comes now."""
        run = self._generator.blank(name, self._seen - timedelta(hours=hours_ago), 'other', 'l4', 1)
        run.record(hours)
        run.heartbeat = self._seen
        run.state = 'finished'
        self._root.clear()
        return self.projects[project].add(run)

    def preempt_run(self, run: Run) -> None:
        """Announce that the machine of a run will be taken away; until then, the run goes on."""
        run.state = 'preempting'
        self._root.clear()

    def end_run(self, run: Run, state: str = 'finished', **summary: Any) -> None:
        """End a run."""
        if run.pulse is not None:
            run.compute += (self._seen - run.last_seen).total_seconds()
            run.heartbeat = self._seen
        run.state = state
        run.pulse = None
        run.summary.update(summary or {LOSS: 0.42})
        self._root.clear()

    def lose_run(self, run: Run) -> None:
        """Take away the machine of a run, which the server does not notice at once."""
        run.pulse = None
        self._root.clear()

    def notice_crash(self, run: Run) -> None:
        """Mark a silent run as crashed, as the server does."""
        run.state = 'crashed'
        self._root.clear()

    def resume_run(self, run: Run) -> None:
        """Resume an ended run; the pause does not count as running time."""
        run.past = run.stretches
        run.state = 'running'
        run.heartbeat = run.resumed = self._seen
        run.pulse = 5.0
        self._root.clear()

    def delete_run(self, project: str, run: Run) -> None:
        """Delete a run."""
        del self.projects[project].runs[run.id]
        self._root.clear()

    def run(self, project: str = MAIN, **wanted: Any) -> Run:
        """Find the first run with these attributes."""
        runs = self.projects[project].runs.values()
        return next(run for run in runs if all(getattr(run, name) == value for name, value in wanted.items()))


def _halve(answer: dict[str, Any]) -> None:
    """Leave out every second run of a page."""
    project = (answer.get('data') or {}).get('project') or {}
    if 'runs' in project:
        project['runs']['edges'] = project['runs']['edges'][::2]


__all__ = ['API_KEY', 'Project', 'WandbService']

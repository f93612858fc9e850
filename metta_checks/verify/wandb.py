"""W&B's figures through W&B's own SDK: every run of the project, page by page, and plain loops over the runs.

The SDK's list of runs lacks the running time and the hardware, which come from additional GraphQL queries.
"""

from __future__ import annotations

import math
import os
import re
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from . import Figure, Recomputed

API_URL = 'https://api.wandb.ai'
PER_PAGE = 100
SECONDS = 60
STATES = ('running', 'pending', 'preempting', 'finished', 'failed', 'crashed', 'killed', 'preempted')
ENDED = STATES[3:]
# Words of a GPU's name before its model.
BRANDS = ('nvidia', 'tesla', 'amd', 'instinct', 'geforce', 'quadro')
EXTRAS = """
query Extras($entity: String!, $project: String!, $after: String, $first: Int) {
  project(name: $project, entityName: $entity) {
    runs(after: $after, first: $first, order: "+created_at") {
      edges { node { name computeSeconds runInfo { gpu gpuCount } } }
      pageInfo { hasNextPage endCursor }
    }
  }
}
"""


@dataclass(slots=True)
class _Run:
    """Fields of a run that the figures need."""

    id: str
    state: str
    created: datetime
    heartbeat: datetime | None
    summary: Mapping[str, Any]
    system: Mapping[str, Any]
    config: Mapping[str, Any]
    extras: Mapping[str, Any] = field(default_factory=dict)

    @property
    def end(self) -> datetime:
        return self.heartbeat or self.created

    @property
    def hours(self) -> float:
        seconds = self.extras.get('computeSeconds')
        if seconds is None:
            seconds = (self.end - self.created).total_seconds()
        return seconds / 3600


def recompute(instance: Mapping[str, Any], now: datetime) -> Recomputed:
    """Return every gauge that the source shows without opt-in options, for every project of the instance.

    `gpus.in_use` is omitted: the source shows types of earlier refreshes as 0.

    Raises the SDK's own errors (CommError, ValueError) and those of `requests`. Leaves no files or settings behind.
    """
    figures: list[Figure] = []
    sent = 1  # for the viewer, asked by the SDK itself
    with _sdk(instance) as api:
        entity = instance['entity']
        projects = list(instance.get('projects') or ())
        if not projects:
            projects = [project.name for project in api.projects(entity, per_page=PER_PAGE)]
            sent += max(1, math.ceil(len(projects) / PER_PAGE))
        for project in projects:
            listed = list(api.runs(f'{entity}/{project}', per_page=PER_PAGE, lazy=False))
            sent += max(1, math.ceil(len(listed) / PER_PAGE))
            extras, pages = _extras(instance, project)
            sent += pages
            runs = [_run(run, (extras or {}).get(run.id, {})) for run in listed]
            figures += _Project(instance, project, runs, now, hardware=extras is not None).figures()
    return Recomputed(tuple(figures), sent)


@contextmanager
def _sdk(instance: Mapping[str, Any]) -> Iterator[Any]:
    """Return an Api of the SDK that leaves no files behind; by default it writes directories, logs and settings."""
    with tempfile.TemporaryDirectory(prefix='metta-checks-wandb-') as directory:
        ours = {
            'WANDB_SILENT': 'true',
            'WANDB_ERROR_REPORTING': 'false',
            **dict.fromkeys(('WANDB_DIR', 'WANDB_CACHE_DIR', 'WANDB_CONFIG_DIR', 'WANDB_DATA_DIR'), directory),
        }
        before = {name: os.environ.get(name) for name in ours}
        os.environ.update(ours)
        try:
            import wandb  # imported here, because it reads these variables on import

            overrides = {'base_url': instance.get('api_url') or API_URL, 'entity': instance['entity']}
            try:
                yield wandb.Api(overrides=overrides, api_key=instance['api_key'], timeout=SECONDS)
            finally:
                wandb.teardown()
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


def _extras(instance: Mapping[str, Any], project: str) -> tuple[dict[str, Mapping[str, Any]] | None, int]:
    """Return (running time and hardware by run id, pages read); None for each value that the server lacks."""
    url = (instance.get('api_url') or API_URL).rstrip('/') + '/graphql'
    found: dict[str, Mapping[str, Any]] = {}
    cursor = None
    pages = 0
    with requests.Session() as session:
        session.auth = ('api', instance['api_key'])
        while True:
            variables = {'entity': instance['entity'], 'project': project, 'after': cursor, 'first': PER_PAGE}
            answer = session.post(url, json={'query': EXTRAS, 'variables': variables}, timeout=SECONDS)
            pages += 1
            if answer.status_code == 400:
                return None, pages
            answer.raise_for_status()
            connection = answer.json()['data']['project']['runs']
            found.update((edge['node']['name'], edge['node']) for edge in connection['edges'])
            if not connection['pageInfo']['hasNextPage']:
                return found, pages
            cursor = connection['pageInfo']['endCursor']


def _run(run: Any, extras: Mapping[str, Any]) -> _Run:
    attributes = run._attrs  # the SDK offers heartbeatAt and summaryMetrics only through requests of their own
    return _Run(
        id=run.id,
        state=run.state,
        created=_moment(attributes['createdAt']),
        heartbeat=_moment(attributes['heartbeatAt']) if attributes.get('heartbeatAt') else None,
        summary=attributes.get('summaryMetrics') or {},
        system=run.system_metrics or {},
        config=run.config or {},
        extras=extras,
    )


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class _Project:
    """Figures of one project."""

    def __init__(
        self, instance: Mapping[str, Any], project: str, runs: list[_Run], now: datetime, *, hardware: bool
    ) -> None:
        self.instance = instance
        self.base = {'entity': instance['entity'], 'project': project}
        self.runs = runs
        self.now = now
        self.hardware = hardware
        self.week_ago = now - timedelta(days=7)
        self.ended = [run for run in runs if run.state in ENDED and run.end >= self.week_ago]
        self.running = [run for run in runs if run.state == 'running']

    def figure(self, name: str, value: float, **tags: str) -> Figure:
        pairs = {**self.base, **tags}
        return Figure(f'metta.wandb.{name}', float(value), tuple(sorted(f'{k}:{v}'.lower() for k, v in pairs.items())))

    def figures(self) -> Iterator[Figure]:
        yield from self.counts()
        yield from self.durations()
        if self.hardware or self.instance.get('gpu_count_config_key'):
            yield from self.gpu_hours()
        yield from self.summaries()
        yield from self.gpus()

    def counts(self) -> Iterator[Figure]:
        states = [run.state for run in self.runs]
        yield self.figure('runs.active', states.count('running'))
        yield self.figure('runs.total', len(states))
        for state in STATES:
            yield self.figure('runs.count', states.count(state), state=state)
        if other := sum(state not in STATES for state in states):
            yield self.figure('runs.count', other, state='other')
        yesterday = self.now - timedelta(days=1)
        yield self.figure('runs.created_24h', sum(run.created >= yesterday for run in self.runs))
        silent = self.now - timedelta(minutes=self.instance.get('stale_minutes', 15))
        yield self.figure(
            'runs.stale', sum(run.heartbeat is not None and run.heartbeat < silent for run in self.running)
        )
        yield from self.endings()

    def endings(self) -> Iterator[Figure]:
        states = [run.state for run in self.ended]
        for state in ENDED:
            yield self.figure('runs.ended_7d', states.count(state), state=state)
        yield self.figure('runs.completed_7d', states.count('finished'))
        yield self.figure('runs.failed_7d', states.count('failed') + states.count('crashed'))

    def durations(self) -> Iterator[Figure]:
        hours = [run.hours for run in self.ended]
        if hours:
            yield self.figure('training.avg_duration_hours', statistics.mean(hours))
            yield self.figure('training.duration_hours', statistics.median(hours))
            yield self.figure('training.run_hours_7d.max', max(hours))
            p90 = statistics.quantiles(hours, n=10, method='inclusive')[-1] if len(hours) > 1 else hours[0]
            yield self.figure('training.run_hours_7d.p90', p90)
        ages = [(self.now - run.created) / timedelta(hours=1) for run in self.running]
        if ages:
            yield self.figure('training.elapsed_hours.avg', statistics.mean(ages))
            yield self.figure('training.elapsed_hours.max', max(ages))
        waiting = [(self.now - run.created) / timedelta(hours=1) for run in self.runs if run.state == 'pending']
        if waiting:
            yield self.figure('runs.pending_hours.max', max(waiting))

    def gpu_hours(self) -> Iterator[Figure]:
        by_type: dict[str, float] = defaultdict(float)
        for run in (*self.ended, *self.running):
            hours = self.gpu_hours_in_week(run)
            if hours > 0:
                by_type[_gpu_type(run)] += hours
        yield self.figure('training.total_gpu_hours_7d', sum(by_type.values()))
        for gpu_type, hours in by_type.items():
            yield self.figure('gpus.hours_7d', hours, gpu_type=gpu_type)
        if (prices := self.instance.get('prices')) is not None:
            yield from self.costs(by_type, prices)

    def gpu_hours_in_week(self, run: _Run) -> float:
        if run.heartbeat is None:
            return 0.0
        first, last = max(run.created, self.week_ago), min(run.heartbeat, self.now)
        return self.gpu_count(run) * max(0.0, min((last - first) / timedelta(hours=1), run.hours))

    def costs(self, hours_by_type: Mapping[str, float], prices: Mapping[str, float]) -> Iterator[Figure]:
        costs = {name: hours * prices[name] for name, hours in hours_by_type.items() if name in prices}
        for gpu_type, cost in costs.items():
            yield self.figure('gpus.cost_usd_7d', cost, gpu_type=gpu_type)
        if costs or not hours_by_type:
            yield self.figure('training.cost_estimate_usd', sum(costs.values()))
        unpriced = sum(hours for name, hours in hours_by_type.items() if name not in prices)
        yield self.figure('training.unpriced_gpu_hours_7d', unpriced)

    def gpu_count(self, run: _Run) -> float:
        stated = run.config.get(self.instance.get('gpu_count_config_key') or '')
        if isinstance(stated, (int, float)):
            return stated
        return (run.extras.get('runInfo') or {}).get('gpuCount') or 0

    def numbers(self, key: str) -> list[float]:
        """Return numbers by time of the end."""
        finished = [run for run in self.ended if run.state == 'finished']
        finished.sort(key=lambda run: (run.end, run.created, run.id))
        return [value for run in finished if (value := _number(run.summary, key)) is not None]

    def summaries(self) -> Iterator[Figure]:
        accuracies = self.numbers(self.instance.get('accuracy_key') or 'accuracy')
        if accuracies:
            yield self.figure('metrics.best_accuracy', max(accuracies))
            yield self.figure('metrics.avg_accuracy_7d', statistics.mean(accuracies))
        losses = self.numbers(self.instance.get('loss_key') or 'loss')
        if losses:
            yield self.figure('metrics.latest_loss', losses[-1])
        for alias, key in (self.instance.get('summary_metrics') or {}).items():
            values = self.numbers(key)
            if values:
                yield self.figure(f'summary.{alias}.last', values[-1])
                yield self.figure(f'summary.{alias}.avg', statistics.mean(values))
                yield self.figure(f'summary.{alias}.max', max(values))

    def gpus(self) -> Iterator[Figure]:
        sampled = [run for run in self.running if run.heartbeat and run.heartbeat >= self.now - timedelta(minutes=10)]
        readings = [values for run in sampled if (values := _readings(run, 'gpu'))]
        every = [value for values in readings for value in values]
        yield self.figure('gpus.idle', sum(value < 5 for value in every))
        if every:
            yield self.figure('training.gpu_utilization_avg', statistics.mean(every))
            yield self.figure('training.gpu_utilization_pct', statistics.mean(map(statistics.mean, readings)))
        yield from self.means_by_type('gpus.utilization_pct', sampled, 'gpu')
        yield from self.means_by_type('gpus.memory_pct', sampled, 'memoryAllocated')

    def means_by_type(self, name: str, runs: list[_Run], what: str) -> Iterator[Figure]:
        by_type: dict[str, list[float]] = defaultdict(list)
        for run in runs:
            by_type[_gpu_type(run)] += _readings(run, what)
        for gpu_type, values in by_type.items():
            if values:
                yield self.figure(name, statistics.mean(values), gpu_type=gpu_type)


def _readings(run: _Run, what: str) -> list[float]:
    """Return percentages per GPU, from keys such as system.gpu.0.gpu and system.gpu.0.gpu/l:label."""
    values = []
    for key, value in run.system.items():
        parts = key.split('/l:')[0].split('.')
        if len(parts) == 4 and parts[:2] == ['system', 'gpu'] and parts[2].isdigit() and parts[3] == what:
            values.append(value)
    return [value for value in values if type(value) in (int, float) and math.isfinite(value)]


def _number(summary: Mapping[str, Any], key: str) -> float | None:
    value: Any = summary
    for part in [key] if key in summary else key.split('.'):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value if type(value) in (int, float) and math.isfinite(value) else None


def _gpu_type(run: _Run) -> str:
    """Return the GPU type: `NVIDIA H100 80GB HBM3` -> h100; the 80 GB model of the A100 is a type of its own."""
    name = ((run.extras.get('runInfo') or {}).get('gpu') or '').lower().replace('-', ' ')
    words = [word for word in name.split() if word not in BRANDS]
    if not words:
        return 'unknown'
    model = next((word for word in words if re.search(r'\d', word)), words[0])
    return 'a100-80gb' if model == 'a100' and '80gb' in words else model

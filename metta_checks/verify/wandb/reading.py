"""Runs as the SDK and additional queries show them."""

from __future__ import annotations

import json
import math
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any

import requests

API_URL = 'https://api.wandb.ai'
PER_PAGE = 100
SECONDS = 60
ENDED = ('finished', 'failed', 'crashed', 'killed', 'preempted')
ACTIVE = ('running', 'preempting')
# Fields that a server may lack. The SDK's list loses the part `_wandb` of the configuration.
OPTIONAL = ('computeSeconds', 'runInfo { gpu gpuCount }', 'host', 'config(keys: ["_wandb"])')
QUERY = """
query Extras($entity: String!, $project: String!, $after: String, $first: Int) {
  project(name: $project, entityName: $entity) {
    LIST { edges { node { FIELDS } } pageInfo { hasNextPage endCursor } }
  }
}
"""
RUNS = 'runs(after: $after, first: $first, order: "+created_at")'
SWEEPS = 'sweeps(after: $after, first: $first)'
# A field, or the field and its argument.
REFUSALS = (
    re.compile(r'Cannot query field "(\w+)" on type "Run"'),
    re.compile(r'Unknown argument "\w+" on field "(?:Run\.)?(\w+)"'),
)
READING = re.compile(r'system\.gpu\.(process\.)?(\d+)\.(\w+)(?:/l:(.*))?')
# A clock that differs by less is not corrected.
CLOCK_TOLERANCE = timedelta(seconds=30)
# A running time that is this much longer than the server's was recorded without a network.
LATE = timedelta(seconds=60)


@contextmanager
def sdk(instance: Mapping[str, Any]) -> Iterator[Any]:
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
            from wandb.apis import public

            overrides = {'base_url': instance.get('api_url') or API_URL, 'entity': instance['entity']}
            try:
                with _users_may_be_null(public):
                    yield wandb.Api(overrides=overrides, api_key=instance['api_key'].strip(), timeout=SECONDS)
            finally:
                wandb.teardown()
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


@contextmanager
def _users_may_be_null(public: Any) -> Iterator[None]:
    """Let the SDK read runs whose user was deleted, in which it fails; `public` is its module of users."""
    user = public.User
    public.User = lambda service_api, attributes: user(service_api, attributes or {})
    try:
        yield
    finally:
        public.User = user


class Lists:
    """Lists of a project, 100 rows at a time.

    Attributes:
        sent: number of requests
        date: the header `Date` of the first answer
    """

    def __init__(self, instance: Mapping[str, Any], project: str) -> None:
        self._url = (instance.get('api_url') or API_URL).rstrip('/') + '/graphql'
        self._auth = ('api', instance['api_key'].strip())
        self._variables = {'entity': instance['entity'], 'project': project, 'first': PER_PAGE}
        self.sent = 0
        self.date: str | None = None

    def rows(self, name: str, fields: Sequence[str]) -> Iterator[Mapping[str, Any]]:
        """Yield the rows of a list. Raises UnknownFields, and the errors of `requests`."""
        query = QUERY.replace('LIST', name).replace('FIELDS', ' '.join(fields))
        cursor = None
        with requests.Session() as session:
            session.auth = self._auth
            while True:
                body = {'query': query, 'variables': {**self._variables, 'after': cursor}}
                answer = session.post(self._url, json=body, timeout=SECONDS)
                self.sent += 1
                self.date = self.date or answer.headers.get('Date')
                if unknown := _unknown_fields(answer):
                    raise UnknownFields(unknown)
                answer.raise_for_status()
                [rows] = answer.json()['data']['project'].values()
                yield from (edge['node'] for edge in rows['edges'])
                if not rows['pageInfo']['hasNextPage']:
                    return
                cursor = rows['pageInfo']['endCursor']


class UnknownFields(Exception):
    """The server lacks fields, or their arguments."""

    def __init__(self, names: set[str]) -> None:
        super().__init__(', '.join(sorted(names)))
        self.names = names


def _unknown_fields(answer: requests.Response) -> set[str]:
    """Return the fields in the refusal of a query."""
    if answer.status_code != 400:
        return set()
    messages = [str(error.get('message')) for error in answer.json().get('errors') or ()]
    return {name for pattern in REFUSALS for message in messages for name in pattern.findall(message)}


@dataclass
class Extras:
    """Facts about the runs of a project that the SDK's list does not have.

    Attributes:
        now: the time by the server's clock
        nodes: the facts by run id
    """

    now: datetime
    nodes: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, lists: Lists, now: datetime) -> Extras:
        """Read the runs of a project. `now` is the time by the local clock. Raises the errors of `requests`."""
        fields = list(OPTIONAL)
        while True:
            try:
                nodes = {node['name']: node for node in lists.rows(RUNS, ['name', *fields])}
            except UnknownFields as error:
                left = [one for one in fields if re.split(r'\W', one)[0] not in error.names]
                if left == fields:
                    raise
                fields = left
            else:
                return cls(_corrected(now, lists.date), nodes)

    def of_run(self, run_id: str) -> Mapping[str, Any]:
        """Return the facts of a run, empty without any."""
        return self.nodes.get(run_id, {})


def _corrected(now: datetime, date: str | None) -> datetime:
    """Return the time by the server's clock if the local one differs by more than half a minute."""
    if date is None:
        return now
    said = parsedate_to_datetime(date).astimezone(UTC)
    return said if abs(said - now) > CLOCK_TOLERANCE else now


@dataclass(frozen=True)
class Environment:
    """A machine that wrote to a run, as the SDK describes it in the run's configuration."""

    host: str
    started: str
    gpu_name: str
    gpus: int
    uuids: frozenset[str]

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Environment:
        """Read an entry."""
        nvidia = [gpu.get('uuid') for gpu in raw.get('gpu_nvidia') or ()]
        amd = [gpu.get('uniqueId') for gpu in raw.get('gpu_amd') or ()]
        uuids = frozenset(uuid for uuid in (*nvidia, *amd) if uuid)
        return cls(
            raw.get('host') or '', raw.get('startedAt') or '', raw.get('gpu') or '', raw.get('gpu_count') or 0, uuids
        )


@dataclass(eq=False)
class Run:
    """Facts of a run that the figures need.

    Attributes:
        readings: numbers of the machine's GPUs by label and index, then by name
        held: labels and indexes of the GPUs that processes of the run use
        declared: number of GPUs in the configuration, None without
        info: `runInfo` of the API
        environments: the machines that write to the run now
    """

    id: str
    name: str
    state: str
    created: datetime
    heartbeat: datetime | None
    user: str
    group: str | None
    job_type: str | None
    sweep: str | None
    tags: tuple[str, ...]
    summary: Mapping[str, Any]
    declared: float | None
    extras: Mapping[str, Any]
    readings: dict[tuple[str, int], dict[str, float]]
    held: set[tuple[str, int]]
    environments: list[Environment]

    @classmethod
    def of(cls, run: Any, extras: Mapping[str, Any], instance: Mapping[str, Any]) -> Run:
        """Read a run of the SDK's list."""
        attributes = run._attrs  # the SDK offers heartbeatAt and summaryMetrics only through requests of their own
        config = run.rawconfig or {}
        key = instance.get('gpu_count_config_key') or ''
        readings, held = _gpu_readings(run.system_metrics or {})
        labels = {label for label, _ in readings}
        told = [Environment.of(raw) for raw in _environments(extras.get('config'))]
        latest = sorted(told, key=lambda one: one.started, reverse=True)[: max(1, len(labels))]
        user = attributes.get('user') or {}
        return cls(
            id=run.id,
            name=run.name,
            state=run.state,
            created=_moment(attributes['createdAt']),
            heartbeat=_moment(attributes['heartbeatAt']) if attributes.get('heartbeatAt') else None,
            user=user.get('username') or 'other',
            group=attributes.get('group'),
            job_type=attributes.get('jobType'),
            sweep=attributes.get('sweepName'),
            tags=tuple(attributes.get('tags') or ()),
            summary=attributes.get('summaryMetrics') or {},
            declared=_count(value_at(config, key)) if key else None,
            extras=extras,
            readings=readings,
            held=held,
            environments=latest,
        )

    @property
    def info(self) -> Mapping[str, Any] | None:
        """The hardware as the server tells it."""
        return self.extras.get('runInfo')

    @property
    def host(self) -> str:
        """The machine that logs, '' when it is unknown."""
        alone = self.environments[0].host if len(self.environments) == 1 else ''
        return self.extras.get('host') or alone

    @property
    def heard(self) -> datetime:
        """The last sign of life; without any, the creation."""
        return self.heartbeat or self.created

    @cached_property
    def life(self) -> tuple[datetime, datetime, timedelta]:
        """Begin, end and running time, also of a run that was sent to the server after its end."""
        begin, end = self.created, self.heard
        if self.extras.get('computeSeconds') is None:
            return begin, end, end - begin
        compute = timedelta(seconds=self.extras['computeSeconds'])
        # The machine of the run gives the time of creation; its clock may be ahead of the server's.
        begin = begin if begin <= end else end - compute
        shown, last = number(self.summary, '_runtime'), number(self.summary, '_timestamp')
        recorded = number(self.summary, '_wandb.runtime')
        runtime = timedelta(seconds=next((one for one in (recorded, shown) if one is not None), 0))
        if runtime <= compute + LATE:
            return begin, end, compute
        if last is not None and shown is not None:
            started = datetime.fromtimestamp(last - shown, UTC)
            begin = min(begin, started)
            end = min(end, started + max(runtime, timedelta(seconds=shown)))
        return begin, end, min(runtime, end - begin)

    @property
    def end(self) -> datetime:
        """The end of the run."""
        return self.life[1]

    @property
    def hours(self) -> float:
        """The running time in hours."""
        return self.life[2] / timedelta(hours=1)


def _environments(text: str | None) -> list[Mapping[str, Any]]:
    """Return the machines in the part `_wandb` of a configuration, by the id of the process that wrote them."""
    told = value_at(json.loads(text or '{}'), '_wandb.value.e')
    return [entry for entry in told.values() if isinstance(entry, Mapping)] if isinstance(told, Mapping) else []


def _gpu_readings(
    system: Mapping[str, Any],
) -> tuple[dict[tuple[str, int], dict[str, float]], set[tuple[str, int]]]:
    """Return the readings of the machine's GPUs, and the GPUs that the processes of the run use."""
    readings: dict[tuple[str, int], dict[str, float]] = {}
    held = set()
    for key, value in system.items():
        found = READING.fullmatch(key)
        if found is None or type(value) not in (int, float) or not math.isfinite(value):
            continue
        of_process, index, name, label = found.groups()
        gpu = (label or '', int(index))
        if of_process:
            held.add(gpu)
        else:
            readings.setdefault(gpu, {})[name] = value
    return readings, held


def value_at(values: Any, key: str) -> Any:
    """Return the value under a key, literally or as a path through objects; keys with dots can be parts of it."""
    if not isinstance(values, Mapping):
        return None
    if key in values:
        return values[key]
    dots = [index for index, letter in enumerate(key) if letter == '.']
    for dot in reversed(dots):
        if key[:dot] in values:
            found = value_at(values[key[:dot]], key[dot + 1 :])
            if found is not None:
                return found
    return None


def number(summary: Mapping[str, Any], key: str) -> float | None:
    """Return a finite number of a summary."""
    value = value_at(summary, key)
    return value if type(value) in (int, float) and math.isfinite(value) else None


def _count(value: Any) -> float | None:
    """Return a number of GPUs, which may be written as a text."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    return value if type(value) in (int, float) and math.isfinite(value) and value >= 0 else None


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def latest(runs: Iterable[Run]) -> list[Run]:
    """Return runs by their end, the latest one last."""
    return sorted(runs, key=lambda run: (run.end, run.created, run.id))

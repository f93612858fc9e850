"""Whole runs of the check of each source against answers of its sandbox that were tampered with.

A case is `{'warm': whether the snapshot of an earlier good run is there, 'answers': [...]}`; an answer is `{'to': what
was asked}` with any of `edits` (see mutate.py), `wire` (a seed for changes to the bytes), `status` and `headers`. After
the tampered run the check starts again from what was persisted and meets the untouched service: it must get on.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from functools import cache, partial
from typing import Any

import requests

import sandbox
from metta_checks.check import SOURCES
from metta_checks.core.source import CACHE_KEY
from metta_checks.testing import Agent, Clock, Driver, Submissions

from .. import mutate, values, wire
from ..choices import Choose, pick, seeded
from ..target import Finding, Target, encodable, finite, readable, storable
from ..transport import Adapter, Reply, Transport, sender

PERIOD = 900
# Every option that makes the check read more.
OPTIONS: dict[str, dict[str, Any]] = {
    'github': {'deployments': True, 'runners': True, 'by_user': True, 'organization': 'metta-ai'},
    'asana': {
        'started_sections': ['In Progress'],
        'use_stories': True,
        'blocked_fields': True,
        'cycle_time_basis': 'started',
        'by_user': True,
    },
    'ec2': {
        'cost_explorer': True,
        'price_snapshots': True,
        'idle': {'source': 'cloudwatch', 'interval': 60},
        'tag_by': ['team'],
    },
    'wandb': {'all_time': True, 'by_user': True, 'per_run': True, 'sweeps': True, 'gpu_count_key': 'gpus'},
    'skypilot': {'api_timing': True, 'by_user': True, 'by_workspace': True, 'per_job': True},
    'kubernetes': {'cluster_idle': True, 'collect_nodes': True, 'collect_usage': True},
}
SIZES: dict[str, dict[str, Any]] = {
    'github': {'scale': 0.02, 'runs_in_window': 30, 'prs': 12},
    'asana': {'scale': 0.05},
    'ec2': {'scale': 0.02},
    'wandb': {'scale': 0.05, 'activity': False},
    'skypilot': {'scale': 0.1, 'activity': False},
    'kubernetes': {'pods': 25},
}
STATUSES = (200, 201, 204, 206, 299, 301, 304, 400, 401, 402, 403, 404, 409, 410, 412, 422, 429, 451, 500, 501, 599)
# The AWS SDK sleeps before it asks again after these.
SLOW_STATUSES = frozenset({429, 500, 502, 503, 504})
HEADERS = (
    'Retry-After',
    'Link',
    'Date',
    'ETag',
    'Content-Type',
    'X-RateLimit-Remaining',
    'X-RateLimit-Limit',
    'X-RateLimit-Reset',
    'X-RateLimit-Resource',
    'RateLimit-Remaining',
    'RateLimit-Limit',
    'RateLimit-Reset',
    'X-Skypilot-Request-ID',
    'X-Accepted-GitHub-Permissions',
)
HEADER_VALUES = (
    '',
    '0',
    '1',
    '-1',
    '60',
    '1e400',
    'nan',
    '9' * 400,
    '\u00b2',
    '99999999999999999',
    'Fri, 31 Dec 9999 23:59:59 GMT',
    'Tue, 24 Nov 2026 18:00:00',
    'Wed, 99 Foo 2026 25:61:61 +9999',
    '<https://other.example/x>; rel="next"',
    '<>; rel=next',
    '<?page=2>; rel="next"',
    '<http://[::1>; rel="next"',
    '; rel',
    'core, graphql',
    'text/html',
    'application/json; charset=utf-99',
    'W/"1"',
)


class _Unexpected(logging.Handler):
    """Keeps the exceptions that the check logs with a traceback: a block does so for those that nobody foresaw."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[BaseException] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and isinstance(record.exc_info[1], Exception):
            self.found.append(record.exc_info[1])


class Bench:
    """One source, its service, and the snapshot of a good run."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.service = sandbox.service(source, None, Clock(), **SIZES[source])
        # Nobody listens there.
        self.service.url = 'http://127.0.0.1:9'
        self.instance = {**self.service.instance(), **OPTIONS[source]}
        self.snapshot = ''
        self.templates: dict[str, tuple[Any, bytes]] = {}
        self._changes: dict[str, dict[str, Any]] = {}
        self._transport = Transport(self.service, self._changed)
        self._unexpected = _Unexpected()
        self._driver: Driver
        self._aws: Any = None
        self._session = requests.Session()
        self._session.trust_env = False
        logging.getLogger('datadog_checks').addHandler(self._unexpected)
        # One run as it should be, from which the answers and the snapshot are taken.
        self._run(self._fresh(''), {})
        self.snapshot = self.stored()
        self.service.pass_time(PERIOD)
        self._transport = Transport(self.service, self._changed)
        for snapshot in ('', self.snapshot):
            submitted = self._run(self._fresh(snapshot), {})
            if any(point.name == 'metta.collector.errors' for point in submitted.points):
                raise Finding(f'{source}: the untouched service is not read without errors')
        if unread := [
            name for name, (document, content) in self.templates.items() if document is None and len(content) > 10
        ]:
            raise Finding(f'{source}: cannot tamper with the answers to {", ".join(unread)}')

    @property
    def names(self) -> list[str]:
        """Names of the requests of a good run."""
        return sorted(self.templates)

    def run(self, case: Any) -> None:
        """Run a case, as described at the top of this file."""
        changes = {answer['to']: answer for answer in case['answers']}
        self._run(self._fresh(self.snapshot if case['warm'] else ''), changes)
        self._run(self._fresh(self.stored()), {}, timedelta(seconds=PERIOD))

    def run_with(self, snapshot: str, later: timedelta = timedelta(), *, forgiving: bool = False) -> None:
        """Run once after a snapshot, without changes. `forgiving`: errors that a block caught are not findings."""
        self._run(self._fresh(snapshot), {}, later, forgiving=forgiving)

    def stored(self) -> str:
        """Return what the last run persisted."""
        stored: str = self._driver.check.read_persistent_cache(CACHE_KEY)
        return stored

    def make(self, choose: Choose) -> Any:
        """Return a case."""
        answers = []
        for name in {pick(choose, self.names) for _ in range(1 + choose(2))}:
            answer: dict[str, Any] = {'to': name}
            document, _ = self.templates[name]
            kind = choose(12)
            if document is not None and kind < 10:
                answer['edits'] = mutate.edits(document, choose)
            elif kind == 10:
                answer['wire'] = choose(1_000_000)
            if not choose(12):
                answer['status'] = pick(choose, STATUSES)
            if not choose(8):
                value = pick(choose, HEADER_VALUES) if choose(4) else values.text(choose)[:200]
                answer['headers'] = {pick(choose, HEADERS): value}
            answers.append(answer)
        return {'warm': bool(choose(2)), 'answers': answers}

    def _changed(self, name: str, reply: Reply) -> Reply:
        if name not in self.templates and not self._changes:
            self.templates[name] = (wire.document(reply.content), reply.content)
        change = self._changes.get(name)
        if change is None:
            return reply
        content = reply.content
        if change.get('edits') and (document := wire.document(content)) is not None:
            content = wire.content(mutate.apply(document, change['edits']), content)
        if 'wire' in change:
            text = mutate.mutated_text(content.decode('utf-8', 'replace'), seeded(change['wire']))
            content = text.encode('utf-8', 'surrogatepass')
        status = change.get('status', reply.status)
        if self.source == 'ec2' and status in SLOW_STATUSES:
            status = 400
        if status in (204, 304):
            # With these the wire carries no body.
            content = b''
        return Reply(status, {**reply.headers, **change.get('headers', {})}, content)

    def _fresh(self, snapshot: str) -> Driver:
        """Return the check as after a start of the Agent, with the snapshot of an earlier run, if any."""
        agent = Agent()
        driver = Driver(self.instance, agent=agent)
        if snapshot:
            driver.check.write_persistent_cache(CACHE_KEY, 'replaced below')
            [file] = agent.folder.iterdir()
            # A damaged disk may hold a text that the Agent would not accept.
            file.write_bytes(snapshot.encode('utf-8', 'surrogatepass'))
        return driver

    def _run(
        self,
        driver: Driver,
        changes: dict[str, dict[str, Any]],
        later: timedelta = timedelta(),
        *,
        forgiving: bool = False,
    ) -> Submissions:
        self._driver = driver
        self._changes = changes
        self._transport.asked = 0
        self._unexpected.found.clear()
        driver.check.clock = Clock(self.service.clock.now() + later)
        driver.check.run_check_initializations()
        self._connect(driver.check)
        report = driver.execute()
        submitted = driver.agent.take(driver.check)
        if not forgiving:
            self._judge_unexpected(submitted)
        _judge_report(report)
        for warning in driver.check.get_warnings():
            readable(warning, 'a warning')
        _judge_submitted(submitted)
        storable(json.loads(self.stored() or 'null'), 'the snapshot')
        return submitted

    def _connect(self, check: Any) -> None:
        """Let a check ask the transport."""
        if self.source == 'ec2':
            # The SDK takes a second to make its clients: those of the first check serve all others, too.
            if self._aws is None:
                self._aws = check.client._aws
                self._aws._session_in_use.register('before-send', lambda **how: sender(self._transport)(**how))
            self._aws._budget, self._aws._clock = check.budget, check.now
            check.client._aws = check.cost_explorer._aws = self._aws
        else:
            self._session.mount(f'{self.service.url}/', Adapter(self._session, self._transport))
            # Ours in place of the wrapper's own, which would read all certificates of this machine every time.
            check.http._session = self._session

    def _judge_unexpected(self, submitted: Submissions) -> None:
        for error in self._unexpected.found:
            raise error
        for point in submitted.points:
            if 'reason:internal' in point.tags:
                raise Finding(f'an unexpected error: {point.tags}')


def _judge_report(report: str) -> None:
    if report:
        said = json.loads(report)[0]
        kind = said['traceback'].strip().splitlines()[-1].partition(':')[0]
        if not kind.endswith(('RefreshFailed', 'ConfigurationError')):
            raise Finding(f'the run ended with {said["message"]} {said["traceback"][-3000:]}')
        readable(said['message'], 'the error')


def _judge_submitted(submitted: Submissions) -> None:
    for point in submitted.points:
        finite(point.value, f'{point.name} {point.tags}')
        encodable(point.tags, f'a tag of {point.name}')
    for name, _, _, message in submitted.service_checks:
        if message:
            readable(message, f'the message of {name}')
    for event in submitted.events:
        encodable((str(value) for value in event.values()), 'an event')


@cache
def bench(source: str) -> Bench:
    """Return the bench of a source, made when first used: recording takes a second or two."""
    return Bench(source)


def targets() -> Iterator[Target]:
    """Return the targets `check.<source>`."""
    for source in SOURCES:
        yield Target(f'check.{source}', partial(_run, source), partial(_make, source))


def _run(source: str, case: Any) -> None:
    bench(source).run(case)


def _make(source: str, choose: Choose) -> Any:
    return bench(source).make(choose)

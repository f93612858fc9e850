"""Run the check of a source on its sandbox service at a fixed clock, and write down everything that can be seen of it.

Refreshes with every option on: cold, warm, re-emitting, after a restart, with one kind of request failing at a time,
with the service away and with refused credentials. Ports are replaced; durations are those of the clock, so mostly 0.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sandbox
from metta_checks.testing import Agent, Clock, Driver, Run
from sandbox import Running, Service
from sandbox.every_option import EVERY_OPTION
from sandbox.server import Entry

HERE = Path(__file__).parent
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
REFRESH_INTERVAL = 900
SIZES: dict[str, dict[str, Any]] = {
    'github': {'scale': 0.1, 'runs_in_window': 60, 'prs': 30},
    'asana': {'scale': 0.1},
    'ec2': {'scale': 0.1},
    'wandb': {'scale': 0.05},
    'skypilot': {'scale': 0.2},
    'kubernetes': {'pods': 60},
}
# Number of kinds of request that are made to fail, one at a time.
FAILING = 8
TOKENS = {
    'github': 'token',
    'skypilot': 'token',
    'asana': 'access_token',
    'ec2': 'secret_access_key',
    'wandb': 'api_key',
    'kubernetes': 'token',
}
PORT = re.compile(r'127\.0\.0\.1:\d+')
NUMBER = re.compile(r'/\d+(?=/|$)')


def path_of(source: str) -> Path:
    """Return the committed file of a source."""
    return HERE / f'{source}.txt'


def record(source: str) -> str:
    """Return the recorded run of a source."""
    return ''.join(f'{line}\n' for line in lines(source))


def lines(source: str) -> Iterator[str]:
    """Run the check of a source, and yield the recorded run line by line."""
    return _Recorder(source).lines()


class _Recorder:
    def __init__(self, source: str) -> None:
        self._source = source
        self._agent = Agent()
        self._log = _Log()

    def lines(self) -> Iterator[str]:
        """Run, and yield line by line."""
        with (
            Running(sandbox.service(self._source, None, Clock(START), **SIZES[self._source])) as service,
            self._log.on(),
        ):
            driver = self._driver(service)
            yield from self._whole('cold', service, driver)
            service.pass_time(REFRESH_INTERVAL)
            yield from self._whole('warm', service, driver)
            service.pass_time(60)
            yield from self._whole('re-emitting', service, driver)
            service.pass_time(REFRESH_INTERVAL - 60)
            driver = self._driver(service)
            yield from self._whole('restarted', service, driver)
            for method, pattern in self._kinds(service):
                service.pass_time(REFRESH_INTERVAL)
                service.faults.add('status', status=403, method=method, path=pattern)
                yield from self._troubled(f'403 for {method} {pattern}', service, driver)
                service.faults.clear()
            for title, status in (('unavailable', 503), ('throttled', 429), ('rejected', 422), ('refused', 401)):
                service.pass_time(REFRESH_INTERVAL)
                service.faults.add('status', status=status)
                yield from self._troubled(title, service, driver)
                service.faults.clear()
            service.pass_time(REFRESH_INTERVAL)
            yield from self._troubled('well again', service, driver)
            service.pass_time(REFRESH_INTERVAL)
            wrong = self._driver(service, **{TOKENS[self._source]: 'wrong-but-long-enough-to-be-one'})
            yield from self._troubled('a wrong token', service, wrong)
            yield f'== label: {driver.check.label}'

    def _driver(self, service: Service, **options: Any) -> Driver:
        instance = {
            **service.instance(),
            **EVERY_OPTION[self._source],
            'refresh_interval': REFRESH_INTERVAL,
            'tags': ['env:recorded'],
            **options,
        }
        return Driver(instance, service.clock, agent=self._agent)

    def _whole(self, title: str, service: Service, driver: Driver) -> Iterator[str]:
        service.log.clear()
        seen = 0
        for number, run in enumerate(driver.drain(service.clock.advance), start=1):
            yield f'== {title}, run {number}'
            requests = int(run.requests or 0)
            for entry in service.log[seen : seen + requests]:
                yield self._shown(f'request {_request(entry)}')
            seen += requests
            for point in run.points:
                yield self._shown(f'{point.type} {point.name} {",".join(point.tags)} = {_number(point.value)}')
            yield from self._said(run)

    def _troubled(self, title: str, service: Service, driver: Driver) -> Iterator[str]:
        """Run twice: some failures are tried again a minute later, some go on for as long as they last."""
        for number in (1, 2):
            service.log.clear()
            run = driver.run()
            yield f'== {title}, run {number}: {len(service.log)} requests, {len(run.points)} points, {_digest(run)}'
            for point in run.points:
                if point.name.startswith('metta.collector.') and point.type == 'count':
                    yield self._shown(f'{point.type} {point.name} {",".join(point.tags)} = {_number(point.value)}')
            yield from self._said(run)
            service.clock.advance(60)

    def _said(self, run: Run) -> Iterator[str]:
        for event in run.events:
            yield self._shown(f'event {json.dumps(event, sort_keys=True)}')
        for line in (f'error {run.error}', *(f'warning {one}' for one in run.warnings), f'check {run.service_check}'):
            yield self._shown(line)
        for line in self._log.take():
            yield self._shown(f'log {line}')

    def _kinds(self, service: Service) -> list[tuple[str, str]]:
        kinds = {(entry.method, NUMBER.sub('/*', entry.path)): None for entry in service.log}
        return list(kinds)[:FAILING]

    @staticmethod
    def _shown(line: str) -> str:
        return PORT.sub('HOST', line)


def _request(entry: Entry) -> str:
    body = hashlib.sha256(PORT.sub('HOST', entry.body).encode()).hexdigest()[:12] if entry.body else '-'
    return f'{entry.method} {entry.path} {entry.query} body {body} -> {entry.status}'


def _number(value: float) -> str:
    """Return a value without its last digits: from Python 3.12 on, `sum` adds floats more precisely."""
    return f'{value:.12g}'


def _digest(run: Run) -> str:
    text = repr([(point.name, point.tags, _number(point.value)) for point in run.points])
    return hashlib.sha256(PORT.sub('HOST', text).encode()).hexdigest()[:12]


class _Log(logging.Handler):
    """Keeps what the check logs."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(f'{record.levelname} {record.getMessage()}')

    def take(self) -> list[str]:
        lines, self._lines = self._lines, []
        return lines

    @contextmanager
    def on(self) -> Iterator[None]:
        logger = logging.getLogger('datadog_checks')
        level = logger.level
        logger.setLevel(logging.INFO)
        logger.addHandler(self)
        try:
            yield
        finally:
            logger.removeHandler(self)
            logger.setLevel(level)

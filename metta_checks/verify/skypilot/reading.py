"""Plain requests to the server, and everything of it that an instance of the check shows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import requests

from .. import Figure, NoSeries

PREFIX = 'metta.skypilot.'
PAGE = 100
SECONDS = 120
# A longer window than needed: if the source's choice of days omits anything, the sums differ.
REPORT_DAYS = 7
# Clouds without a price list of instance types.
UNLISTED_CLOUDS = frozenset({'kubernetes', 'slurm', 'ssh', 'none', '-'})
Row = dict[str, Any]


class ServerError(Exception):
    """An operation failed on the server."""


class Server:
    """The API server of an instance.

    Attributes:
        sent: number of requests so far
    """

    def __init__(self, instance: Mapping[str, Any]) -> None:
        self._url = instance['api_server_url'].rstrip('/')
        self._session = requests.Session()
        self.sent = 0
        if instance.get('token'):
            self._session.headers['Authorization'] = f'Bearer {instance["token"]}'
            self._session.headers['X-Skypilot-Auth-Mode'] = 'token'
        elif instance.get('username'):
            self._session.auth = (instance['username'], instance.get('password') or '')
        self._session.verify = instance.get('tls_ca_cert') or instance.get('tls_verify', True)

    def call(self, path: str, body: Mapping[str, Any]) -> Any:
        """Submit an operation and wait for its result."""
        submitted = self._session.post(f'{self._url}/{path}', json=body, timeout=SECONDS, allow_redirects=False)
        submitted.raise_for_status()
        identifier = {'request_id': submitted.headers['X-Skypilot-Request-ID']}
        answer = self._session.get(f'{self._url}/api/get', params=identifier, timeout=SECONDS)
        self.sent += 2
        if answer.status_code == 500:
            error = json.loads(answer.json()['detail']['error'])
            raise ServerError(f'{path}: {error["type"]}: {error["message"]}')
        answer.raise_for_status()
        return json.loads(answer.json()['return_value'])

    def rows(self) -> tuple[list[Row] | None, bool]:
        """Return the rows of the queue, and whether these are all; None for the rows while the controller is idle."""
        found: dict[tuple[int, int], Row] = {}
        page = 1
        while True:
            body = {'refresh': False, 'all_users': True, 'page': page, 'limit': PAGE}
            try:
                answer = self.call('jobs/queue/v2', body)
            except ServerError as error:
                if 'No in-progress managed jobs' in str(error):
                    return None, True
                raise
            found |= {(row['job_id'], row['task_id']): row for row in answer['jobs']}
            if page * PAGE >= answer['total']:
                # A job that ends or comes while the pages are read moves others: to a page that was read before, or to
                # the next one, which repeats them.
                return list(found.values()), len({job for job, _ in found}) >= answer['total']
            page += 1


@dataclass(frozen=True)
class Reading:
    """One reading of the server, the options of the instance, and the time of the figures.

    Attributes:
        rows: rows of the queue of managed jobs; None while the job controller is not up
        has_all_rows: all jobs on the server are among them
        clusters: the answer of /status
        bills: the answer of /cost_report
        catalog: the rows of the price list
    """

    server: Server
    instance: Mapping[str, Any]
    now: datetime
    rows: list[Row] | None
    has_all_rows: bool
    clusters: list[Row]
    bills: list[Row]
    catalog: list[list[Any]]

    @classmethod
    def of(cls, instance: Mapping[str, Any], now: datetime) -> Reading:
        """Read the server. Raises ServerError, and the errors of `requests`."""
        server = Server(instance)
        clusters = server.call('status', {'all_users': True, 'refresh': 'NONE', 'include_credentials': False})
        bills = server.call('cost_report', {'days': REPORT_DAYS, 'exclude_managed_clusters': False})
        rows, has_all_rows = server.rows()
        clouds = {str(row.get('cloud')).lower() for row in (*bills, *(rows or ()))} - UNLISTED_CLOUDS
        prices = {'gpus_only': True, 'all_regions': True, 'clouds': sorted(clouds)}
        listed = server.call('list_accelerators', prices) if clouds else {}
        catalog = [row for machines in listed.values() for row in machines]
        return cls(server, instance, now, rows, has_all_rows, clusters, bills, catalog)


def figure(name: str, value: float, per_second: float = 0.0, /, **tags: str) -> Figure:
    """Return a figure with its full name and tag values in lower case."""
    pairs = tuple(sorted(f'{key}:{text}'.lower() for key, text in tags.items()))
    return Figure(f'{PREFIX}{name}', float(value), pairs, per_second)


def figure_of(name: str, value: float | None, *, per_second: float = 0.0) -> Figure | NoSeries:
    """Return a figure without tags, or that there is none."""
    return NoSeries(f'{PREFIX}{name}') if value is None else figure(name, value, per_second)


def breakdown(
    name: str,
    tags: Sequence[str],
    rows: Iterable[tuple[tuple[str, ...], float]],
    growing: Iterable[tuple[tuple[str, ...], float]] = (),
) -> Iterator[Figure | NoSeries]:
    """Yield the sum of the amounts per combination of the values of these tags, or that there is none.

    `growing` has by how much they grow per second.
    """
    found, per_second = sums(rows), sums(growing)
    if not found:
        yield NoSeries(f'{PREFIX}{name}')
    for values, amount in found.items():
        own = dict(zip(tags, values, strict=True))
        yield figure(name, amount, per_second.get(values, 0.0), **own)


def sums(rows: Iterable[tuple[Any, float]]) -> dict[Any, float]:
    """Add up amounts by their key."""
    totals: dict[Any, float] = {}
    for key, amount in rows:
        totals[key] = totals.get(key, 0.0) + amount
    return totals

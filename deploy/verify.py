"""Wait until every deployed source reports to Datadog that it is up.

    DD_API_KEY=... DD_APP_KEY=... python deploy/verify.py --env staging --values deploy/helm/values-staging.yaml

Queries `metta.collector.up` by source, for data newer than the start of this program, until all sources are at 1 or the
time is up. Exit code 0 when all are up, 1 when one is not, 2 when Datadog cannot be queried. Needs only PyYAML.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from http.client import HTTPMessage
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

import yaml

METRIC = 'metta.collector.up'
# Two refreshes at the usual interval of 15 minutes.
WAIT, PAUSE = 1800.0, 30.0
# Answers after which a retry cannot help.
FINAL = {400, 401, 403, 404}
LOOPBACK = ('127.0.0.1', '::1', 'localhost')


class AskError(Exception):
    """Datadog cannot be queried; one line with the reason and the remedy."""


class NoRedirects(HTTPRedirectHandler):
    """Treats a redirect as an error, because following it would send the keys to another address."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        """Return None: there is no further request."""


def sources(files: list[Path]) -> set[str]:
    """Return the sources that Helm values deploy."""
    found: set[str] = set()
    for file in files:
        document = yaml.safe_load(file.read_text(encoding='utf-8')) or {}
        confd = ((document.get('clusterAgent') or {}).get('advancedConfd') or {}).get('metta_checks.d') or {}
        for content in confd.values():
            found |= {instance['source'] for instance in yaml.safe_load(content)['instances']}
    return found


class Datadog:
    """The API of one organization. Raises AskError when it refuses; a temporary failure counts as no answer."""

    def __init__(self, url: str, api_key: str, app_key: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != 'https' and (parts.scheme, parts.hostname in LOOPBACK) != ('http', True):
            raise AskError(f'{url}: the keys are sent to an https address only')
        self._url = url.rstrip('/')
        self._opener = build_opener(NoRedirects)
        self._headers = {'DD-API-KEY': api_key, 'DD-APPLICATION-KEY': app_key, 'Accept': 'application/json'}

    def up(self, environment: str, since: float, now: float) -> dict[str, float]:
        """Return the newest value per source since a moment (Unix seconds)."""
        query = f'min:{METRIC}{{env:{environment}}} by {{source}}'
        parameters = urlencode({'from': int(since), 'to': int(now) + 1, 'query': query})
        request = Request(f'{self._url}/api/v1/query?{parameters}', headers=self._headers)
        try:
            with self._opener.open(request, timeout=30) as answer:
                series = json.load(answer).get('series') or []
        except HTTPError as error:
            if 300 <= error.code < 400:
                raise AskError(
                    f'{self._url} answered HTTP {error.code}, a redirect, and the keys go nowhere else; check DD_SITE'
                ) from error
            if error.code in FINAL:
                raise AskError(
                    f'{self._url} answered HTTP {error.code}; check DD_SITE, DD_API_KEY and DD_APP_KEY (scope '
                    'timeseries_query)'
                ) from error
            return {}
        except (URLError, TimeoutError, json.JSONDecodeError):
            return {}
        found = {}
        for one in series:
            tags = dict(tag.split(':', 1) for tag in one.get('tag_set', []) if ':' in tag)
            points = [value for moment, value in one['pointlist'] if value is not None and moment / 1000 >= since]
            if points and 'source' in tags:
                found[tags['source']] = points[-1]
        return found


def wait(
    ask: Callable[[float], dict[str, float]],
    expected: set[str],
    *,
    seconds: float = WAIT,
    pause: float = PAUSE,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, float | None]:
    """Return the last value per source, early once all are up; None for a source without a value."""
    start = clock()
    said: dict[str, float | None] = dict.fromkeys(sorted(expected))
    while True:
        said |= {source: value for source, value in ask(start).items() if source in expected}
        left = start + seconds - clock()
        if all(value == 1 for value in said.values()) or left <= 0:
            return said
        sleep(min(pause, left))


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(description='Wait until every deployed source is up.')
    parser.add_argument('--env', required=True, help='value of the tag `env`')
    parser.add_argument('--values', required=True, action='append', type=Path, help='Helm values that name the sources')
    parser.add_argument('--wait', type=float, default=WAIT, help='seconds; default %(default)s')
    parser.add_argument('--pause', type=float, default=PAUSE, help='seconds between queries; default %(default)s')
    parser.add_argument('--url', default=f'https://api.{os.environ.get("DD_SITE") or "datadoghq.com"}')
    given = parser.parse_args(arguments)
    try:
        keys = [os.environ.get(name) or '' for name in ('DD_API_KEY', 'DD_APP_KEY')]
        if not all(keys):
            raise AskError('set DD_API_KEY and DD_APP_KEY')
        expected = sources(given.values)
        if not expected:
            raise AskError(f'{given.values[-1]} deploys no source')
        datadog = Datadog(given.url, *keys)
        said = wait(
            lambda since: datadog.up(given.env, since, time.time()), expected, seconds=given.wait, pause=given.pause
        )
    except (AskError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    for source, value in said.items():
        print(f'{source}: {"up" if value == 1 else "silent" if value is None else "down"}')
    return 0 if all(value == 1 for value in said.values()) else 1


if __name__ == '__main__':
    sys.exit(main())

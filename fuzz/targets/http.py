"""The adapter to HTTP: headers and bodies of a single answer, and what each source reads in its own refusals.

A case is `{'status', 'headers', 'body'}`, the body as a text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import requests

from metta_checks.asana import client as asana
from metta_checks.core.budget import Budget
from metta_checks.core.errors import SourceError
from metta_checks.core.http import Api, Endpoint, Response, ResponsePolicy, retry_after
from metta_checks.core.limits import RateLimits
from metta_checks.github import rate_limits as github
from metta_checks.skypilot import client as skypilot
from metta_checks.skypilot import operations
from metta_checks.testing import Clock
from metta_checks.wandb.client import RateHeaders

from .. import mutate, values
from ..choices import Choose, pick
from ..target import Finding, Target, finite, readable
from .checks import HEADER_VALUES, HEADERS

NOW = datetime(2026, 11, 24, 18, tzinfo=UTC)
STATUSES = (200, 206, 301, 304, 400, 401, 402, 403, 404, 410, 422, 429, 500, 503)
BODIES = (
    '{"message": "You have exceeded a secondary rate limit"}',
    '{"errors": [{"type": "RATE_LIMITED", "message": "x"}]}',
    '{"errors": [{"message": "offset: Your pagination token has expired."}]}',
    '{"detail": {"error": "{\\"type\\": \\"ClusterNotUpError\\", \\"message\\": \\"x\\"}"}}',
    '{"detail": [{"loc": ["body", "x"], "msg": "field required"}]}',
    '{"return_value": "[]", "status": "SUCCEEDED", "should_retry": false}',
    'X-GitHub-Api-Version',
    '[1, 2]',
    '',
)


class _Answers:
    """Stands below the adapter: one answer for every request."""

    options = {'timeout': (1.0, 1.0)}
    tls_use_host_header = False

    def __init__(self, case: dict[str, Any]) -> None:
        self.session = requests.Session()
        self._case = case

    def get(self, url: str, **_: Any) -> _Answer:
        return _Answer(self._case, url)


class _Answer:
    """As far as the adapter reads a response of requests."""

    def __init__(self, case: dict[str, Any], url: str) -> None:
        self.url = url
        self.status_code: int = case['status']
        self.headers = requests.structures.CaseInsensitiveDict(case['headers'])
        self.content: bytes = case['body'].encode('utf-8', 'surrogatepass')

    @property
    def raw(self) -> _Answer:
        """The answer of urllib3, as far as the adapter reads it."""
        return self


def _run(case: dict[str, Any]) -> None:
    limits = RateLimits(Clock(NOW))
    for source, policy in policies(limits).items():
        budget = Budget(Clock(NOW))
        budget.start(60, 20)
        api = Api(
            _Answers(case), Endpoint('http://service.example/api', source, policy=policy), budget=budget, limits=limits
        )
        try:
            for response in api.pages('things', retries=0, accept=(500,)):
                _read(response)
        except SourceError as error:
            readable(str(error), 'the error')
            until = getattr(error, 'until', NOW.timestamp())
            finite(until, 'the end of a wait')
            if until > NOW.timestamp() + 86_400:
                raise Finding(f'a wait until {until}') from error
        json.dumps(limits.dump(), allow_nan=False)
        for remaining, limit in limits.observed.values():
            finite(remaining, 'what is left')
            finite(limit, 'the limit')
        limits = RateLimits(Clock(NOW))


def policies(limits: RateLimits) -> dict[str, ResponsePolicy]:
    """Return the policies of the sources; `plain` stands for sources without one."""
    return {
        'plain': ResponsePolicy(),
        'github': github.RateLimitPolicy(limits, lambda: NOW, reserve_pct=10),
        'wandb': RateHeaders(limits, lambda: NOW),
        'asana': asana.Refusals(),
        'skypilot': skypilot.Refusals(),
    }


def _read(response: Response) -> None:
    retry_after(response.headers, NOW)
    for read in (
        response.json,
        response.json_object,
        response.json_list,
        lambda: operations.return_value('x', response),
    ):
        try:
            read()
        except SourceError as error:
            readable(str(error), 'the error')


def _make(choose: Choose) -> dict[str, Any]:
    headers = {}
    for _ in range(choose(5)):
        value = pick(choose, HEADER_VALUES) if choose(3) else values.text(choose)
        headers[pick(choose, HEADERS)] = value[:200]
    body = mutate.mutated_text(pick(choose, BODIES), choose) if choose(2) else pick(choose, BODIES)
    if not choose(20):
        body = '[' * 100_000
    return {'status': pick(choose, STATUSES), 'headers': headers, 'body': body}


def targets() -> Iterator[Target]:
    """Return the target `http`."""
    yield Target('http', _run, _make)

"""Faults of HTTP that every service can be told to show.

A fault that only one service has (RATE_LIMITED in a GraphQL answer, a missing metrics-server) is a switch of that
service.
"""

from __future__ import annotations

import fnmatch
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from werkzeug.wrappers import Request, Response

from metta_checks.testing import Clock

LOGIN_PAGE = '<!doctype html><title>Sign in</title><form action="/login"></form>'
KINDS = ('status', 'slow', 'silent', 'truncate', 'not_json', 'reset')


@dataclass(slots=True)
class Fault:
    """One fault.

    kind: `status` (answer with `status`, `headers`, `body` instead), `slow` (`seconds` of the service's clock pass
        first: no real time unless that clock runs), `silent` (no answer at all: the connection stays open until the
        client gives up), `truncate` (half of the real body, then the connection closes), `not_json` (a login page with
        200), `reset` (the connection closes unanswered)
    path: pattern for the request's path, as for fnmatch; method: only these requests
    times: how often it strikes, None = forever; after: how many matching requests it lets pass first
    """

    kind: str
    path: str = '*'
    method: str = '*'
    times: int | None = None
    after: int = 0
    status: int = 500
    seconds: float = 1.0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = '{"message": "fault"}'

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f'unknown fault {self.kind!r}; known: {", ".join(KINDS)}')


class Faults:
    """The faults of one service."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, kind: str, **how: Any) -> Fault:
        """Switch a fault on; see Fault."""
        fault = Fault(kind, **how)
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Switch all faults off."""
        with self._lock:
            self._faults.clear()

    def strike(self, request: Request) -> Fault | None:
        """Return the fault that strikes this request, if any."""
        with self._lock:
            for fault in self._faults:
                if fault.times == 0 or fault.method not in ('*', request.method):
                    continue
                if not fnmatch.fnmatchcase(request.path, fault.path):
                    continue
                if fault.after > 0:
                    fault.after -= 1
                    continue
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None


def before(fault: Fault, clock: Clock) -> Response | None:
    """Return what a fault answers in place of the real answer; None when the real answer is still wanted."""
    if fault.kind == 'status':
        return Response(fault.body, fault.status, {'Content-Type': 'application/json', **fault.headers})
    if fault.kind == 'not_json':
        return Response(LOGIN_PAGE, 200, content_type='text/html')
    if fault.kind == 'slow':
        clock.sleep(fault.seconds)
    return None

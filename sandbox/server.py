"""Serving on loopback: real sockets, kept connections, a log of what was asked."""

from __future__ import annotations

import json
import logging
import select
import socket
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, ClassVar

from werkzeug.serving import BaseWSGIServer, ThreadedWSGIServer, WSGIRequestHandler
from werkzeug.wrappers import Request, Response

from metta_checks.testing import Clock

from . import faults
from .faults import Faults
from .options import ServiceOptions
from .organization import Organization

HOST = '127.0.0.1'
CONTROL = '/__sandbox__/'


@dataclass(frozen=True, slots=True)
class Figure:
    """A true value: full metric name, tags without the instance's own, value."""

    name: str
    value: float
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One request in the log."""

    method: str
    path: str
    query: str
    body: str
    status: int
    bytes: int


class Service:
    """A service of the sandbox. Subclasses answer requests and compute the truth about their own data."""

    name: ClassVar[str]
    # Class of the options that the constructor takes as its third argument.
    options_type: ClassVar[type[ServiceOptions]] = ServiceOptions

    def __init__(self, organization: Organization, clock: Clock) -> None:
        self.organization = organization
        self.clock = clock
        self.faults = Faults()
        self.log: list[Entry] = []
        self.connections = 0
        self.url = ''

    # Defined by subclasses.

    def answer(self, request: Request) -> Response:
        """Answer a request. Subclasses authenticate the client themselves."""
        raise NotImplementedError

    def truth(self, now: datetime) -> Iterable[Figure]:
        """Compute what the check should report at `now` from the service's data, by the plainest means.

        Shares no code with the check. Only figures that exist: nothing for what is absent.
        """
        raise NotImplementedError

    def instance(self) -> dict[str, Any]:
        """An instance of the check that reads this service."""
        raise NotImplementedError

    def companions(self) -> dict[str, Any]:
        """Options that name other services at the same address, such as a Prometheus; none for most services."""
        return {}

    def pass_time(self, seconds: float) -> None:
        """Advance the clock, and let everything happen that happens in that time in this service."""
        self.clock.advance(seconds)

    # The control interface, for clients in another process.

    def control(self, request: Request) -> Response:
        """Answer requests below `/__sandbox__/`.

        These are faults (POST a Fault, DELETE all), clock (POST seconds), log (GET, DELETE), truth and instance.
        """
        what = request.path.removeprefix(CONTROL)
        if what == 'faults':
            if request.method == 'DELETE':
                self.faults.clear()
            else:
                self.faults.add(**request.get_json())
        elif what == 'clock':
            if request.method == 'POST':
                self.pass_time(request.get_json()['seconds'])
            return self.json({'now': self.clock.now().isoformat()})
        elif what == 'log':
            if request.method == 'DELETE':
                self.log.clear()
                self.connections = 0
            return self.json({'connections': self.connections, 'requests': [asdict(entry) for entry in self.log]})
        elif what == 'truth':
            return self.json([asdict(figure) for figure in self.truth(self.clock.now())])
        elif what == 'instance':
            return self.json(self.instance())
        else:
            return self.json({'message': f'unknown: {what}'}, 404)
        return self.json({})

    # Serving.

    @staticmethod
    def json(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
        """Return a JSON answer."""
        return Response(json.dumps(value), status, headers, content_type='application/json')

    def respond(self, request: Request) -> tuple[Response, faults.Fault | None]:
        """Answer a request and write it to the log. Returns the answer and the fault that struck the request."""
        if request.path.startswith(CONTROL):
            return self.control(request), None
        body = request.get_data(cache=True, as_text=True)
        fault = self.faults.strike(request)
        response = (fault is not None and faults.before(fault, self.clock)) or self.answer(request)
        self.log.append(
            Entry(
                request.method,
                request.path,
                request.query_string.decode(),
                body,
                response.status_code,
                len(response.get_data()),
            )
        )
        return response, fault


class _Handler(WSGIRequestHandler):
    """Werkzeug's handler with persistent connections, which real services offer and the check promises to use."""

    server: _Server
    protocol_version = 'HTTP/1.1'
    # Head and body are written apart: without this every answer waits 40 ms for a delayed acknowledgement.
    disable_nagle_algorithm = True
    timeout = 60

    def run_wsgi(self) -> None:
        """Answer one request and leave the connection open for the next."""
        request = Request(self.make_environ())
        # The body is read to its end whatever the service does with it: the next request begins behind it.
        request.get_data(cache=True)
        try:
            response, fault = self.server.service.respond(request)
        except Exception:
            logging.getLogger(__name__).exception('%s %s failed in the sandbox', request.method, request.path)
            response, fault = Response('{"message": "the sandbox failed"}', 500), None
        if fault is not None and fault.kind in ('reset', 'silent'):
            self.close_connection = True
            if fault.kind == 'silent':
                # Readable when the client has gone.
                select.select([self.connection], [], [])
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        content = b'' if request.method == 'HEAD' or response.status_code in (204, 304) else response.get_data()
        if 'Date' in response.headers:
            self.send_response_only(response.status_code)
        else:
            self.send_response(response.status_code)
        for name, value in response.headers:
            if name.lower() != 'content-length':
                self.send_header(name, value)
        self.send_header('Content-Length', str(len(content)))
        self.end_headers()
        if fault is not None and fault.kind == 'truncate':
            content = content[: len(content) // 2]
            self.close_connection = True
        self.wfile.write(content)

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return the time of the service's clock for the header `Date`."""
        moment = self.server.service.clock.now().timestamp() if timestamp is None else timestamp
        return super().date_time_string(int(moment))

    def log_request(self, *_: Any, **__: Any) -> None:
        """The service keeps its own log."""


class _Server(ThreadedWSGIServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int, service: Service) -> None:
        self.service = service
        # The handler asks the service itself, not the application.
        super().__init__(HOST, port, Response(status=500), _Handler)

    def get_request(self) -> Any:
        self.service.connections += 1
        return super().get_request()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print no traceback: clients close connections, and so do faults."""


# Free ports that this process was given so far.
_given: set[int] = set()


def _listen(port: int, service: Service) -> _Server:
    """Return a server at a port; 0: a free port that no service of this process had before.

    An address identifies what a check reads. Were it given twice, the check of the second service could find the
    snapshot that the check of the first one left in the Agent's cache, and would not ask.
    """
    server = _Server(port, service)
    while not port and server.port in _given:
        server.server_close()
        server = _Server(port, service)
    _given.add(server.port)
    return server


class Running:
    """A service being served, on a port of its own, by a thread of its own. A context manager."""

    def __init__(self, service: Service, port: int = 0) -> None:
        logging.getLogger('werkzeug').setLevel(logging.ERROR)
        self.service = service
        self._server: BaseWSGIServer = _listen(port, service)
        service.url = f'http://{HOST}:{self._server.port}'
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={'poll_interval': 0.01}, daemon=True)

    def start(self) -> Service:
        """Start serving."""
        self._thread.start()
        return self.service

    def stop(self) -> None:
        """Stop serving and free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Service:
        return self.start()

    def __exit__(self, *_: Any) -> None:
        self.stop()

"""Serving on loopback: real sockets, kept connections, a log of what was asked."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, ClassVar

from werkzeug.serving import BaseWSGIServer, ThreadedWSGIServer, WSGIRequestHandler
from werkzeug.wrappers import Request, Response

from . import faults
from .clock import Clock
from .faults import Faults
from .organisation import Organisation

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
    """One service of the sandbox. Subclasses answer requests and know the truth about their own data."""

    name: ClassVar[str]

    def __init__(self, organisation: Organisation, clock: Clock) -> None:
        self.organisation = organisation
        self.clock = clock
        self.faults = Faults()
        self.log: list[Entry] = []
        self.connections = 0
        self.url = ''

    # What a service defines.

    def answer(self, request: Request) -> Response:
        """The service's answer. Authentication is the service's own business."""
        raise NotImplementedError

    def truth(self, now: datetime) -> Iterable[Figure]:
        """What the check should report at `now`, computed from the service's data by the plainest means.

        Shares no code with the check. Only figures that exist: nothing for what is absent.
        """
        raise NotImplementedError

    def instance(self) -> dict[str, Any]:
        """An instance of the check that reads this service."""
        raise NotImplementedError

    def pass_time(self, seconds: float) -> None:
        """Let so many seconds pass, and with them whatever happens in that time in this service."""
        self.clock.advance(seconds)

    # The control interface, for clients in another process.

    def control(self, request: Request) -> Response:
        """`/__sandbox__/...`: faults (POST a Fault, DELETE all), clock (POST seconds), log (GET, DELETE), truth, instance."""
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
        """A JSON answer."""
        return Response(json.dumps(value), status, headers, content_type='application/json')

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        request = Request(environ)
        if request.path.startswith(CONTROL):
            return self.control(request)(environ, start_response)
        body = request.get_data(cache=True, as_text=True)
        fault = self.faults.strike(request)
        if fault is not None and fault.kind == 'reset':
            self.log.append(Entry(request.method, request.path, request.query_string.decode(), body, 0, 0))
            environ['werkzeug.socket'].close()
            raise ConnectionAbortedError
        response = (fault is not None and faults.before(fault)) or self.answer(request)
        content = response.get_data()
        size = len(content)
        self.log.append(
            Entry(request.method, request.path, request.query_string.decode(), body, response.status_code, size)
        )
        if fault is not None and fault.kind == 'truncate':
            response.response = faults.cut(content)
            response.headers['Content-Length'] = str(size)
            response.headers['Connection'] = 'close'
        return response(environ, start_response)


class _Handler(WSGIRequestHandler):
    # Connections are kept, as real services do; the check promises to use one.
    protocol_version = 'HTTP/1.1'
    # Head and body are written apart: without this every answer waits 40 ms for a delayed acknowledgement.
    disable_nagle_algorithm = True
    timeout = 60

    def log_request(self, *_: Any, **__: Any) -> None:
        """The service keeps its own log."""


class _Server(ThreadedWSGIServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int, service: Service) -> None:
        self.service = service
        super().__init__(HOST, port, service, _Handler)

    def get_request(self) -> Any:
        self.service.connections += 1
        return super().get_request()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients go away, and so do we when a fault says so: no traceback for that."""


class Running:
    """A service being served, on a port of its own, by a thread of its own. A context manager."""

    def __init__(self, service: Service, port: int = 0) -> None:
        logging.getLogger('werkzeug').setLevel(logging.ERROR)
        self.service = service
        self._server: BaseWSGIServer = _Server(port, service)
        service.url = f'http://{HOST}:{self._server.port}'
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={'poll_interval': 0.05}, daemon=True)

    def start(self) -> Service:
        """Serve from now on."""
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

"""Stand-in for NVIDIA's dcgm-exporter: serves the utilization of GPUs in the exposition format of Prometheus.

So that a test need not wait for half an hour of scrapes, each scrape gets a later point of a history that ended when
the exporter was made: the lines carry timestamps.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread
from typing import Any

STEP_SECONDS = 60
HISTORY_SECONDS = 45 * 60
POINTS = HISTORY_SECONDS // STEP_SECONDS + 1
HELP = {
    'DCGM_FI_DEV_GPU_UTIL': 'GPU utilization (in %).',
    'DCGM_FI_PROF_GR_ENGINE_ACTIVE': 'Ratio of time the graphics engine is active.',
}


@dataclass(frozen=True)
class Gpu:
    """A GPU, or its part that a pod holds.

    Attributes:
        labels: of the series, beside those that every GPU has
        value: at all times, or until `stopped` seconds before the end of the history, when it becomes 0
        stopped: seconds
        since: seconds from its first point to the end of the history
        until: seconds from its last point to the end of the history
    """

    labels: Mapping[str, str]
    value: float
    stopped: float = 0.0
    since: float = HISTORY_SECONDS
    until: float = 0.0
    metric: str = 'DCGM_FI_DEV_GPU_UTIL'

    def line(self, ago: float, now: float) -> str:
        """Return the line of the point at a time, '' when there is none."""
        if not self.until <= ago <= self.since:
            return ''
        labels = ','.join(f'{name}="{value}"' for name, value in self.labels.items())
        value = self.value if ago >= self.stopped else 0.0
        return f'{self.metric}{{{labels}}} {value:g} {round((now - ago) * 1000)}\n'


def gpu(index: int, pod: str, value: float, *, labels: Mapping[str, str] | None = None, **history: Any) -> Gpu:
    """Return a GPU of the node `n1` with the labels that the exporter writes; of no pod with `pod=''`."""
    holder = {'container': 'main' if pod else '', 'namespace': 'team-a' if pod else '', 'pod': pod}
    known = {
        'gpu': str(index),
        'UUID': f'GPU-{index:08d}-0000-4000-8000-000000000000',
        'pci_bus_id': f'00000000:{index + 16:02X}:00.0',
        'device': f'nvidia{index}',
        'modelName': 'NVIDIA H100 80GB HBM3',
        'Hostname': 'n1',
        'DCGM_FI_DRIVER_VERSION': '570.86.15',
    }
    return Gpu({**known, **holder, **(labels or {})}, value, **history)


@dataclass
class Exporter:
    """Serves the GPUs of some nodes, each at a path of its own, which one job scrapes. A context manager.

    Attributes:
        nodes: GPUs by path, without the slash
        now: end of the histories, seconds since the epoch
    """

    nodes: Mapping[str, Sequence[Gpu]]
    now: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        self._scrapes: dict[str, int] = dict.fromkeys(self.nodes, 0)
        self._scraped = Condition()
        self._server = ThreadingHTTPServer(('127.0.0.1', 0), self._handler())
        self._thread = Thread(target=self._server.serve_forever, daemon=True)

    @property
    def address(self) -> str:
        """Host and port."""
        return f'127.0.0.1:{self._server.server_port}'

    def __enter__(self) -> Exporter:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait(self, seconds: float) -> bool:
        """Wait until every history has been scraped to its end. Return False when that takes too long."""
        with self._scraped:
            # The scrape after the last point begins when the last point has been stored.
            return self._scraped.wait_for(lambda: min(self._scrapes.values()) > POINTS, seconds)

    def text(self, node: str) -> str:
        """Return the answer to the next scrape of a node."""
        with self._scraped:
            number = self._scrapes[node]
            self._scrapes[node] += 1
            self._scraped.notify_all()
        ago = max(0, POINTS - 1 - number) * STEP_SECONDS
        lines = []
        for metric in dict.fromkeys(one.metric for one in self.nodes[node]):
            lines.append(f'# HELP {metric} {HELP[metric]}\n# TYPE {metric} gauge\n')
            lines.extend(one.line(ago, self.now) for one in self.nodes[node] if one.metric == metric)
        return ''.join(lines)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        exporter = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def do_GET(self) -> None:
                node = self.path.strip('/')
                if node not in exporter.nodes:
                    self.send_error(404)
                    return
                body = exporter.text(node).encode()
                self.send_response(200)
                self.send_header('Content-Type', 'text/plain; version=0.0.4; charset=utf-8')
                self.send_header('Content-Length', str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler

"""Finds the answer that costs a check the most memory and time, for each source.

A proxy stands between the check and the sandbox. In each run it exchanges one answer of a refresh: the longest list in
it is filled with elements of one shape, up to the limits of an answer or beyond them. The other answers are passed on.

    python -m benchmarks.worst_answer [SOURCE ...]
"""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table

from fuzz import wire
from metta_checks.core.bounded_json import MAX_VALUES
from metta_checks.core.connections import MAX_BODY_BYTES
from metta_checks.ec2.response_limit import MAX_TAGS
from metta_checks.kubernetes.payloads import MAX_PAGE_VALUES
from metta_checks.skypilot.operations import MAX_RESULT_VALUES

from .harness import sandbox_process, sources

# The budget of any single answer.
MEMORY_MIB = 300
CPU_SECONDS = 10

MARK = 'the elements of the list'
OPERATION = re.compile(rb'query (\w+)|(?:^|&)Action=(\w+)')
NUMBERS = re.compile(r'[0-9a-f-]{8,}|\d+')
Make = Callable[[int], str]

# Elements of a list in JSON, by shape: the n-th one. None: the elements that the list has.
SHAPES: dict[str, Make | None] = {
    'real rows': None,
    'empty objects': lambda _: '{}',
    'small objects': lambda n: f'{{"k{n}":"v{n}"}}',
    'nested objects': lambda _: '{"a":' * 20 + '1' + '}' * 20,
    'one large object': lambda n: f'{{{",".join(f"{chr(34)}m{n}_{i}{chr(34)}:{i}.5" for i in range(1000))}}}',
    'one text': lambda n: '"' + 'x' * 2**20 + '"',
    'text with an emoji': lambda n: '"\U0001f600' + 'x' * 2**20 + '"',
    'text with an escaped emoji': lambda n: '"\\ud83d\\ude00' + 'x' * 2**20 + '"',
}
XML_SHAPES: dict[str, Make | None] = {
    'real rows': None,
    'empty elements': lambda _: '<a/>',
    'nested elements': lambda _: '<item>' * 20 + '</item>' * 20,
    'one text': lambda _: '<item>' + 'x' * 2**20 + '</item>',
    'text with an emoji': lambda _: '<item>\U0001f600' + 'x' * 2**20 + '</item>',
}
# Shares of the limits that an answer is filled to; above 1: of the bytes alone, with more values than allowed. Texts
# with characters of four bytes are refused when they are larger.
SHARES = {'text with an emoji': (0.35,), 'text with an escaped emoji': (0.35,), 'empty objects': (1, 1.02)}
# Values (of XML: tags) that an answer may have.
LIMITS = {'skypilot': MAX_RESULT_VALUES, 'kubernetes': MAX_PAGE_VALUES, 'ec2': MAX_VALUES}


def inflated(content: bytes, shape: str, limit: int, share: float) -> bytes | None:
    """Return an answer with its longest list filled up to a share of the limits; None where it has no such list."""
    is_xml = content.lstrip()[:1] == b'<'
    make = (XML_SHAPES if is_xml else SHAPES).get(shape)
    if shape not in (XML_SHAPES if is_xml else SHAPES):
        return None
    document = wire.document(content)
    found = max(_lists(document, 0), key=lambda one: len(one[0]), default=None)
    if found is None or (make is None and not found[0]):
        return None
    elements, depth = found
    if is_xml:
        rows = [wire.content(element, content).decode() for element in elements]
    else:
        rows = [json.dumps(wire.closed(element)) for element in elements]
    elements[:] = [MARK]
    frame = wire.content(document, content)
    mark, separator = (MARK.encode(), b'') if is_xml else (json.dumps(MARK).encode(), b',')
    for _ in range(depth):
        mark = json.dumps(mark.decode())[1:-1].encode()
    filling = _filling(make or (lambda n: rows[n % len(rows)]), depth, MAX_TAGS if is_xml else limit, share, is_xml)
    return frame.replace(mark, separator.join(filling))


def _filling(make: Make, depth: int, limit: int, share: float, is_xml: bool) -> Iterator[bytes]:
    size = values = 0
    number = 0
    if share > 1:
        # Twenty million elements one by one would take longer than the check waits.
        element = make(0).encode()
        yield from [element] * int(0.98 * MAX_BODY_BYTES // (len(element) + 1))
        return
    while True:
        text = make(number)
        values += text.count('<') if is_xml else sum(map(text.count, '{[,')) + 1
        for _ in range(depth):
            text = json.dumps(text, ensure_ascii=False)[1:-1]
        element = text.encode()
        size += len(element) + 1
        if size > share * 0.98 * MAX_BODY_BYTES or values > 0.98 * share * limit:
            return
        yield element
        number += 1


def _lists(value: Any, depth: int) -> Iterator[tuple[list[Any], int]]:
    """Yield the lists of a document, each with the number of texts of JSON that it stands in."""
    if isinstance(value, dict):
        deeper = depth + (list(value) == [wire.INSIDE])
        for item in value.values():
            yield from _lists(item, deeper)
    elif isinstance(value, list):
        # In XML, [tag, content].
        if not (len(value) == 2 and isinstance(value[0], str)):
            yield value, depth
        for item in value:
            yield from _lists(item, depth)


class Proxy(ThreadingHTTPServer):
    """Forwards to the sandbox. `exchange(name, content)` gives another content for an answer, or None."""

    daemon_threads = True

    def __init__(self, upstream: str) -> None:
        super().__init__(('127.0.0.1', 0), _Handler)
        self.upstream = urlsplit(upstream).netloc
        self.names: list[str] = []
        self.exchange: Callable[[str, bytes], bytes | None] = lambda _, __: None

    @property
    def url(self) -> str:
        """The address for clients."""
        return f'http://127.0.0.1:{self.server_port}'

    def handle_error(self, *_: Any) -> None:
        """Do nothing: a check that refuses an answer hangs up."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    server: Proxy

    def do_any(self) -> None:
        """Forward a request, and answer it."""
        body = self.rfile.read(int(self.headers.get('Content-Length') or 0))
        headers = {name: value for name, value in self.headers.items() if name != 'Accept-Encoding'}
        upstream = http.client.HTTPConnection(self.server.upstream)
        upstream.request(self.command, self.path, body, headers)
        answer = upstream.getresponse()
        own, theirs = urlsplit(self.server.url).netloc, self.server.upstream
        content = answer.read().replace(theirs.encode(), own.encode())
        match = OPERATION.search(body)
        name = f'{self.command} {NUMBERS.sub("*", urlsplit(self.path).path)}'
        if match:
            name = (match[1] or match[2]).decode()
        elif target := self.headers.get('X-Amz-Target'):
            name = target
        self.server.names.append(name)
        content = self.server.exchange(name, content) or content
        self.send_response(answer.status)
        for header, value in answer.getheaders():
            if header.lower() not in ('content-length', 'transfer-encoding', 'connection', 'date', 'server'):
                self.send_header(header, value.replace(theirs, own))
        self.send_header('Content-Length', str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_any  # noqa: N815 - the names that http.server calls

    def log_message(self, *_: Any) -> None:
        """Do nothing."""


@contextmanager
def proxied(source: str) -> Iterator[tuple[Proxy, str]]:
    """Start a small sandbox and a proxy before it. Yields the proxy and the address of the sandbox."""
    with sandbox_process(source, {'scale': 0.1}) as url:
        proxy = Proxy(url)
        threading.Thread(target=proxy.serve_forever, kwargs={'poll_interval': 0.05}, daemon=True).start()
        try:
            yield proxy, url
        finally:
            proxy.shutdown()
            proxy.server_close()


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a refresh in which one answer was exchanged."""

    name: str
    shape: str
    share: float
    mib: float
    cpu: float
    error: str


def measured(source: str, url: str, proxy: Proxy) -> Mapping[str, Any]:
    """Refresh once in a process of its own. Returns peak of memory over idle, CPU seconds and the error."""
    order = json.dumps({'source': source, 'url': url, 'proxy': proxy.url})
    worker = subprocess.run(
        [sys.executable, '-m', 'benchmarks.one_refresh'], input=order, capture_output=True, text=True, check=False
    )
    if worker.returncode:
        raise RuntimeError(f'the worker failed:\n{worker.stderr}')
    result: Mapping[str, Any] = json.loads(worker.stdout.splitlines()[-1])
    return result


def costs(source: str) -> Iterator[Cost]:
    """Measure every shape in every kind of answer of a refresh."""
    limit = LIMITS.get(source, MAX_VALUES)
    with proxied(source) as (proxy, url):
        honest = measured(source, url, proxy)
        if honest['error']:
            raise RuntimeError(f'an honest refresh of {source} fails: {honest["error"]}')
        names = [name for name in dict.fromkeys(proxy.names) if '__sandbox__' not in name]
        yield Cost('an honest refresh', '', 0, honest['mib'], honest['cpu'], honest['error'])
        for name in names:
            for shape in dict.fromkeys((*SHAPES, *XML_SHAPES)):
                for share in SHARES.get(shape, (1,)):
                    exchanged = _exchange(proxy, name, shape, limit, share)
                    result = measured(source, url, proxy)
                    if exchanged:
                        cpu = result['cpu'] - honest['cpu']
                        yield Cost(name, shape, share, result['mib'], cpu, result['error'])


def _exchange(proxy: Proxy, name: str, shape: str, limit: int, share: float) -> list[bool]:
    """Exchange the first answer of that name. Returns a list that is filled when it was done."""
    done: list[bool] = []

    def exchange(asked: str, content: bytes) -> bytes | None:
        if asked != name or done:
            return None
        if (other := inflated(content, shape, limit, share)) is not None:
            done.append(True)
        return other

    proxy.exchange = exchange
    return done


def main(arguments: list[str] | None = None) -> int:
    """Print the most expensive answers of the named sources, or of all. Returns the exit code."""
    chosen = sources('benchmarks.worst_answer', __doc__.splitlines()[0], arguments)
    console = Console(width=None if sys.stdout.isatty() else 160)
    failed = False
    for source in chosen:
        found = list(costs(source))
        table = Table('answer', 'shape', 'filled to', 'peak MiB over idle', 'CPU s over honest', 'error', title=source)
        by_memory = sorted(found, key=lambda cost: -cost.mib)[:3]
        by_time = sorted(found, key=lambda cost: -cost.cpu)[:3]
        for cost in (found[0], *by_memory, *by_time):
            table.add_row(
                cost.name, cost.shape, f'{cost.share:.0%}', f'{cost.mib:.0f}', f'{cost.cpu:.1f}', cost.error[:70]
            )
        console.print(table)
        console.print(f'{len(found)} answers', markup=False)
        failed = failed or any(cost.mib > MEMORY_MIB or cost.cpu > CPU_SECONDS for cost in found)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())

"""Raw exchanges of HTTP, by source: a typed error or the right answer, and the next request gets its own answer.

A case describes the bytes of an answer (see fuzz/exchange.py): interim answers, status line, headers, framing,
compression, a redirect, where it breaks off, whether it drips, and what comes behind it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any
from unittest import mock

from datadog_checks.base.utils.http import RequestsWrapper

from metta_checks.core.budget import Budget
from metta_checks.core.errors import BadPayload, SourceError
from metta_checks.core.http import Api, Endpoint
from metta_checks.core.limits import RateLimits
from metta_checks.ec2.aws import Aws
from metta_checks.ec2.settings import Access
from metta_checks.testing import Clock

from .. import exchange, values
from ..choices import Choose, pick
from ..target import Finding, Target, readable
from .checks import HEADER_VALUES, HEADERS
from .http import policies

NOW = datetime(2026, 11, 24, 18, tzinfo=UTC)
# Generous: only a server that neither answers nor hangs up is waited for.
TIMEOUT = 15
MAX_MIB = 300.0
STATUS_LINES = (
    'HTTP/1.1 200 OK',
    'HTTP/1.1 200 OK',
    'HTTP/1.1 200 OK',
    'HTTP/1.0 200 OK',
    'HTTP/1.1 200',
    'HTTP/1.1 100 Continue',
    'HTTP/1.1 101 Switching Protocols',
    'HTTP/1.1 199 x',
    'HTTP/1.1 204 No Content',
    'HTTP/1.1 206 Partial Content',
    'HTTP/1.1 301 Moved Permanently',
    'HTTP/1.1 303 See Other',
    'HTTP/1.1 304 Not Modified',
    'HTTP/1.1 307 Temporary Redirect',
    'HTTP/1.1 400 Bad Request',
    'HTTP/1.1 401 Unauthorized',
    'HTTP/1.1 403 Forbidden',
    'HTTP/1.1 404 Not Found',
    'HTTP/1.1 429 Too Many Requests',
    'HTTP/1.1 500 Internal Server Error',
    'HTTP/1.1 503 Service Unavailable',
    'HTTP/1.1 999 x',
    'HTTP/1.1 1000 x',
    'HTTP/1.1 -1 x',
    'HTTP/1.1 2e2 OK',
    'HTTP/9.9 200 OK',
    'HTTP/1.1',
    'HTTP/1.1  200  OK',
    'ICY 200 OK',
    'SSH-2.0-OpenSSH',
    '',
    'x' * 70_000,
)
INTERIM = (
    'HTTP/1.1 100 Continue',
    'HTTP/1.1 102 Processing\r\nX-Step: 1',
    'HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload',
    'HTTP/1.1 103 Early Hints\r\nContent-Length: 5',
    'HTTP/1.1 101 Switching Protocols',
    'HTTP/1.1 199 x',
)
LENGTHS = ('', '', '0', '1', '-1', '+70', '70, 70', '7', '90', '0x46', '1e2', 'x', '9' * 30, '4294967296')
CHUNK_SIZES = (
    '',
    '0',
    '-1',
    '-5',
    '+5',
    '0x5',
    'ffffffffffffffff',
    '1' * 400,
    'x',
    ' 5 ',
    '5;name=value',
    '5;' + 'x' * 70_000,
)
TRAILERS = ('', '', 'X-Trailer: 1\r\n', 'Content-Length: 3\r\n', 'x' * 70_000, 'X: 1\r\n' * 200)
TRANSFERS = ('', '', 'gzip, chunked', 'identity', 'chunked, chunked', 'CHUNKED', 'x')
ENCODINGS = ('', '', 'gzip', 'deflate', 'x-gzip', 'identity', 'br', 'zstd', 'gzip, gzip', 'x' * 300)
LOCATIONS = (
    '',
    '/answer/NUMBER?again',
    'http://localhost:PORT/poison',
    'https://127.0.0.1:PORT/answer/NUMBER',
    'http://[::1',
    'http://127.0.0.1:99999999/',
    '//',
    '?',
    'ftp://127.0.0.1/x',
    'http://user:password@127.0.0.1:PORT/answer/NUMBER',
    'http://\xff/',
    ' ',
)
MORE_HEADERS = (
    ('Connection', 'close'),
    ('Connection', 'keep-alive'),
    ('Content-Length', '3'),
    ('Transfer-Encoding', 'chunked'),
    ('Content-Type', 'application/json; charset=utf-16'),
    ('Set-Cookie', 'a=b'),
    ('Upgrade', 'h2c'),
    (' Folded', 'x\r\n more'),
    ('X-Large', 'x' * 70_000),
    ('', ''),
)
_numbers = itertools.count(1000)
# The answer to a request of a number, or None when it holds none.
Ask = Callable[[int, bool, str], Any]


def _api(source: str, clock: Clock) -> Ask:
    limits = RateLimits(clock)
    budget = Budget(clock)
    budget.start(100_000, 50)
    known = policies(limits)
    endpoint = Endpoint(exchange.server().url, source, policy=known.get(source, known['plain']))
    api = Api(_wrapper(source), endpoint, budget=budget, limits=limits)

    def ask(number: int, follow: bool, resource: str) -> Any:
        found = api.get(f'answer/{number}', allow_redirects=follow, resource=resource).json()
        return found.get('number') if isinstance(found, dict) else found

    return ask


def _aws(_: str, clock: Clock) -> Ask:
    aws, budget = _sdk()
    budget.clock = clock
    budget.start(100_000, 50)

    def ask(number: int, _: bool, __: str) -> Any:
        account = aws.call('sts', 'us-east-1', 'get_access_key_info', AccessKeyId=f'{number:020}').get('Account')
        if account is None:
            raise BadPayload('GetAccessKeyInfo answered without an account')
        return int(account)

    return ask


@cache
def _wrapper(_: str) -> Any:
    """Return the HTTP wrapper of a source, whose connections outlive a case."""
    return RequestsWrapper({'timeout': TIMEOUT}, {})


@cache
def _sdk() -> tuple[Aws, Budget]:
    access = Access(
        profile=None,
        access_key_id='AKIAEXAMPLE',
        secret_access_key='example',
        role_arn=None,
        external_id=None,
        endpoint_url=exchange.server().url,
        connect_timeout=TIMEOUT,
        read_timeout=TIMEOUT,
    )
    budget = Budget(Clock(NOW))
    return Aws(access, _wrapper('ec2'), budget, lambda: NOW, ['us-east-1']), budget


def _run(source: str, case: dict[str, Any]) -> None:
    """Run one case."""
    clock = Clock(NOW)
    ask = (_aws if source == 'ec2' else _api)(source, clock)
    number = next(_numbers)
    location = case['location'].replace('NUMBER', str(number))
    under_way = exchange.Case({**case, 'location': location}, clock)
    exchange.server().cases[number] = under_way
    before = _begin_peak() if case['packed'] == 'bomb' else None
    # The SDK sleeps before it repeats a request.
    with mock.patch('botocore.endpoint.time.sleep'):
        try:
            found = ask(number, case['follow'], 'first')
        except SourceError as error:
            readable(str(error), 'the error')
        else:
            if found != number:
                raise Finding(f'request {number} got the answer {found!r:.200}')
        finally:
            under_way.is_over.set()
        following = next(_numbers)
        found = ask(following, False, 'next')
    for defect in exchange.server().defects:
        raise defect
    if found != following:
        raise Finding(f'the next request, {following}, got the answer {found!r:.200}')
    if before is not None and (taken := _peak_mib() - before) > MAX_MIB:
        raise Finding(f'took {taken:.0f} MiB')


def _begin_peak() -> float:
    """Restart the measurement of the largest memory, and return the present one, in MiB."""
    exchange.bomb()
    Path('/proc/self/clear_refs').write_text('5')
    return _peak_mib()


def _peak_mib() -> float:
    [line] = [line for line in Path('/proc/self/status').read_text().splitlines() if line.startswith('VmHWM:')]
    return int(line.split()[1]) / 1024


# A right answer; a case is made of changes to it.
PLAIN: dict[str, Any] = {
    'interim': [],
    'pause': False,
    'status': 'HTTP/1.1 200 OK',
    'headers': [],
    'framing': 'length',
    'length': '',
    'transfer': '',
    'chunks': [],
    'trailer': '',
    'packed': '',
    'encoding': '',
    'damage': [],
    'location': '',
    'follow': False,
    'flips': [],
    'cut': None,
    'extra': False,
    'drip': False,
    'end': 'keep',
}


def _make(choose: Choose) -> dict[str, Any]:
    headers: list[tuple[str, str]] = []
    for _ in range(choose(4)):
        if choose(2):
            headers.append(pick(choose, MORE_HEADERS))
        else:
            value = pick(choose, HEADER_VALUES) if choose(3) else values.text(choose)[:200]
            headers.append((pick(choose, HEADERS), value))
    packed = pick(choose, ('', '', '', 'gzip', 'deflate', 'raw', *(('bomb',) if not choose(30) else ())))
    named = {'': '', 'raw': 'deflate', 'bomb': 'gzip'}.get(packed, packed)
    return {
        'interim': [pick(choose, INTERIM) for _ in range(choose(4))] * (1 if choose(10) else 10),
        'pause': bool(choose(2)),
        'status': pick(choose, STATUS_LINES),
        'headers': headers,
        'framing': pick(choose, ('length', 'length', 'chunked', 'chunked', 'close', 'both')),
        'length': pick(choose, LENGTHS) if not choose(3) else '',
        'transfer': pick(choose, TRANSFERS) if not choose(4) else '',
        'chunks': [pick(choose, CHUNK_SIZES) for _ in range(choose(3))] if not choose(2) else [],
        'trailer': pick(choose, TRAILERS),
        'packed': packed,
        'encoding': named if choose(4) else pick(choose, ENCODINGS),
        'damage': [(choose(200), 1 + choose(255)) for _ in range(choose(3))] if not choose(4) else [],
        'location': pick(choose, LOCATIONS),
        'follow': bool(choose(2)),
        'flips': [(choose(200), 1 + choose(255)) for _ in range(choose(3))] if not choose(3) else [],
        'cut': choose(400) if not choose(6) else None,
        'extra': not choose(4),
        'drip': not choose(12),
        'end': pick(choose, ('keep', 'keep', 'keep', 'close', 'reset')),
    }


def targets() -> Iterator[Target]:
    """Return the targets `exchange.<source>`."""
    for source in ('github', 'skypilot', 'asana', 'wandb', 'kubernetes', 'ec2'):
        yield Target(f'exchange.{source}', partial(_run, source), _make)

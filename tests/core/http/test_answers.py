"""An answer belongs to its request and is bounded in every byte. Violations of HTTP end in a typed error."""

from __future__ import annotations

import functools
import gzip
import json
import subprocess
import sys
import zlib

import pytest
from datadog_checks.base import ConfigurationError
from datadog_checks.base.utils.http import RequestsWrapper

from metta_checks.core.budget import Budget
from metta_checks.core.connections import MAX_BODY_BYTES, MAX_IDLE_SECONDS
from metta_checks.core.errors import BadPayload, SourceError, Unauthorized
from metta_checks.core.http import MAX_REDIRECTS, Api, BearerAuth, Endpoint
from metta_checks.core.limits import RateLimits

from ...security.instances import ADDRESS, SECRETS, instance
from . import wire
from .wire import SOURCES, WRAPPED, answer, answering, driver, serving, value

MIB = 2**20
# A body that is refused at its limit, twice in the memory, and an allowance for the interpreter.
ALLOWED = 2 * MAX_BODY_BYTES + 48 * MIB
# One run in a process of its own, so that its peak of memory is its own: before and after, in bytes.
PROGRAM = """
import json, resource, sys
from metta_checks.check import MettaChecks
check = MettaChecks('metta_checks', {}, [json.loads(sys.argv[1])])
check.run_check_initializations()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
report = check.run()
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([json.loads(report)[0]['message'] if report else '', (after - before) * 1024]))
"""


def grown(source, url, **options):
    """Return the error of a run in a process of its own, and the growth of its memory in bytes."""
    configured = json.dumps(instance(source, url, **options))
    done = subprocess.run(
        [sys.executable, '-c', PROGRAM, configured], capture_output=True, text=True, check=True, timeout=200
    )
    return json.loads(done.stdout.splitlines()[-1])


def api(url, clock, requests=None, *, auth=None, **options):
    budget = Budget(clock)
    budget.start(10_000, requests)
    endpoint = Endpoint(url, 'Service', **({'auth': auth} if auth else {}))
    return Api(RequestsWrapper({'timeout': 30, **options}, {}), endpoint, budget=budget, limits=RateLimits(clock))


# Every byte is counted (line 2 of the field page).


@functools.cache
def bomb(size=512):
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    return b''.join([packer.compress(b' ' * MIB) for _ in range(size)] + [packer.flush()])


@pytest.mark.parametrize('source', SOURCES)
def test_the_body_of_a_redirect(source, clock):
    headers = 'Content-Encoding: gzip', 'Location: /elsewhere'
    with serving(answering(answer(bomb(), '302 Found', *headers)), clock) as server:
        _, growth = grown(source, server.url)
    assert growth < ALLOWED


@pytest.mark.parametrize('status', ['401 Unauthorized', '403 Forbidden', '429 Too Many', '503 Unavailable'])
def test_the_body_of_an_error(status, clock):
    refusal = answer(bomb(), status, 'Content-Encoding: gzip', 'WWW-Authenticate: Digest realm="x", nonce="y"')
    with serving(answering(refusal), clock) as server:
        # The authentication of this type reads the body of a 401 itself.
        error, growth = grown('skypilot_basic', server.url, auth_type='digest')
    assert 'more than 64 MiB' in error
    assert growth < ALLOWED


def endless(head, part):
    def behave(connection):
        connection.read_request()
        connection.send(head)
        while True:
            connection.send(part)

    return behave


CHUNKED = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'


@pytest.mark.parametrize('source', ['wandb', 'ec2'])
@pytest.mark.parametrize(
    ('head', 'part'),
    [
        (CHUNKED, b'0' * 65536),
        (CHUNKED + b'-1\r\n', b' ' * 65536),
        (CHUNKED + b'0\r\nX-Trailer: ', b'x' * 65536),
        (b'HTTP/1.1 100 Continue\r\n\r\n', b'HTTP/1.1 100 Continue\r\n\r\n' * 1000),
        (b'HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n', b' ' * 65536),
    ],
    ids=['chunk size', 'negative chunk', 'trailer', 'interim answers', 'negative length'],
)
def test_bytes_outside_of_a_body(source, head, part, clock):
    with serving(endless(head, part), clock) as server:
        error, growth = grown(source, server.url)
    assert error
    assert growth < ALLOWED


def packed(body=b'{"value": 1}'):
    return gzip.compress(body, mtime=0)


@pytest.mark.parametrize(
    ('encoding', 'body'),
    [
        ('gzip', packed()),
        ('x-gzip', packed(b'{"value":') + packed(b' 1}')),
        ('gzip', packed() + bytes(10)),
        ('deflate', zlib.compress(b'{"value": 1}')),
        ('deflate', zlib.compress(b'{"value": 1}')[2:-4]),
        ('identity', b'{"value": 1}'),
    ],
    ids=['gzip', 'two streams', 'padding', 'deflate', 'raw deflate', 'identity'],
)
def test_encodings_that_are_asked_for(encoding, body, clock):
    with serving(answering(answer(body, '200 OK', f'Content-Encoding: {encoding}')), clock) as server:
        client = api(server.url, clock)
        assert client.get('x').json() == {'value': 1}
        assert client.get('x').json() == {'value': 1}
    # Both were read to their end.
    assert server.accepted == 1


@pytest.mark.parametrize(
    ('encoding', 'body'),
    [
        ('br', b'x'),
        ('gzip, gzip', packed(packed())),
        ('gzip', packed()[:-6]),
        ('gzip', packed(b'') * 100),
        ('gzip', b'not packed'),
    ],
    ids=['not asked for', 'twice', 'cut off', 'many streams', 'not packed'],
)
def test_encodings_that_are_refused(encoding, body, clock):
    answers = answering(answer(body, '200 OK', f'Content-Encoding: {encoding}'))
    with serving(answers, clock) as server, pytest.raises(BadPayload):
        api(server.url, clock).get('x')


@pytest.mark.parametrize('coding', ['gzip, chunked', 'chunked, gzip', 'gzip', 'x'])
@pytest.mark.parametrize('length', ['', 'Content-Length: 3\r\n'])
def test_transfer_codings_that_are_refused(coding, length, clock):
    # Without the coding, the size of the first chunk is a number in JSON.
    head = f'HTTP/1.1 200 OK\r\n{length}Transfer-Encoding: {coding}\r\n\r\n'
    with serving(answering_once(head.encode() + b'111\r\n'), clock) as server, pytest.raises(BadPayload) as caught:
        api(server.url, clock).get('x').json()
    assert 'transfer coding' in str(caught.value)


# A proxy in front of a server that chunks an answer may repeat its header.
@pytest.mark.parametrize(
    'coding',
    [
        'chunked',
        'Chunked',
        'identity',
        'chunked ',
        'chunked, chunked',
        'chunked\r\nTransfer-Encoding: chunked',
        'identity, chunked',
    ],
)
def test_transfer_codings_that_are_accepted(coding, clock):
    body = b'4\r\n1111\r\n0\r\n\r\n' if 'hunked' in coding else b'1111'
    head = f'HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nTransfer-Encoding: {coding}\r\n\r\n'
    with serving(answering_once(head.encode() + body), clock) as server:
        assert api(server.url, clock).get('x').json() == 1111


# Redirects (line 3).


def moved(location, status='302 Found'):
    return answer(b'{"value": "moved"}', status, f'Location: {location}')


def test_redirects_are_followed_on_the_same_origin_and_counted(clock):
    with serving(answering(moved('/b'), moved('c', '307 Temporary'), value(1)), clock) as server:
        client = api(f'{server.url}/api', clock)
        assert client.get('a', allow_redirects=True).json() == {'value': 1}
    assert [head.split()[1] for head in server.heads] == ['/api/a', '/b', '/c']
    assert client.budget.requests == 3


def test_redirects_end(clock):
    with serving(answering(moved('/again')), clock) as server:
        client = api(server.url, clock)
        with pytest.raises(BadPayload, match='redirects'):
            client.get('x', allow_redirects=True)
    assert client.budget.requests == len(server.heads) == MAX_REDIRECTS + 1


def test_a_redirect_is_spent_from_the_budget(clock):
    with serving(answering(moved('/again')), clock) as server, pytest.raises(SourceError, match='2 per refresh'):
        api(server.url, clock, requests=2).get('x', allow_redirects=True)
    assert len(server.heads) == 2


@pytest.mark.parametrize('location', ['{other}/x', '//{host}/x', 'https://{own}/x', 'http://user:word@{host}/x'])
def test_nothing_is_sent_to_another_origin(location, clock):
    with serving(answering(value('other')), clock) as other, serving(answering(b''), clock) as server:
        target = location.format(other=other.url, host=other.host, own=server.host)
        server.behavior = answering(moved(target))
        client = api(server.url, clock, auth=BearerAuth('secret'), headers={'X-Key': 'secret'})
        with pytest.raises(BadPayload, match='another host'):
            client.get('x', allow_redirects=True)
    assert other.accepted == 0
    assert len(server.heads) == 1


@pytest.mark.parametrize('status', ['301 Moved', '302 Found', '303 See Other', '307 Temporary', '308 Permanent'])
@pytest.mark.parametrize('source', SOURCES)
def test_no_source_is_led_to_another_host(source, status, clock):
    with serving(answering(value('other')), clock) as other, serving(answering(b''), clock) as server:
        server.behavior = answering(moved(f'{other.url}/x', status))
        run = driver(source, server.url, clock).run()
    assert other.accepted == 0
    assert run.status == 2


def test_credentials_in_a_link_are_left_out(clock):
    with serving(answering(value(1)), clock) as server:
        api(server.url, clock).get(f'http://user:word@{server.host}/x')
    assert 'Authorization' not in server.heads[0]


# Interim answers (line 4).


@pytest.mark.parametrize('interim', ['100 Continue', '102 Processing', '103 Early Hints', '199 Else'])
@pytest.mark.parametrize('times', [1, 3])
def test_an_interim_answer_is_not_the_answer(interim, times, clock):
    before = f'HTTP/1.1 {interim}\r\nLink: </style.css>; rel=preload\r\n\r\n'.encode() * times
    with serving(answering(before + value(1), before + value(2), value(3)), clock) as server:
        client = api(server.url, clock)
        assert [client.get('x').json()['value'] for _ in range(3)] == [1, 2, 3]
    assert server.accepted == 1


@pytest.mark.parametrize('source', SOURCES)
def test_no_source_takes_an_interim_answer_for_the_answer(source, clock):
    hints = b'HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n'
    refusal = answer(b'{}', '401 Unauthorized')
    with serving(answering(refusal), clock) as server:
        plain = driver(source, server.url, clock).run()
    with serving(answering(hints + refusal), clock) as server:
        hinted = driver(source, server.url, clock).run()
    assert hinted.errors() == plain.errors()
    assert 'HTTP 103' not in hinted.error


@pytest.mark.parametrize('source', SOURCES)
def test_interim_answers_end(source, clock):
    behavior = endless(b'', b'HTTP/1.1 103 Early Hints\r\n\r\n')
    with serving(behavior, clock) as server:
        run = driver(source, server.url, clock).run()
    assert 'internal' not in {reason for _, reason in run.errors()}
    assert run.status == 2


def test_a_change_of_protocol_is_refused(clock):
    switching = b'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n'
    with serving(answering(switching + value(1)), clock) as server, pytest.raises(BadPayload, match='101'):
        api(server.url, clock).get('x')


# Answers that are not HTTP (line 5).

MALFORMED = {
    'location': answer(b'', '302 Found', 'Location: http://[::1'),
    'location in bytes': answer(b'', '302 Found').replace(b'\r\n\r\n', b'\r\nLocation: /\xff\xfe\r\n\r\n'),
    'location with a port': answer(b'', '302 Found', 'Location: http://x:99999999/'),
    'link': answer(b'[]', '200 OK', 'Link: <http://[::1>; rel="next"'),
    'link with a port': answer(b'[]', '200 OK', 'Link: <http://x:99999999/>; rel="next"'),
    'negative chunk': CHUNKED + b'-5\r\nabc\r\n0\r\n\r\n',
    'chunk size': CHUNKED + b'zz\r\nabc\r\n0\r\n\r\n',
    'two lengths': b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}',
    'status': b'HTTP/1.1 abc OK\r\n\r\n',
    'large status': b'HTTP/1.1 99999 OK\r\nContent-Length: 2\r\n\r\n{}',
    'version': b'HTTP/9.9 200 OK\r\nContent-Length: 2\r\n\r\n{}',
    'not HTTP': b'SSH-2.0-OpenSSH_9.6\r\n',
    'nothing but headers': b'A: b\r\n\r\n',
    'a header of 100 KiB': b'HTTP/1.1 200 OK\r\nA: ' + b'x' * 100_000 + b'\r\n\r\n',
    'a thousand headers': b'HTTP/1.1 200 OK\r\n' + b'A: b\r\n' * 1000 + b'\r\n',
    'bytes in headers': b'HTTP/1.1 200 \xff\xfe\r\n\xff: \xfe\r\nContent-Length: 2\r\n\r\n{}',
    'retry': answer(b'{}', '429 Too Many', 'Retry-After: \u0661\u0662'),
    'text in another encoding': answer(b'\xff\xfe{\x00}\x00'),
    'a lone surrogate': answer(b'{"a": "\xed\xa0\x80"}'),
}


def answering_once(content):
    """Answer one request of a connection, and close it: the end of such an answer may not be known."""

    def behave(connection):
        connection.read_request()
        connection.send(content)

    return behave


@pytest.mark.parametrize('name', MALFORMED)
@pytest.mark.parametrize('source', SOURCES)
def test_a_malformed_answer_is_a_typed_error(source, name, clock):
    with serving(answering_once(MALFORMED[name]), clock) as server:
        run = driver(source, server.url, clock).run()
    reasons = {reason for _, reason in run.errors()}
    assert reasons
    assert 'internal' not in reasons


@pytest.mark.parametrize('name', MALFORMED)
def test_a_malformed_answer_to_a_request_that_follows(name, clock):
    with serving(answering_once(MALFORMED[name]), clock) as server:
        client = api(server.url, clock)
        with pytest.raises(SourceError) as caught:
            [page.json_list() for page in client.pages('x', allow_redirects=True)]
    assert str(caught.value).isprintable()


BAD_ADDRESSES = (
    'not an address',
    'ftp://service.example',
    'https://',
    'https://[::1',
    'https://service.example:99999999',
    'https://service.example:abc',
    'https://service .example',
    'https://service.example\n',
    'https://service.example/?page=1',
    'https://' + 'x' * 64,
)


@pytest.mark.parametrize('address', BAD_ADDRESSES)
@pytest.mark.parametrize('source', SOURCES)
def test_a_bad_address_is_a_configuration_error(source, address, clock):
    made = driver(source, address, clock)
    run = made.run()
    assert run.status == 2
    assert run.requests is None
    # The check never got to its first refresh.
    assert made.check.last_refresh is None
    assert address[:20].strip() in run.error or ADDRESS[source] in run.error


def test_an_address_in_a_message_has_no_password(clock):
    with pytest.raises(ConfigurationError) as caught:
        api('https://user:secret@service.example:99999999', clock)
    assert 'secret' not in str(caught.value)


@pytest.mark.parametrize('token', ['with\nline', 'with\rline', 'snow \u2603'])
def test_a_token_that_no_header_can_hold(token, clock):
    with serving(answering(value(1)), clock) as server, pytest.raises(Unauthorized, match='character') as caught:
        api(server.url, clock, auth=BearerAuth(token)).get('x')
    assert token not in str(caught.value)
    assert server.accepted == 0


# Ambient settings (line 6).


@pytest.fixture
def ambient(tmp_path, monkeypatch):
    path = tmp_path / 'netrc'
    path.write_text(f'machine {wire.HOST} login intruder password ambient\ndefault login intruder password ambient\n')
    path.chmod(0o600)
    (tmp_path / '.netrc').write_bytes(path.read_bytes())
    (tmp_path / '.netrc').chmod(0o600)
    monkeypatch.setenv('NETRC', str(path))
    monkeypatch.setenv('HOME', str(tmp_path))


def sent(source, clock, **options):
    """Return the headers of the first request of a source with `Authorization` or a key."""
    with serving(answering(answer(b'{}', '401 Unauthorized')), clock) as server:
        driver(source, server.url, clock, **options).run()
    return '\n'.join(server.heads)


@pytest.mark.usefixtures('ambient')
@pytest.mark.parametrize('source', SECRETS)
def test_netrc_replaces_no_credentials(source, clock, monkeypatch, tmp_path):
    with_file = sent(source, clock)
    assert with_file
    # Basic authentication of the user and the password in the file.
    assert 'aW50cnVkZXI6YW1iaWVudA==' not in with_file


@pytest.mark.usefixtures('ambient')
def test_credentials_of_an_address_stay_in_force(clock):
    with serving(answering(value(1)), clock) as server:
        api(f'http://user:word@{server.host}', clock).get('x')
    assert 'Authorization: Basic dXNlcjp3b3Jk' in server.heads[0]


@pytest.mark.parametrize('source', WRAPPED)
def test_proxies_of_the_environment_stay_in_force(source, clock, monkeypatch):
    with serving(answering(answer(b'{}', '401 Unauthorized')), clock) as proxy:
        monkeypatch.setenv('HTTP_PROXY', proxy.url)
        driver(source, 'http://service.example', clock).run()
        assert 'http://service.example' in proxy.heads[0]
        number = len(proxy.heads)
        monkeypatch.setenv('NO_PROXY', wire.HOST)
        with serving(answering(answer(b'{}', '401 Unauthorized')), clock) as server:
            driver(source, server.url, clock).run()
        assert server.heads
        assert len(proxy.heads) == number


@pytest.mark.parametrize('proxy', ['http://[::1', 'foo://proxy.example:1', f'http://{wire.HOST}:1'])
@pytest.mark.parametrize('source', WRAPPED)
def test_a_bad_proxy_is_said_to_be_one(source, proxy, clock):
    run = driver(source, 'http://service.example', clock, proxy={'http': proxy}).run()
    assert 'proxy' in {reason for _, reason in run.errors()}


# Idle connections (line 7).


@pytest.mark.parametrize('source', SOURCES)
def test_a_connection_that_was_dropped_silently_is_not_used_again(source, clock):
    dropped: list[int] = []
    swallowed: list[int] = []

    def behave(connection):
        before_the_pause = not dropped
        while connection.read_request() is not None:
            if dropped and before_the_pause:
                # As a load balancer that has forgotten the connection, and says nothing.
                swallowed.append(1)
            else:
                connection.send(answer(b'{}', '401 Unauthorized'))

    with serving(behave, clock) as server:
        made = driver(source, server.url, clock, **({'read_timeout': 1} if source == 'ec2' else {'timeout': 1}))
        before = made.run()
        clock.advance(240)
        dropped.append(1)
        after = made.refresh()
    assert not swallowed
    assert after.errors() == before.errors()


def test_connections_are_kept_between_requests_but_not_over_a_pause(clock):
    with serving(answering(value(1)), clock) as server:
        client = api(server.url, clock)
        for pause, connections in ((0, 1), (MAX_IDLE_SECONDS - 1, 1), (MAX_IDLE_SECONDS + 1, 2), (1, 2), (900, 3)):
            clock.advance(pause)
            client.get('x')
            assert server.accepted == connections

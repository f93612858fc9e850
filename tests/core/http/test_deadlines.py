"""A deadline covers the whole exchange: tunnel, TLS, head and body, in every source, also over TLS and proxies.

The servers write a byte per second of the clock that the check goes by, forever. A run ends because its deadline has
passed on that clock, or never.
"""

from __future__ import annotations

import ssl

import pytest
from datadog_checks.base.utils.http import RequestsWrapper

from metta_checks.core.budget import Budget
from metta_checks.core.errors import TimedOut, Unavailable
from metta_checks.core.http import Api, Endpoint
from metta_checks.core.limits import RateLimits
from metta_checks.core.transport import Transport

from . import wire
from .wire import SOURCES, driver, serving

# The options `connect_timeout` and `read_timeout` are 30 s each: an exchange may take 90 s. The AWS SDK tries three
# times, which takes all the time of a refresh.
REFRESH_TIMEOUT = 200
ALLOWED = REFRESH_TIMEOUT + 100


def dripping_tunnel(connection):
    connection.read_request()
    connection.drip(b'HTTP/1.1 200 Connection established\r\nX-Padding: ', b'x')


def dripping_handshake(connection):
    connection.socket.recv(1)
    # A record of the handshake that is 16 KiB long.
    connection.drip(b'\x16\x03\x03\x40\x00\x02\x00\x3f\xfc', b'\0')


def dripping_head(connection):
    connection.read_request()
    connection.drip(b'HTTP/1.1 200 OK\r\nX-Padding: ', b'x')


def dripping_body(connection):
    connection.read_request()
    connection.send(b'HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n')
    connection.drip(b'', b' ')


def dripping_chunk_size(connection):
    connection.read_request()
    connection.send(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
    connection.drip(b'', b'0')


def dripping_interim_answers(connection):
    connection.read_request()
    connection.drip(b'HTTP/1.1 100 Continue\r\nX-Padding: ', b'x')


def check_ends_in_time(source, url, clock, **options):
    began = clock.monotonic()
    run = driver(source, url, clock, refresh_timeout=REFRESH_TIMEOUT, **options).run()
    assert clock.monotonic() - began < ALLOWED
    assert {reason for _, reason in run.errors()} & {'timeout', 'budget'}


@pytest.mark.parametrize('source', SOURCES)
def test_a_proxy_that_drips_its_answer_to_connect(source, clock):
    with serving(dripping_tunnel, clock) as proxy:
        url = 'https://service.example:8443'
        check_ends_in_time(source, url, clock, proxy={'https': proxy.url})
    assert proxy.heads[0].startswith('CONNECT service.example:8443')


@pytest.mark.parametrize('source', SOURCES)
def test_a_server_that_drips_the_handshake_of_tls(source, clock):
    with serving(dripping_handshake, clock) as server:
        check_ends_in_time(source, f'https://{server.host}', clock)


@pytest.mark.parametrize('source', SOURCES)
def test_a_handshake_that_drips_behind_a_proxy(source, clock):
    def tunnel(connection):
        connection.read_request()
        connection.send(b'HTTP/1.1 200 Connection established\r\n\r\n')
        dripping_handshake(connection)

    with serving(tunnel, clock) as proxy:
        url = 'https://service.example:8443'
        check_ends_in_time(source, url, clock, proxy={'https': proxy.url})


@pytest.mark.parametrize('source', SOURCES)
@pytest.mark.parametrize('behavior', [dripping_head, dripping_body, dripping_chunk_size, dripping_interim_answers])
def test_an_answer_that_drips_over_tls(source, behavior, clock, certificate):
    with serving(behavior, clock, certificate) as server:
        check_ends_in_time(source, server.url, clock, tls_ca_cert=str(certificate))


@pytest.mark.parametrize('source', SOURCES)
def test_a_kept_connection_is_covered_again(source, clock, certificate):
    def behave(connection):
        connection.read_request()
        connection.send(wire.answer(b'', '503 Service Unavailable'))
        dripping_head(connection)

    with serving(behave, clock, certificate) as server:
        check_ends_in_time(source, server.url, clock, tls_ca_cert=str(certificate))
    # The repetition came on the same connection.
    assert len(server.heads) > 1


# The adapter at the origin keeps what the toolkit's own does.


def api(url, clock, **options):
    budget = Budget(clock)
    budget.start(600)
    wrapper = RequestsWrapper({'timeout': 30, **options}, {})
    return Api(wrapper, Endpoint(url, 'Service'), budget=budget, limits=RateLimits(clock)), wrapper


def test_the_adapter_at_the_origin_is_used_over_tls(clock, certificate):
    with serving(wire.answering(wire.value(1)), clock, certificate) as server:
        client, wrapper = api(server.url, clock, tls_ca_cert=str(certificate))
        for _ in range(3):
            assert client.get('x').json() == {'value': 1}
        assert isinstance(wrapper.session.get_adapter(f'{server.url}/x'), Transport)
        # The toolkit's own is still there, for other addresses.
        assert not isinstance(wrapper.session.get_adapter('https://other.example/'), Transport)
    assert server.accepted == 1


def test_the_certificate_is_verified_for_the_host_header(clock, tmp_path):
    certificate = wire.certificate_of('service.example', tmp_path)
    with serving(wire.answering(wire.value(1)), clock, certificate) as server:
        options = {'tls_ca_cert': str(certificate), 'headers': {'Host': 'service.example'}}
        client, _ = api(server.url, clock, tls_use_host_header=True, **options)
        assert client.get('x').json() == {'value': 1}
        other, _ = api(server.url, clock, **options)
        with pytest.raises(Exception, match='certificate'):
            other.get('x')


@pytest.mark.parametrize('named', [True, False])
def test_intermediate_certificates(clock, tmp_path, named):
    """They are named in the option, or found by the toolkit where the certificate says so."""
    authority = wire.Authority(tmp_path)
    with serving(wire.answering(authority.intermediate_answer), clock) as publisher:
        certificate = authority.leaf(f'http://{publisher.host}/intermediate.der')
        with serving(wire.answering(wire.value(1)), clock, certificate) as server:
            known = {'tls_intermediate_ca_certs': [authority.intermediate]} if named else {}
            client, _ = api(server.url, clock, tls_ca_cert=str(authority.root), **known)
            assert client.get('x').json() == {'value': 1}
            assert client.get('x').json() == {'value': 1}
    assert bool(publisher.heads) is not named


def test_a_root_that_the_server_itself_names_is_not_trusted(clock, tmp_path):
    """An attacker can sign a certificate, and publish the certificate that signed it."""
    authority = wire.Authority(tmp_path)
    with serving(wire.answering(authority.own_root_answer), clock) as publisher:
        certificate = authority.leaf(f'http://{publisher.host}/root.der')
        with serving(wire.answering(wire.value(1)), clock, certificate) as server:
            client, _ = api(server.url, clock)
            for _ in range(2):
                with pytest.raises(Unavailable, match='certificate'):
                    client.get('x')
    assert publisher.heads
    assert server.heads == []


def dripping_certificate(connection):
    connection.read_request()
    connection.send(b'HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n')
    connection.drip(b'', b'0')


@pytest.mark.parametrize('source', SOURCES)
def test_a_certificate_that_leads_to_a_dripping_server(source, clock, tmp_path):
    authority = wire.Authority(tmp_path)
    with serving(dripping_certificate, clock) as publisher:
        certificate = authority.leaf(f'http://{publisher.host}/intermediate.der')
        with serving(wire.answering(wire.value(1)), clock, certificate) as server:
            began = clock.monotonic()
            run = driver(source, server.url, clock, refresh_timeout=REFRESH_TIMEOUT).run()
    assert clock.monotonic() - began < ALLOWED
    assert run.status == 2
    assert server.heads == []


def test_a_second_connection_that_drips(clock, tmp_path):
    """The certificate is looked at on a connection of its own, on which the server drips."""
    authority = wire.Authority(tmp_path)
    certificate = authority.leaf('http://127.0.0.1:9/')
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def behave(connection):
        if connection.server.accepted == 1:
            connection.secure(context)
        else:
            dripping_handshake(connection)

    with serving(behave, clock) as server:
        client, _ = api(f'https://{server.host}', clock)
        with pytest.raises(TimedOut):
            client.get('x')
    assert clock.monotonic() < 2 * 90 + 20


def test_a_tunnel_through_a_proxy(clock, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def tunnel(connection):
        connection.read_request()
        connection.send(b'HTTP/1.1 200 Connection established\r\n\r\n')
        connection.secure(context)
        wire.answering(wire.value(1))(connection)

    with serving(tunnel, clock) as proxy:
        url = f'https://{wire.HOST}:1'
        client, _ = api(url, clock, proxy={'https': proxy.url}, tls_ca_cert=str(certificate))
        assert client.get('x').json() == {'value': 1}
        assert client.get('x').json() == {'value': 1}
    assert proxy.accepted == 1

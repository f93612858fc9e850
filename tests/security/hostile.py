"""A server on loopback that does whatever a broken or malicious one may do, to every request alike."""

from __future__ import annotations

import datetime
import ipaddress
import json
import socket
import ssl
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = '127.0.0.1'
MIB = 2**20
Behavior = Callable[['Handler'], None]


class Handler(BaseHTTPRequestHandler):
    """Reads a request, notes it, and hands over to the behavior."""

    protocol_version = 'HTTP/1.1'
    # Head and body are written apart: without this every answer waits 40 ms for a delayed acknowledgement.
    disable_nagle_algorithm = True
    server: Hostile

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except OSError:
            self.close_connection = True

    def handle_any(self) -> None:
        """Any method."""
        self.body = self.rfile.read(int(self.headers.get('Content-Length') or 0))
        self.server.asked.append((self.command, self.path))
        self.server.behavior(self)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = handle_any  # noqa: N815

    def echo(self) -> str:
        """All that the client sent, as a careless server shows it in its errors."""
        return f'{self.command} {self.path} {dict(self.headers)} {self.body.decode("latin-1")}'

    def reply(self, status: int, body: bytes, **headers: str) -> None:
        """A complete answer."""
        self.send_response(status, 'no')
        for name, value in headers.items():
            self.send_header(name.replace('_', '-'), value)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """The test looks at `asked`."""


class Hostile(ThreadingHTTPServer):
    """`behavior` may be exchanged at any time."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, behavior: Behavior) -> None:
        super().__init__((HOST, 0), Handler)
        self.behavior = behavior
        self.asked: list[tuple[str, str]] = []
        self.scheme = 'http'

    @property
    def url(self) -> str:
        """Its address."""
        return f'{self.scheme}://{HOST}:{self.server_port}'

    def handle_error(self, *_: Any) -> None:
        """Clients that turn away are what is wanted."""


@contextmanager
def serving(behavior: Behavior, certificate: Path | None = None) -> Iterator[Hostile]:
    """Serve, over TLS with a certificate (a PEM file with its key)."""
    server = Hostile(behavior)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        # The handshake runs in the thread of the connection.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        server.scheme = 'https'
    thread = threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def self_signed(directory: Path) -> Path:
    """A certificate for the loopback address that nobody vouches for, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, 'nobody')])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = directory / 'self-signed.pem'
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


# Behaviors.


def status(code: int, **headers: str) -> Behavior:
    """Answers so, with an error body in which all that was sent is repeated, in the words of every service."""

    def behave(handler: Handler) -> None:
        said = handler.echo()
        body = {
            'message': said,
            'error': said,
            'detail': said,
            'errors': [{'message': said, 'type': said}],
            'kind': 'Status',
            'metadata': {},
        }
        handler.reply(code, json.dumps(body).encode(), Content_Type='application/json', **headers)

    return behave


def fine_but_wrong(handler: Handler) -> None:
    """200 with errors inside that repeat everything."""
    status(200)(handler)


def not_json(handler: Handler) -> None:
    """A web page that repeats everything."""
    handler.reply(200, f'<html>{handler.echo()}</html>'.encode(), Content_Type='text/html')


def redirect(handler: Handler) -> None:
    """Elsewhere, with everything in the address."""
    handler.reply(302, b'', Location='/login?' + handler.headers.get('Authorization', '').replace(' ', '+'))


def reset(handler: Handler) -> None:
    """Hangs up unanswered."""
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


def silent(handler: Handler) -> None:
    """Waits until the client has gone."""
    handler.connection.settimeout(10)
    handler.connection.recv(1)
    handler.close_connection = True


def truncated(handler: Handler) -> None:
    """Half an answer."""
    handler.send_response(200)
    handler.send_header('Content-Length', '4000')
    handler.end_headers()
    handler.wfile.write(handler.echo().encode('latin-1', 'replace')[:100])
    handler.close_connection = True


def endless(handler: Handler) -> None:
    """Chunk after chunk of JSON, forever."""
    _chunked(handler)
    chunk = b'10000\r\n' + b'[' + b'1,' * (2**15 - 1) + b'1\r\n'
    while True:
        handler.wfile.write(chunk)


def bomb(size: int) -> Behavior:
    """Return `size` bytes of blanks, compressed by a factor of a thousand."""
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    packed = b''.join([packer.compress(b' ' * MIB) for _ in range(size // MIB)] + [packer.flush()])

    def behave(handler: Handler) -> None:
        handler.reply(200, packed, Content_Type='application/json', Content_Encoding='gzip')

    return behave


def _chunked(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header('Content-Type', 'application/json')
    handler.send_header('Transfer-Encoding', 'chunked')
    handler.end_headers()

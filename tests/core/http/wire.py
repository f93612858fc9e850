"""Servers on loopback that write bytes as a test says, below any library of HTTP; and checks that read them."""

from __future__ import annotations

import datetime
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from metta_checks.testing import Clock, Driver

from ...security.instances import ADDRESS, instance

HOST = '127.0.0.1'
SOURCES = tuple(ADDRESS)
# The sources that use the HTTP wrapper of the toolkit. EC2 uses the AWS SDK.
WRAPPED = tuple(source for source in SOURCES if source != 'ec2')


class Connection:
    """A connection as the server sees it."""

    def __init__(self, server: Server, connected: socket.socket) -> None:
        self.server = server
        self.socket = connected
        self._buffer = b''

    def read_request(self) -> bytes | None:
        """Read a request with its body, and note its head. None when the client has hung up."""
        while b'\r\n\r\n' not in self._buffer:
            if not (more := self.socket.recv(65536)):
                return None
            self._buffer += more
        head, _, rest = self._buffer.partition(b'\r\n\r\n')
        length = 0
        for line in head.split(b'\r\n')[1:]:
            name, _, value = line.partition(b':')
            if name.lower() == b'content-length':
                length = int(value)
        while len(rest) < length:
            rest += self.socket.recv(65536)
        self._buffer = rest[length:]
        self.server.heads.append(head.decode('latin-1'))
        return head

    def send(self, data: bytes) -> None:
        """Write bytes."""
        self.socket.sendall(data)

    def drip(self, data: bytes, forever: bytes) -> None:
        """Write byte after byte, then another one forever. A second of the clock passes with each."""
        for position in range(1_000_000):
            self.send(data[position : position + 1] or forever)
            self.server.clock.advance(1)

    def secure(self, context: ssl.SSLContext) -> None:
        """Go on with TLS."""
        self.socket = context.wrap_socket(self.socket, server_side=True)


Behavior = Callable[[Connection], None]


class Server:
    """Calls `behavior` with each connection, in a thread of its own.

    heads: the heads of all requests, in their order
    accepted: number of connections
    """

    def __init__(self, behavior: Behavior, clock: Clock, certificate: Path | None = None) -> None:
        self.behavior = behavior
        self.clock = clock
        self.heads: list[str] = []
        self.accepted = 0
        self.url = ''
        self.port = 0
        self._context: ssl.SSLContext | None = None
        if certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate)

    @property
    def host(self) -> str:
        """Host and port."""
        return f'{HOST}:{self.port}'

    @contextmanager
    def running(self) -> Iterator[Server]:
        """Serve until the end of the block."""
        with socket.create_server((HOST, 0)) as listener:
            self.port = listener.getsockname()[1]
            self.url = f'{"http" if self._context is None else "https"}://{self.host}'
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
            yield self
            # Wakes the thread that accepts.
            listener.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connected, _ = listener.accept()
                self.accepted += 1
                threading.Thread(target=self._serve, args=(connected,), daemon=True).start()

    def _serve(self, connected: socket.socket) -> None:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(self, connected)
        with suppress(OSError):
            if self._context is not None:
                connection.secure(self._context)
            self.behavior(connection)
        with suppress(OSError):
            connection.socket.close()


@contextmanager
def serving(behavior: Behavior, clock: Clock | None = None, certificate: Path | None = None) -> Iterator[Server]:
    """Serve on loopback; over TLS with a certificate (a PEM file with its key)."""
    with Server(behavior, clock or Clock(), certificate).running() as server:
        yield server


def answering(*answers: bytes) -> Behavior:
    """Answer the requests of a connection with these, one after the other, the last one again and again."""

    def behave(connection: Connection) -> None:
        number = 0
        while connection.read_request() is not None:
            connection.send(answers[min(number, len(answers) - 1)])
            number += 1

    return behave


def answer(body: bytes = b'{}', status: str = '200 OK', *headers: str) -> bytes:
    """Return a complete answer."""
    lines = [f'HTTP/1.1 {status}', 'Content-Type: application/json', f'Content-Length: {len(body)}', *headers]
    return '\r\n'.join(lines).encode('utf-8') + b'\r\n\r\n' + body


def value(number: Any) -> bytes:
    """Return an answer that holds a value, to tell answers apart."""
    return answer(json.dumps({'value': number}).encode())


def driver(source: str, url: str, clock: Clock, **options: Any) -> Driver:
    """Return a check of a source that reads a server. It is patient: no test hangs on the speed of the machine."""
    return Driver(instance(source, url, **options), clock)


# Certificates.


def _key_and_pem() -> tuple[ec.EllipticCurvePrivateKey, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key, pem


def _builder(subject: str, issuer: str, key: ec.EllipticCurvePublicKey, *, authority: bool) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )


def certificate_of(host: str, directory: Path) -> Path:
    """Return a self-signed certificate of a host name, with its key."""
    key, pem = _key_and_pem()
    certificate = (
        _builder('service', 'service', key.public_key(), authority=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = directory / 'certificate.pem'
    path.write_bytes(pem + certificate.public_bytes(serialization.Encoding.PEM))
    return path


class Authority:
    """A root, an intermediate certificate, and leaves whose server does not send the intermediate one.

    root: a file with the root
    intermediate: the intermediate certificate in PEM
    intermediate_answer: an answer with it, in DER
    own_root_answer: an answer with a root that nobody trusts, of the same name and key
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        root_key, _ = _key_and_pem()
        self._key, _ = _key_and_pem()
        root = _builder('root', 'root', root_key.public_key(), authority=True).sign(root_key, hashes.SHA256())
        middle = _builder('middle', 'root', self._key.public_key(), authority=True).sign(root_key, hashes.SHA256())
        self.root = directory / 'root.pem'
        self.root.write_bytes(root.public_bytes(serialization.Encoding.PEM))
        self.intermediate = middle.public_bytes(serialization.Encoding.PEM).decode()
        own = _builder('middle', 'middle', self._key.public_key(), authority=True).sign(self._key, hashes.SHA256())
        self.own_root_answer = answer(own.public_bytes(serialization.Encoding.DER))
        self.intermediate_answer = answer(middle.public_bytes(serialization.Encoding.DER))

    def leaf(self, issuer_url: str) -> Path:
        """Return a certificate of the loopback address, with its key, that says where its issuer is published."""
        key, pem = _key_and_pem()
        published = x509.AccessDescription(
            x509.AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier(issuer_url)
        )
        address = x509.IPAddress(ipaddress.ip_address(HOST))
        certificate = (
            _builder('leaf', 'middle', key.public_key(), authority=False)
            .add_extension(x509.SubjectAlternativeName([address]), critical=False)
            .add_extension(x509.AuthorityInformationAccess([published]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        path = self._directory / 'leaf.pem'
        path.write_bytes(pem + certificate.public_bytes(serialization.Encoding.PEM))
        return path

"""Intermediate certificates that a server does not send, fetched from where its certificate says.

The toolkit does this, too, but without a limit of time, and it trusts every certificate that it finds: a server whose
certificate names a root of its own would pass the verification. Here, only certificates that need an issuer are taken,
so that the chain must still end in a root of the user.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
import urllib3

if TYPE_CHECKING:
    from cryptography import x509

# Certificates between a server and a root. Public chains have one or two.
MAX_INTERMEDIATES = 4
MAX_CERTIFICATE_BYTES = 64 * 2**10
# OpenSSL: no certificate of the issuer, of the server's certificate or of one after it.
MISSING_ISSUER = frozenset({20, 21})


def complete(context: ssl.SSLContext, error: BaseException, url: str, pools: urllib3.PoolManager) -> bool:
    """Add the missing certificates to a context after an error of TLS. Returns False when nothing was added.

    Parameters:
        context: verifies the server at `url`
        error: the error of the connection
        pools: make the connections; they hold the deadline
    """
    if _verify_code(error) not in MISSING_ISSUER:
        return False
    try:
        found = list(_chain(url, pools))
    except (OSError, ValueError, urllib3.exceptions.HTTPError):
        return False
    if found:
        # An intermediate certificate alone must not end a chain.
        context.verify_flags &= ~ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(cadata='\n'.join(found))
    return bool(found)


def _verify_code(error: BaseException | None) -> int:
    """Return OpenSSL's code in the innermost error, 0 without one."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_code
        inner = getattr(error, 'reason', None) or next(iter(error.args), None)
        error = inner if isinstance(inner, BaseException) else error.__cause__ or error.__context__
    return 0


def _chain(url: str, pools: urllib3.PoolManager) -> Iterator[str]:
    """Yield the intermediate certificates of a server, in PEM, from its own issuer up."""
    # Takes a tenth of a second to import, and is hardly ever needed.
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    certificate = x509.load_der_x509_certificate(_certificate_of(url, pools))
    for _ in range(MAX_INTERMEDIATES):
        if (address := _issuer_address(certificate)) is None:
            return
        certificate = _decoded(_fetched(address, pools))
        if certificate.subject == certificate.issuer:
            # A root: the user has it, or does not trust it.
            return
        yield certificate.public_bytes(Encoding.PEM).decode('ascii')


def _certificate_of(url: str, pools: urllib3.PoolManager) -> bytes:
    """Return the certificate that a server shows, in DER. Nothing is sent to it."""
    parts = urlsplit(url)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    pool: Any = pools.connection_from_host(parts.hostname, parts.port or 443, 'https', {'ssl_context': context})
    connection = pool.ConnectionCls(pool.host, pool.port, ssl_context=context, timeout=pool.timeout.connect_timeout)
    try:
        connection.connect()
        certificate: bytes = connection.sock.getpeercert(binary_form=True)
        return certificate
    finally:
        connection.close()


def _issuer_address(certificate: x509.Certificate) -> str | None:
    from cryptography import x509

    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        return None
    addresses = [
        one.access_location.value
        for one in access
        if one.access_method == x509.AuthorityInformationAccessOID.CA_ISSUERS
        and isinstance(one.access_location, x509.UniformResourceIdentifier)
    ]
    return next((address for address in addresses if address.startswith('http://')), None)


def _fetched(address: str, pools: urllib3.PoolManager) -> bytes:
    answer = pools.request('GET', address, preload_content=False, redirect=False, retries=False, decode_content=False)
    try:
        content: bytes = answer.read(MAX_CERTIFICATE_BYTES)
    finally:
        answer.close()
    if answer.status != requests.codes.ok:
        raise ValueError(f'HTTP {answer.status}')
    return content


def _decoded(content: bytes) -> x509.Certificate:
    from cryptography import x509

    if content.startswith(b'-----BEGIN'):
        return x509.load_pem_x509_certificate(content)
    return x509.load_der_x509_certificate(content)

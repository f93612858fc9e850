"""The transport below the Agent's HTTP wrapper, for the requests of one origin (scheme, host and port).

The toolkit mounts its adapter of `https://` again with every request. Requests prefers the longest prefix, so an
adapter at the origin itself is the one in use. It has connection pools of its own, whose connections hold the bounds of
connections.py, and takes TLS from the adapter of the toolkit.
"""

from __future__ import annotations

from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth

# The toolkit imports this lazily with the first session, which fails when two threads do so at the same time.
from requests_unixsocket import UnixAdapter  # noqa: F401  # loaded here, while the import lock is held

from . import intermediates
from .body import read_body
from .connections import KeptConnections, bounded


class OwnCredentials(AuthBase):
    """Credentials of the URL, or none.

    Without an object of this kind, requests takes a user and a password from ~/.netrc, in place of the configured
    token.
    """

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the credentials to a request."""
        username, password = requests.utils.get_auth_from_url(request.url or '')
        return HTTPBasicAuth(username, password)(request) if username or password else request


class NotTrusted(requests.exceptions.ConnectionError):
    """An error of TLS. It is not one of requests' SSLError: after those, the toolkit looks for certificates itself."""


class Transport(HTTPAdapter):
    """Sends requests, and reads answers to their end within the bounds.

    Raises RefusedAnswer for an answer that breaks one, and the errors of requests.
    """

    def __init__(self, session: requests.Session, *, tls_use_host_header: bool) -> None:
        self._session = session
        self._tls_use_host_header = tls_use_host_header
        self.connections = KeptConnections(self.close)
        super().__init__()

    # The interface of requests.

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Create the pools."""
        super().init_poolmanager(*args, **kwargs)
        _bound(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        """Return the pools for a proxy."""
        manager = super().proxy_manager_for(proxy, **proxy_kwargs)
        _bound(manager)
        return manager

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        """Return the key of a pool: the host, and the context that the toolkit has made of the options of TLS."""
        host, default = super().build_connection_pool_key_attributes(request, verify, cert)
        context = self._tls_context()
        tls: dict[str, Any] = {**default} if context is None else {'ssl_context': context}
        if self._tls_use_host_header and 'Host' in request.headers:
            tls['assert_hostname'] = request.headers['Host']
        return host, tls

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Prepare a pool for TLS, unless the context of the toolkit says it all."""
        if self._tls_context() is None:
            super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]  # in the stubs of requests

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Send a request. The answer is complete: no other layer reads from the connection."""
        try:
            return self._complete(request, *args, **kwargs)
        except requests.exceptions.SSLError as error:
            context = self._tls_context()
            if context is None or not intermediates.complete(context, error, request.url or '', self.poolmanager):
                raise NotTrusted(error, request=request) from error
        try:
            return self._complete(request, *args, **kwargs)
        except requests.exceptions.SSLError as error:
            raise NotTrusted(error, request=request) from error

    def _complete(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        answer = super().send(request, *args, **kwargs)
        answer._content = _content(answer)
        answer._content_consumed = True  # type: ignore[attr-defined]  # private: there is no other way to give it a body
        return answer

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """Return an answer that requests does not take for a redirect; http.py follows those, by `raw.headers`."""
        answer = super().build_response(req, resp)
        answer.headers.pop('Location', None)
        return answer

    def _tls_context(self) -> Any:
        return getattr(self._session.adapters.get('https://'), 'ssl_context', None)


def mounted(http: Any, origin: str) -> Transport:
    """Return the transport of an origin (`https://host:port/`) in the session of a wrapper."""
    session: requests.Session = http.session
    transport = session.adapters.get(origin)
    if not isinstance(transport, Transport):
        transport = Transport(session, tls_use_host_header=http.tls_use_host_header)
        session.mount(origin, transport)
    return transport


def _bound(manager: Any) -> None:
    manager.pool_classes_by_scheme = bounded(manager.pool_classes_by_scheme)


def _content(answer: requests.Response) -> bytes:
    try:
        return read_body(answer.raw, answer.headers.get('Content-Encoding', ''))
    except urllib3.exceptions.ReadTimeoutError as error:
        raise requests.exceptions.ReadTimeout(error, request=answer.request) from error
    except (urllib3.exceptions.ProtocolError, urllib3.exceptions.SSLError) as error:
        # An error of TLS at this point does not concern certificates.
        raise requests.exceptions.ChunkedEncodingError(error, request=answer.request) from error
    finally:
        # Hangs up unless the answer was read to its end.
        answer.raw.close()

"""Connection to Datadog's API: host, keys, timeouts, retries and proxy, for every client in this project."""

from __future__ import annotations

import urllib.request
from collections.abc import Mapping
from urllib.parse import urlsplit

from datadog_api_client import Configuration
from datadog_api_client.rest import ClientRetry

LOOPBACK = ('127.0.0.1', '::1', 'localhost')
ATTEMPTS = 4
# Seconds to connect, and to wait for an answer.
TIMEOUT = (10, 60)


class UnusableSetting(Exception):
    """A key or host that cannot be right; one line that names the variable. Never holds a key."""


class Retry(ClientRetry):
    """The client's retry policy, with fewer retries for requests that create an object.

    A request can fail after the object was created. Therefore only a 429, after which nothing was created, is retried.
    """

    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:
        """Return whether a request is repeated after an answer with this status."""
        if method == 'POST' and status_code != 429:
            return False
        return bool(super().is_retry(method, status_code, has_retry_after))  # type: ignore[no-untyped-call]  # not typed


def configure(
    keys: Mapping[str, str], *, site: str = '', url: str = '', attempts: int = ATTEMPTS, backoff: float = 1.0
) -> Configuration:
    """Return the client's configuration, without the keys, which are only validated.

    `keys` are by the name of their variable; `site` and `url` are DD_SITE and DD_URL, where DD_URL takes precedence;
    `backoff` is the first wait before a retry, in seconds. Raises UnusableSetting.
    """
    for variable, key in keys.items():
        if not key.isascii() or not key.isprintable() or key != key.strip():
            raise UnusableSetting(
                f'{variable} holds characters that are not part of a key; check for line breaks and spaces'
            )
    configuration = Configuration()
    # Debug output of the client would contain the keys.
    configuration.debug = False
    configuration.request_timeout = TIMEOUT
    if url:
        configuration.host = _checked(url)
    elif site:
        configuration.server_variables['site'] = site
    try:
        host = configuration.host
    except ValueError as error:
        raise UnusableSetting(
            f'DD_SITE is {site!r}, which is not a Datadog site; use for example datadoghq.com or datadoghq.eu, '
            'or set DD_URL to another host'
        ) from error
    # A redirect is an answer like any other: whoever is named in it must not get the keys.
    configuration.retry_policy = Retry(
        total=attempts - 1, redirect=False, backoff_factor=backoff, raise_on_status=False
    )
    configuration.proxy = _proxy(host)
    return configuration


def is_redirect(status: int) -> bool:
    """Return whether an answer with this status names another address; 304 does not."""
    return 300 <= status < 400 and status != 304


def _checked(url: str) -> str:
    """Return DD_URL without a trailing slash. Raises UnusableSetting for a URL that keys must not be sent to."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ''
    except ValueError:
        host = ''
    if not host or parts.scheme not in ('https', 'http') or parts.username or parts.query or parts.fragment:
        raise UnusableSetting('DD_URL: expected a URL such as https://api.datadoghq.com')
    if parts.scheme == 'http' and host not in LOOPBACK:
        raise UnusableSetting(f'DD_URL: http://{host} would send the keys unencrypted; use https')
    return url.rstrip('/')


def _proxy(host: str) -> str | None:
    """Return the proxy that the environment names for this host."""
    parts = urlsplit(host)
    if parts.hostname in LOOPBACK or urllib.request.proxy_bypass(parts.hostname or ''):
        return None
    return urllib.request.getproxies().get(parts.scheme)

"""How Datadog's API is reached: the place, the keys, timeouts, repetitions, proxy. For all that speaks to it."""

from __future__ import annotations

import urllib.request
from collections.abc import Mapping
from urllib.parse import urlsplit

from datadog_api_client import Configuration
from datadog_api_client.rest import ClientRetry

LOOPBACK = ('127.0.0.1', '::1', 'localhost')
ATTEMPTS = 4
# To connect and to wait for an answer, seconds.
TIMEOUT = (10, 60)


class UnusableSetting(Exception):
    """A key or place that cannot be right; one line that names the variable. Never holds a key."""


class Retry(ClientRetry):
    """The client's retries, with fewer of them for requests that create something.

    A failure may come after the object was made, so only a refusal for too many requests, which makes nothing, is
    repeated.
    """

    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:
        """Return whether a request is repeated after an answer with this status."""
        if method == 'POST' and status_code != 429:
            return False
        return bool(super().is_retry(method, status_code, has_retry_after))  # type: ignore[no-untyped-call]  # not typed


def configure(
    keys: Mapping[str, str], *, site: str = '', url: str = '', attempts: int = ATTEMPTS, backoff: float = 1.0
) -> Configuration:
    """The client's configuration, without the keys, which are only looked at.

    `keys` are by the name of their variable; `site` and `url` are DD_SITE and DD_URL, of which the second prevails;
    `backoff` is the first wait before a repetition in seconds. Raises UnusableSetting.
    """
    for variable, key in keys.items():
        if not key.isascii() or not key.isprintable() or key != key.strip():
            raise UnusableSetting(f'{variable} holds characters that no key has; check for line breaks and spaces')
    configuration = Configuration()
    # Debugging output of the client would hold the keys.
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
            f'DD_SITE is {site!r}, which is no Datadog site; use for example datadoghq.com or datadoghq.eu, '
            'or give another place as DD_URL'
        ) from error
    configuration.retry_policy = Retry(total=attempts - 1, backoff_factor=backoff, raise_on_status=False)
    configuration.proxy = _proxy(host)
    return configuration


def _checked(url: str) -> str:
    """DD_URL without a slash at its end. Raises UnusableSetting when it is no place to send keys to."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ''
    except ValueError:
        host = ''
    if not host or parts.scheme not in ('https', 'http') or parts.username or parts.query or parts.fragment:
        raise UnusableSetting('DD_URL: expected something like https://api.datadoghq.com')
    if parts.scheme == 'http' and host not in LOOPBACK:
        raise UnusableSetting(f'DD_URL: http://{host} would send the keys unencrypted; use https')
    return url.rstrip('/')


def _proxy(host: str) -> str | None:
    """The proxy that the environment names for this host."""
    parts = urlsplit(host)
    if parts.hostname in LOOPBACK or urllib.request.proxy_bypass(parts.hostname or ''):
        return None
    return urllib.request.getproxies().get(parts.scheme)

"""Addresses of HTTP interfaces, and links to them."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

import requests
from datadog_checks.base import ConfigurationError

from .text import one_line

DEFAULT_PORTS = {'http': 80, 'https': 443}
_CREDENTIALS = re.compile('//[^/]*@')


class NotAnAddress(ValueError):
    """A text that is not the URL of an HTTP interface. The text says why."""


class Address:
    """The URL of an interface, which all its requests begin with.

    Attributes:
        url: the URL, without a slash at its end
        origin: its scheme, host and port as requests writes them, with a slash at the end

    Raises NotAnAddress.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip('/')
        try:
            self._parts = urlsplit(self.url)
            self._origin = _origin(self._parts)
            # Raises UnicodeError for a host that no name server can know.
            self._origin[1].encode('idna')
            prepared = requests.PreparedRequest()
            prepared.prepare_url(self.url, None)
            written = urlsplit(prepared.url or '')
        except (ValueError, requests.RequestException) as error:
            raise NotAnAddress('it is not a URL') from error
        if self._parts.scheme not in DEFAULT_PORTS:
            raise NotAnAddress('it must begin with https:// (or http://)')
        if not url.isprintable() or ' ' in url:
            raise NotAnAddress('it has a blank or a control character in it')
        if self._parts.query or self._parts.fragment:
            raise NotAnAddress('it has a query or a fragment')
        self.origin = f'{written.scheme}://{written.netloc}/'

    def join(self, path: str) -> str:
        """Return the URL of a path below the address, or of an absolute URL of the same origin.

        Raises NotAnAddress for a URL of another origin, and for one that cannot be read.
        """
        try:
            link = urlsplit(path)
            if not (link.scheme and '://' in path):
                return f'{self.url}/{path.lstrip("/")}' if path else self.url
            elsewhere = _origin(link) != self._origin
        except ValueError as error:
            raise NotAnAddress('it is not a URL') from error
        if elsewhere:
            raise NotAnAddress('it leads to another host')
        # Credentials in a link are left out; those of the address are kept.
        query = f'?{link.query}' if link.query else ''
        return f'{self._parts.scheme}://{self._parts.netloc}{link.path or "/"}{query}'


def configured(url: str, service: str) -> Address:
    """Return the address of a service in the configuration. Raises ConfigurationError."""
    try:
        return Address(url)
    except NotAnAddress as error:
        shown = _CREDENTIALS.sub('//', one_line(url, 100))
        raise ConfigurationError(f'`{shown}` cannot be the address of {service}: {error}') from None


def shown(url: str) -> str:
    """Return the scheme, host, port and path of a URL, without credentials and query."""
    parts = urlsplit(url)
    return f'{parts.scheme}://{place(url)}{parts.path}'


def place(url: str) -> str:
    """Return host and port of a URL, for messages: without the user and the password that may stand before them."""
    try:
        return urlsplit(url).netloc.rpartition('@')[2]
    except ValueError:
        return 'an address that cannot be read'


def _origin(parts: SplitResult) -> tuple[str, str, int]:
    """Return scheme, host and port. Raises ValueError for a port out of range, and without a host."""
    if not parts.hostname:
        raise ValueError('no host')
    return parts.scheme, parts.hostname, parts.port or DEFAULT_PORTS.get(parts.scheme, 0)

"""Removal of secrets from messages, log lines with their tracebacks, events and the snapshot.

A secret is found unchanged and in its encoded forms: URL-encoded, escaped in JSON, in the base64 of a Basic header. The
beginning of a long secret is found, too, because a text may have been cut in the middle of it.
"""

from __future__ import annotations

import base64
import json
import logging
import threading
from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urlsplit
from weakref import WeakSet

REDACTED = '********'
# A shorter text is not a secret, and would be found everywhere.
SHORTEST = 4
# A secret of at least LONG characters is also recognized by its first HEAD characters.
LONG = 16
HEAD = 8
# Number of renewed tokens that are remembered: the tokens of the last hours.
RENEWED = 16
# Bytes of a file that are not valid text can be searched, too.
ERRORS = 'surrogatepass'
# Options of the Agent's HTTP wrapper.
HTTP_OPTIONS = ('password', 'tls_private_key_password', 'ntlm_domain_password', 'kerberos_keytab_password')
# The filters of a logger do not apply to the records of its child loggers, so each one is named.
HTTP_LOGGERS = ('urllib3.connection', 'urllib3.connectionpool', 'urllib3.poolmanager', 'urllib3.util.retry')
HEADER_OPTIONS = ('headers', 'extra_headers')


class Scrubber:
    """The secrets of one instance. Threads may add secrets while others scrub."""

    def __init__(self) -> None:
        self._lasting: tuple[str, ...] = ()
        self._renewed: tuple[tuple[str, ...], ...] = ()
        self._lock = threading.Lock()

    def add(self, secret: str) -> None:
        """Add a secret of the configuration."""
        with self._lock:
            self._lasting = tuple(sorted({*self._lasting, *forms(secret)}, key=len, reverse=True))

    def add_renewed(self, secret: str) -> None:
        """Add a token that will be renewed. Only the newest RENEWED tokens are kept."""
        found = tuple(forms(secret))
        with self._lock:
            if found not in self._renewed:
                self._renewed = (*self._renewed, found)[-RENEWED:]

    def _known(self) -> list[str]:
        return [*self._lasting, *(secret for renewed in self._renewed for secret in renewed)]

    def scrub_document(self, text: str) -> str:
        """Return a stored document without the long secrets that it contains in full.

        Short secrets and beginnings stay: a password may be a word that also occurs in names of metrics.
        """
        for secret in self._known():
            if len(secret) >= LONG:
                text = text.replace(secret, REDACTED)
        return text

    def scrub(self, text: str) -> str:
        """Return a text for people, without the secrets."""
        known = self._known()
        # Tokens of one kind begin alike. One pass for all of them finds the longest match.
        by_head: dict[str, list[str]] = {}
        for secret in known:
            if len(secret) >= LONG:
                by_head.setdefault(secret[:HEAD], []).append(secret)
        for head, alike in by_head.items():
            text = _without(text, head, alike)
        for secret in known:
            if len(secret) < LONG:
                text = text.replace(secret, REDACTED)
        return text


class LogFilter(logging.Filter):
    """Removes secrets from the records of the loggers that all instances share, and from their tracebacks."""

    def __init__(self) -> None:
        super().__init__()
        self._scrubbers: WeakSet[Scrubber] = WeakSet()
        self._lock = threading.Lock()
        self._formatter = logging.Formatter()

    def add(self, scrubber: Scrubber) -> None:
        """Remove the secrets of a scrubber as long as it exists."""
        with self._lock:
            self._scrubbers.add(scrubber)

    def scrubbers(self) -> list[Scrubber]:
        """Return the scrubbers that exist now."""
        # Another thread may add one, and a set must not change while it is iterated.
        with self._lock:
            return list(self._scrubbers)

    def filter(self, record: logging.LogRecord) -> bool:
        """Scrub the record. Always return True."""
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            # The arguments do not fit the message: the handler reports that.
            return True
        if record.exc_info and not record.exc_text:
            record.exc_text = self._formatter.formatException(record.exc_info)
        for scrubber in self.scrubbers():
            message = scrubber.scrub(message)
            record.exc_text = scrubber.scrub(record.exc_text) if record.exc_text else record.exc_text
        record.msg, record.args = message, ()
        return True


LOG_FILTER = LogFilter()


def filter_logs(logger: logging.Logger, scrubber: Scrubber) -> None:
    """Remove the secrets of an instance from a logger and from the loggers of the HTTP libraries.

    The HTTP libraries log addresses at level DEBUG.
    """
    for one in (logger, *map(logging.getLogger, HTTP_LOGGERS)):
        one.addFilter(LOG_FILTER)
    LOG_FILTER.add(scrubber)


def forms(secret: str) -> Iterator[str]:
    """Yield the forms in which a secret may occur. Each line of a text of several lines (a private key) is a secret."""
    for line in secret.splitlines():
        line = line.strip()
        if len(line) < SHORTEST or line.startswith('-----'):
            continue
        yield from dict.fromkeys(
            (
                line,
                quote(line, safe='', errors=ERRORS),
                quote(line, errors=ERRORS),
                quote_plus(line, errors=ERRORS),
                json.dumps(line)[1:-1],
            )
        )


def of_instance(instance: Mapping[str, Any], options: Iterable[str]) -> Iterator[str]:
    """Yield the secrets of an instance: in the named options, in options of the HTTP wrapper and in addresses."""
    named = [str(instance[option]) for option in (*options, *HTTP_OPTIONS) if instance.get(option)]
    yield from named
    user = instance.get('username')
    for secret in named:
        # The form that Basic authentication sends, with the user name, or with the user name of W&B.
        for name in {str(user or ''), 'api'}:
            yield _basic(name, secret)
    for option in HEADER_OPTIONS:
        headers = instance.get(option)
        for value in headers.values() if isinstance(headers, Mapping) else ():
            # `Bearer x` and `x` alone.
            yield from {str(value), str(value).rpartition(' ')[2]}
    yield from _of_handler(instance.get('auth_token'))
    for value in instance.values():
        yield from _of_addresses(value)


def _basic(user: str, password: str) -> str:
    return base64.b64encode(f'{user}:{password}'.encode(errors=ERRORS)).decode()


def _of_handler(value: Any) -> Iterator[str]:
    """Yield the secrets in the option `auth_token`, which are recognized by the names of their keys."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if isinstance(item, str) and any(
                word in str(key).lower() for word in ('secret', 'password', 'token_value')
            ):
                yield item
            yield from _of_handler(item)


def _of_addresses(value: Any) -> Iterator[str]:
    """Yield the passwords in addresses (`https://user:password@host`), also inside the option `proxy`."""
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _of_addresses(item)
    elif isinstance(value, str) and '://' in value and '@' in value:
        try:
            parts = urlsplit(value)
            user, password = parts.username or '', parts.password
        except ValueError:
            return
        # A token may be given alone, in place of the user.
        for secret in filter(None, (password, None if password else user)):
            yield secret
            yield unquote(secret)
            yield _basic(unquote(user), unquote(secret))


def _without(text: str, head: str, secrets: Iterable[str]) -> str:
    """Return the text without these secrets and their beginnings. All of them begin with `head`."""
    at = text.find(head)
    while at >= 0:
        end = at + max(_common(text[at : at + len(secret)], secret) for secret in secrets)
        text = f'{text[:at]}{REDACTED}{text[end:]}'
        at = text.find(head, at + len(REDACTED))
    return text


def _common(text: str, secret: str) -> int:
    """Return the length of the common prefix."""
    if text == secret:
        return len(secret)
    return next(index for index, pair in enumerate(zip_longest(text, secret)) if pair[0] != pair[1])

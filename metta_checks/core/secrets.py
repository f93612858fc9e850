"""Keeps secrets out of whatever is shown: messages, log lines with their tracebacks, events, the snapshot.

A secret is looked for as it is and in the forms it takes on its way: URL-encoded, escaped in JSON, in the base64 of a
Basic header; and also when a text was cut off in the middle of it.
"""

from __future__ import annotations

import base64
import json
import logging
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urlsplit
from weakref import WeakSet

REDACTED = '********'
# Anything shorter is no secret, and would be found everywhere.
SHORTEST = 4
# Of a secret that is this long, so much of its beginning is recognized.
LONG = 16
HEAD = 8
# Renewed tokens that are remembered: those of the last hours.
RENEWED = 16
# Whatever stands in a file can be looked for, also what is no valid text.
ERRORS = 'surrogatepass'
# Options of the Agent's HTTP wrapper.
HTTP_OPTIONS = ('password', 'tls_private_key_password', 'ntlm_domain_password', 'kerberos_keytab_password')
# A filter of a logger is not asked for the records of the loggers below it: they are named one by one.
HTTP_LOGGERS = ('urllib3.connection', 'urllib3.connectionpool', 'urllib3.poolmanager', 'urllib3.util.retry')
HEADER_OPTIONS = ('headers', 'extra_headers')


class Scrubber:
    """The secrets of one instance."""

    def __init__(self) -> None:
        self._lasting: list[str] = []
        self._renewed: deque[list[str]] = deque(maxlen=RENEWED)

    def add(self, secret: str) -> None:
        """A secret of the configuration."""
        self._lasting = sorted({*self._lasting, *forms(secret)}, key=len, reverse=True)

    def add_renewed(self, secret: str) -> None:
        """A token that will be followed by others, so that the oldest are forgotten."""
        found = list(forms(secret))
        if found not in self._renewed:
            self._renewed.append(found)

    def _known(self) -> list[str]:
        return [*self._lasting, *(secret for renewed in self._renewed for secret in renewed)]

    def scrub_document(self, text: str) -> str:
        """A document that is read back, without the secrets that stand in it whole.

        Short ones and beginnings are left alone: a password may be a word that names of metrics hold, too.
        """
        for secret in self._known():
            if len(secret) >= LONG:
                text = text.replace(secret, REDACTED)
        return text

    def scrub(self, text: str) -> str:
        """A text for people, without the secrets."""
        known = self._known()
        # Tokens of a kind begin alike: together, or one would be cut off where it parts from another.
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
    """Scrubs the records of the logger that all instances share; the toolkit leaves tracebacks as they are."""

    def __init__(self) -> None:
        super().__init__()
        self.scrubbers: WeakSet[Scrubber] = WeakSet()
        self._formatter = logging.Formatter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Always lets the record pass."""
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            # Wrong arguments: the handler says so in its own way.
            return True
        if record.exc_info and not record.exc_text:
            record.exc_text = self._formatter.formatException(record.exc_info)
        for scrubber in list(self.scrubbers):
            message = scrubber.scrub(message)
            record.exc_text = scrubber.scrub(record.exc_text) if record.exc_text else record.exc_text
        record.msg, record.args = message, ()
        return True


LOG_FILTER = LogFilter()


def watch(logger: logging.Logger, scrubber: Scrubber) -> None:
    """Scrub the secrets of an instance from a logger and from those of the HTTP libraries.

    The latter log addresses at level DEBUG.
    """
    for one in (logger, *map(logging.getLogger, HTTP_LOGGERS)):
        one.addFilter(LOG_FILTER)
    LOG_FILTER.scrubbers.add(scrubber)


def forms(secret: str) -> Iterator[str]:
    """A secret as it may turn up. Of a text of several lines (a private key), each line is one."""
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
    """The secrets of an instance: the named options, and what the HTTP wrapper's options and any address may hold."""
    named = [str(instance[option]) for option in (*options, *HTTP_OPTIONS) if instance.get(option)]
    yield from named
    user = instance.get('username')
    for secret in named:
        # As Basic authentication sends it: with the user's name, or with W&B's.
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
    """Secrets of the option `auth_token`, whose parts say what they are by name."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if isinstance(item, str) and any(
                word in str(key).lower() for word in ('secret', 'password', 'token_value')
            ):
                yield item
            yield from _of_handler(item)


def _of_addresses(value: Any) -> Iterator[str]:
    """Passwords in addresses: `https://user:password@host`, also inside the option `proxy`."""
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _of_addresses(item)
    elif isinstance(value, str) and '://' in value and '@' in value:
        try:
            parts = urlsplit(value)
            user, password = parts.username or '', parts.password
        except ValueError:
            return
        # A token may stand alone in the place of the user.
        for secret in filter(None, (password, None if password else user)):
            yield secret
            yield unquote(secret)
            yield _basic(unquote(user), unquote(secret))


def _without(text: str, head: str, secrets: Iterable[str]) -> str:
    """The text without these secrets, and beginnings of them, which all begin with `head`."""
    at = text.find(head)
    while at >= 0:
        end = at + max(_common(text[at : at + len(secret)], secret) for secret in secrets)
        text = f'{text[:at]}{REDACTED}{text[end:]}'
        at = text.find(head, at + len(REDACTED))
    return text


def _common(text: str, secret: str) -> int:
    """How many characters both begin with."""
    if text == secret:
        return len(secret)
    return next(index for index, pair in enumerate(zip_longest(text, secret)) if pair[0] != pair[1])

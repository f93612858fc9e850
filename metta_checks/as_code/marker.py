"""Who manages an object: a line in its description (dashboard, SLO) or message (monitor) that names namespace and key.

Datadog offers no field of our own that all three kinds share, and tags of dashboards are limited to teams. The line is
written last; it is found on any line of its own, so that text which somebody appends in the browser does not orphan
the object (and a second one is created).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from .asset import AssetError

DEFAULT_NAMESPACE = 'default'
PREFIX = 'managed by metta-checks: '
# The field that carries the line.
FIELDS = {'slo': 'description', 'monitor': 'message', 'dashboard': 'description'}
_NAME = r'[A-Za-z0-9][A-Za-z0-9._-]*'
_LINE = re.compile(rf'^[ \t]*{re.escape(PREFIX)}({_NAME})/({_NAME})[ \t]*\r?$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Marker:
    """What the line says."""

    namespace: str
    key: str

    def __str__(self) -> str:
        return f'{PREFIX}{self.namespace}/{self.key}'


def check_name(what: str, name: str) -> str:
    """The namespace or key, when a marker can hold it. Raises AssetError."""
    if not re.fullmatch(_NAME, name):
        raise AssetError(
            f'{what} {name!r}: only letters, digits, dots, hyphens and underscores, no hyphen or dot first'
        )
    return name


def find(text: str | None) -> Marker | None:
    """The marker in a text; the last, should there be several; None without one."""
    found = _LINE.findall(text or '')
    return Marker(*found[-1]) if found else None


def strip(text: str | None) -> str:
    """The text without marker lines and outer white space, which Datadog does not keep."""
    return _LINE.sub('', text or '').strip()


def attach(kind: str, body: dict[str, Any], marker: Marker) -> dict[str, Any]:
    """The body with the marker as the last line of its text."""
    field = FIELDS[kind]
    text = strip(body.get(field))
    return {**body, field: f'{text}\n\n{marker}' if text else str(marker)}


def of(kind: str, body: dict[str, Any]) -> Marker | None:
    """The marker of an object as Datadog holds it."""
    text = body.get(FIELDS[kind])
    return find(text) if isinstance(text, str) else None

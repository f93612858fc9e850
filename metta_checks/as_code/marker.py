"""Marker of the managing tool: a line with namespace and key in an object's description or message.

Datadog has no custom field that all three kinds share, and tags of dashboards are limited to teams. The marker is
written as the last line; it is found on any line of its own, so that text appended in the browser does not orphan the
object (which would then be created a second time).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from .asset import AssetError

DEFAULT_NAMESPACE = 'default'
PREFIX = 'managed by metta-checks: '
# Field that holds the marker.
FIELDS = {'slo': 'description', 'monitor': 'message', 'dashboard': 'description'}
_NAME = r'[A-Za-z0-9][A-Za-z0-9._-]*'
# Datadog appends recipients that people add to the last line.
_LINE = re.compile(rf'^[ \t]*{re.escape(PREFIX)}({_NAME})/({_NAME})(?=[ \t\r]*$|[ \t]+[@{{])', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Marker:
    """Namespace and key of a managed object."""

    namespace: str
    key: str

    def __str__(self) -> str:
        return f'{PREFIX}{self.namespace}/{self.key}'


def check_name(what: str, name: str) -> str:
    """Return the namespace or key, when a marker can hold it. Raises AssetError."""
    if not re.fullmatch(_NAME, name):
        raise AssetError(
            f'{what} {name!r}: only letters, digits, dots, hyphens and underscores, no hyphen or dot first'
        )
    return name


def find(text: str | None) -> Marker | None:
    """Return the marker in a text (the last of several), None without one."""
    found = _LINE.findall(text or '')
    return Marker(*found[-1]) if found else None


def strip(text: str | None) -> str:
    """Return the text without marker lines and surrounding white space, which Datadog does not keep."""
    return _LINE.sub('', text or '').strip()


def attach(kind: str, body: dict[str, Any], marker: Marker) -> dict[str, Any]:
    """Return the body with the marker as the last line of its text."""
    field = FIELDS[kind]
    text = strip(body.get(field))
    return {**body, field: f'{text}\n\n{marker}' if text else str(marker)}


def of(kind: str, body: dict[str, Any]) -> Marker | None:
    """Return the marker of an object as stored in Datadog."""
    text = body.get(FIELDS[kind])
    return find(text) if isinstance(text, str) else None

"""The query protocol that older SDKs use for CloudWatch: form parameters in, XML out, for the same operations."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape

from .ec2_protocol import REQUEST_ID

CLOUDWATCH = '2010-08-01'
NAMESPACE = f'http://monitoring.amazonaws.com/doc/{CLOUDWATCH}/'
TIMES = ('StartTime', 'EndTime')


def body(form: Mapping[str, str]) -> dict[str, Any]:
    """Convert `A.member.1.B=x` to {'A': [{'B': 'x'}]}, the form of the JSON protocol, with times in seconds."""
    root: dict[str, Any] = {}
    for name, value in form.items():
        *path, last = name.replace('.member.', '.').split('.')
        place = root
        for part in path:
            place = place.setdefault(part, {})
        place[last] = datetime.fromisoformat(value).timestamp() if last in TIMES else value
    return {name: _lists(value) for name, value in root.items()}


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {name: _lists(one) for name, one in value.items()}
    if all(name.isdigit() for name in inner):
        return [inner[name] for name in sorted(inner, key=int)]
    return inner


def answer(operation: str, content: Mapping[str, Any]) -> str:
    """Return a complete answer."""
    return (
        f'<{operation}Response xmlns="{NAMESPACE}"><{operation}Result>{_xml(content)}</{operation}Result>'
        f'<ResponseMetadata><RequestId>{REQUEST_ID}</RequestId></ResponseMetadata></{operation}Response>'
    )


def _xml(content: Mapping[str, Any]) -> str:
    return ''.join(f'<{name}>{_value(name, value)}</{name}>' for name, value in content.items())


def _value(name: str, value: Any) -> str:
    if isinstance(value, Mapping):
        return _xml(value)
    if isinstance(value, list):
        return ''.join(f'<member>{_value(name, one)}</member>' for one in value)
    if name == 'Timestamps':
        value = datetime.fromtimestamp(value, UTC).isoformat()
    return escape(str(value))

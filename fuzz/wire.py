"""Conversion of answers to plain JSON values and back: JSON with JSON inside its strings, and XML."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

# A string that contains JSON becomes {INSIDE: value}, so that its content can be changed, too.
INSIDE = '$json'


def opened(value: Any) -> Any:
    """Return the value with every JSON text in it parsed."""
    if isinstance(value, dict):
        return {key: opened(item) for key, item in value.items()}
    if isinstance(value, list):
        return [opened(item) for item in value]
    if isinstance(value, str) and value[:1] in ('{', '['):
        try:
            return {INSIDE: opened(json.loads(value))}
        except ValueError:
            return value
    return value


def closed(value: Any) -> Any:
    """Return the value from which `opened` was made."""
    if isinstance(value, dict):
        if list(value) == [INSIDE]:
            return json.dumps(closed(value[INSIDE]))
        return {key: closed(item) for key, item in value.items()}
    return [closed(item) for item in value] if isinstance(value, list) else value


def document(content: bytes) -> Any:
    """Return an answer as a JSON value; None for an answer that is neither JSON nor XML."""
    if content.lstrip()[:1] == b'<':
        try:
            return _element(ElementTree.fromstring(content))
        except ElementTree.ParseError:
            return None
    try:
        return opened(json.loads(content))
    except ValueError:
        return None


def content(value: Any, like: bytes) -> bytes:
    """Return the content from which `document` was made, for an answer of the same kind."""
    if like.lstrip()[:1] == b'<':
        return _markup(value).encode('utf-8', 'surrogatepass')
    return json.dumps(closed(value)).encode()


def _element(element: ElementTree.Element) -> Any:
    """[tag, text] or [tag, [children]]."""
    tag = element.tag.rpartition('}')[2]
    return [tag, [_element(child) for child in element] if len(element) else element.text or '']


def _markup(value: Any) -> str:
    # Everything else is written unchanged, markup or not: answers on the wire are not always well formed.
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str):
        inside = ''.join(map(_markup, value[1])) if isinstance(value[1], list) else _text(value[1])
        return f'<{value[0]}>{inside}</{value[0]}>'
    return ''.join(map(_markup, value)) if isinstance(value, list) else _text(value)


def _text(value: Any) -> str:
    if value is None:
        return ''
    return value if isinstance(value, str) else json.dumps(value)

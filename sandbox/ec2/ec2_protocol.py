"""The query protocol of EC2: form parameters in, XML out, lists in pages."""

from __future__ import annotations

import base64
import binascii
import fnmatch
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar
from xml.sax.saxutils import escape

T = TypeVar('T')
NAMESPACE = 'http://ec2.amazonaws.com/doc/2016-11-15/'
REQUEST_ID = '59dbff89-35bd-4eac-99ed-be587EXAMPLE'


class AwsError(Exception):
    """An error that AWS answers with."""

    def __init__(self, code: str, message: str = '', status: int = 400) -> None:
        super().__init__(message or code)
        self.code = code
        self.status = status


def numbered(form: Mapping[str, str], name: str) -> list[str]:
    """Return the values of `Name.1`, `Name.2`, ... in order."""
    values: list[str] = []
    while (value := form.get(f'{name}.{len(values) + 1}')) is not None:
        values.append(value)
    return values


def filters(form: Mapping[str, str], known: Sequence[str]) -> dict[str, list[str]]:
    """Return the values of every `Filter.N.Name`. Raises AwsError for an unknown name."""
    found = {}
    number = 1
    while (name := form.get(f'Filter.{number}.Name')) is not None:
        if name not in known:
            raise AwsError('InvalidParameterValue', f'The filter {name} is invalid')
        found[name] = numbered(form, f'Filter.{number}.Value')
        number += 1
    return found


def matches(value: str, patterns: Iterable[str]) -> bool:
    """Return whether a value matches a filter of EC2. `*` and `?` are wildcards; case is significant."""
    return any(fnmatch.fnmatchcase(value, pattern) for pattern in patterns)


def page(
    items: Sequence[T], token: str | None, size: int | None, *, least: int, most: int
) -> tuple[Sequence[T], str | None]:
    """Return a page and the token of the next one; without a size, all items. Raises AwsError as EC2 does."""
    if size is not None and not least <= size <= most:
        raise AwsError('InvalidParameterValue', f'Value ( {size} ) for parameter maxResults is invalid')
    start = 0
    if token:
        try:
            start = int(base64.b64decode(token, validate=True).decode().removeprefix('from:'))
        except (ValueError, binascii.Error) as error:
            raise AwsError('InvalidNextToken', 'The token is not valid') from error
    end = len(items) if size is None else start + size
    following = base64.b64encode(f'from:{end}'.encode()).decode() if end < len(items) else None
    return items[start:end], following


def answer(operation: str, content: str, token: str | None = None) -> str:
    """Return a complete answer."""
    following = f'<nextToken>{token}</nextToken>' if token else ''
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<{operation}Response xmlns="{NAMESPACE}">'
        f'<requestId>{REQUEST_ID}</requestId>{content}{following}</{operation}Response>'
    )


def error(code: str, message: str) -> str:
    """Return an EC2 error."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error>'
        f'<Code>{code}</Code><Message>{escape(message)}</Message>'
        f'</Error></Errors><RequestID>{REQUEST_ID}</RequestID></Response>'
    )


def query_error(code: str, message: str) -> str:
    """Return an error of STS, which has a query protocol of its own."""
    return (
        '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
        f'<Code>{code}</Code><Message>{escape(message)}</Message></Error><RequestId>{REQUEST_ID}</RequestId></ErrorResponse>'
    )


def items(name: str, values: Iterable[T], render: Callable[[T], str]) -> str:
    """Return a list."""
    return f'<{name}>{"".join(f"<item>{render(value)}</item>" for value in values)}</{name}>'


def tag(name: str, value: Any) -> str:
    """Return an element, empty text for None."""
    if value is None:
        return ''
    text = value.strftime('%Y-%m-%dT%H:%M:%S.000Z') if isinstance(value, datetime) else str(value)
    return f'<{name}>{escape(text)}</{name}>'

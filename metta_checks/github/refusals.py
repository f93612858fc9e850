"""Refusals of GitHub: its own reason, and its advice. They come as a status, or as errors inside a GraphQL answer.

GitHub words its reasons freely, so that they are shown and never searched. Decisions are made by status, header, type
and code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from ..core.errors import BadPayload, Forbidden, NotFound, Rejected, SourceError
from ..core.fields import items, mapping, text
from ..core.http import Response
from ..core.text import one_line

# Names of fields and positions in lists, from the data to a part of it.
Path = tuple[str | int, ...]

# The longest known reason, about the lifetime of a token, ends with the page to change it on.
MAX_REASON = 300
MAX_PAGE = 200
NOT_FOUND = 'NOT_FOUND'
FORBIDDEN_TYPES = ('FORBIDDEN', 'INSUFFICIENT_SCOPES', 'SAML_FAILURE')
# Type or code of the error of a query for which no points are left. GitHub changed the type in 2026.
POINTS_USED_UP = ('RATE_LIMITED', 'RATE_LIMIT', 'GRAPHQL_RATE_LIMIT')
# The page on which a token is authorized, without its query, which holds a secret of the user. A page with a password
# in it is not shown.
SIGN_ON = re.compile(r'required; *url=(?P<page>https?://[^?#\s@]+)(?=[?#\s]|$)')
# The ids of the organizations that GitHub left out of an answer.
LEFT_OUT = re.compile(r'partial-results; *organizations=(?P<ids>[0-9, ]+)')


@dataclass(frozen=True, slots=True)
class GraphqlError:
    """An error in a GraphQL answer.

    Attributes:
        message: GitHub's reason
        type: its kind, such as FORBIDDEN; empty without one
        code: GitHub's code of errors that concern the whole operation; empty without one
        path: the part of the answer that it is about; empty: all of it
        extensions: further facts
    """

    message: str
    type: str
    code: str
    path: Path
    extensions: Mapping[str, Any]

    @classmethod
    def parse(cls, value: Any) -> GraphqlError:
        """Read an entry of `errors`, which may be any value."""
        entry = mapping(value) or {'message': value}
        extensions = mapping(entry.get('extensions')) or {}
        return cls(
            message=one_line(str(entry.get('message') or 'no message'), MAX_REASON),
            type=text(entry.get('type')) or '',
            code=text(extensions.get('code')) or text(entry.get('code')) or '',
            path=tuple(step if isinstance(step, int) else str(step) for step in items(entry.get('path')) or ()),
            extensions=extensions,
        )

    @property
    def means_used_up(self) -> bool:
        """Return True if no points are left for the query."""
        return self.type.upper() in POINTS_USED_UP or self.code.upper() in POINTS_USED_UP

    @property
    def is_timeout(self) -> bool:
        """Return True if the part took GitHub too long. GitHub gives such an error no type."""
        return self.message.startswith('Something went wrong')

    @property
    def needs_sign_on(self) -> bool:
        """Return True if the token is not authorized for the single sign-on of the organization."""
        return bool(self.extensions.get('saml_failure'))

    @property
    def is_forbidden(self) -> bool:
        """Return True if the credentials may not see the part."""
        return self.type in FORBIDDEN_TYPES or self.needs_sign_on

    def raised(self, said: str) -> SourceError:
        """Return the error to raise, which begins with `said` and ends with GitHub's reason."""
        return (Forbidden if self.is_forbidden else Rejected)(f'{said}: {self.message}')


@dataclass(frozen=True, slots=True)
class Refusal:
    """The body of an answer that refuses a request.

    Attributes:
        reason: GitHub's own words; empty when it says no more than the status does
        documentation: the address of the page that explains the refusal; empty without one
        errors: the errors of a GraphQL answer
        has_data: whether a GraphQL answer has data beside its errors
    """

    reason: str
    documentation: str
    errors: tuple[GraphqlError, ...]
    has_data: bool

    @classmethod
    def of(cls, response: Response) -> Refusal:
        """Read an answer. One that is not GitHub's JSON says nothing."""
        try:
            body = response.json_object()
        except BadPayload:
            return cls('', '', (), has_data=False)
        errors = tuple(map(GraphqlError.parse, items(body.get('errors')) or ()))
        message = text(body.get('message')) or ''.join(error.message for error in errors[:1])
        block = mapping(body.get('block')) or {}
        details = [text(block.get(key)) for key in ('reason', 'html_url')]
        said = [] if message == _phrase(response.status) else [message, *details]
        return cls(
            one_line(', '.join(part for part in said if part), MAX_REASON),
            text(body.get('documentation_url')) or '',
            errors,
            has_data=has_data(mapping(body.get('data'))),
        )


def with_advice(errors: Sequence[GraphqlError], advice: str) -> list[GraphqlError]:
    """Return the errors, those about single sign-on with the advice to authorize the token.

    An answer may be about several organizations. Without a mark, all errors about permissions get the advice.
    """
    if not advice:
        return list(errors)
    is_marked = any(error.needs_sign_on for error in errors)
    return [
        replace(error, message=f'{error.message}; {advice}')
        if (error.needs_sign_on if is_marked else error.is_forbidden)
        else error
        for error in errors
    ]


def has_data(data: Mapping[str, Any] | None) -> bool:
    """Return whether the data of a GraphQL answer holds more than nulls and the cost of the query."""
    return any(value is not None for key, value in (data or {}).items() if key != 'rateLimit')


def refused(response: Response) -> SourceError | None:
    """Return the error for a refusal that GitHub explains; None: the general rules decide."""
    status = response.status
    said = f'{response.request} answered HTTP {status}'
    reason, advice = Refusal.of(response).reason, sign_on(response)
    if status == HTTPStatus.FORBIDDEN:
        why = reason or 'GitHub gives no reason'
        return Forbidden(f'{said}: {why}', remedy=advice or _permission(response, reason))
    if status == HTTPStatus.NOT_FOUND and advice:
        # GitHub hides what it protects.
        return Forbidden(f'{said}: {reason}' if reason else said, remedy=advice)
    if status == HTTPStatus.NOT_FOUND and reason:
        return NotFound(f'{said}: {reason}')
    return None


def sign_on(response: Response) -> str:
    """Return the advice to authorize the token for single sign-on; empty when GitHub does not ask for it."""
    required = SIGN_ON.match(response.headers.get('X-GitHub-SSO', ''))
    return f'authorize the token for single sign-on: {one_line(required["page"], MAX_PAGE)}' if required else ''


def left_out(response: Response) -> tuple[str, ...]:
    """Return the ids of the organizations whose rows are missing until the token is authorized for their sign-on."""
    partial = LEFT_OUT.match(response.headers.get('X-GitHub-SSO', ''))
    return tuple(filter(None, (one.strip() for one in partial['ids'].split(',')))) if partial else ()


def invisible(errors: Iterable[GraphqlError], what: str, advice: str) -> SourceError:
    """Return the error for something that GraphQL answers with null.

    GitHub's reason comes first. Only without one it is not found, and `advice` says what to check.
    """
    reasons = [error for error in errors if error.type != NOT_FOUND]
    # A refusal explains more than a failure beside it.
    for error in sorted(reasons, key=lambda error: not error.is_forbidden):
        return error.raised(f'GitHub refused access to {what}' if error.is_forbidden else f'GitHub did not show {what}')
    return NotFound(f'GitHub has no {what}, or these credentials may not {advice}')


def _permission(response: Response, reason: str) -> str:
    needed = one_line(response.headers.get('X-Accepted-GitHub-Permissions', ''), 100)
    if needed:
        return f'the token or App needs the permission {needed}'
    # Of a classic token.
    accepted = one_line(response.headers.get('X-Accepted-OAuth-Scopes', ''), 100)
    if accepted and 'X-OAuth-Scopes' in response.headers:
        scopes = one_line(response.headers['X-OAuth-Scopes'], 100) or 'none'
        return f'the request needs one of the scopes {accepted}, and the token has {scopes}'
    return '' if reason else 'check the permissions of the token or App'


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ''

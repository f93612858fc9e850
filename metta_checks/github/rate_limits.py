"""GitHub's rate limits and missing permissions, as its headers and refusals state them; see docs/sources/github.md."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

from ..core.errors import BadPayload, Forbidden, RateLimited, Rejected, SourceError
from ..core.fields import text
from ..core.http import DEFAULT_WAIT_SECONDS, Response, ResponsePolicy, retry_after, whole_number
from ..core.limits import RateLimits
from ..core.text import one_line
from ..core.times import utc_time

API_VERSION = '2022-11-28'
CORE = 'core'
GRAPHQL = 'graphql'
# The reason of the error of a server that does not know API_VERSION.
OLD_SERVER = 'api_version'
MAX_SECONDARY_WAIT = 15 * 60
# The page of the organization, without its query, which holds a secret of the user.
SIGN_ON = re.compile(r'required; url=(?P<page>https://[^?\s]+)')


class RateLimitPolicy(ResponsePolicy):
    """Reads rate limits and refusals in all answers.

    The points of GraphQL and the requests of REST are two resources with a limit each. A secondary limit closes both.
    """

    def __init__(self, limits: RateLimits, clock: Callable[[], datetime], *, reserve_pct: float) -> None:
        self._limits = limits
        self._clock = clock
        self._reserve_pct = reserve_pct
        self._secondary_wait = DEFAULT_WAIT_SECONDS

    def accepted(self) -> None:
        """Begin with a short wait at the next secondary limit, because a request was accepted."""
        self._secondary_wait = DEFAULT_WAIT_SECONDS

    def observe(self, response: Response, resource: str) -> None:
        """Read the rate-limit headers; close the resource before its end, because others use the token too."""
        remaining, limit = response.headers.get('x-ratelimit-remaining'), response.headers.get('x-ratelimit-limit')
        # GitHub Enterprise Server sends them only when its limits are switched on.
        left, most = whole_number(remaining), whole_number(limit)
        if left is None or most is None:
            return
        named = _named(response, resource)
        self._limits.observe(named, remaining=left, limit=most)
        reset = _reset(response)
        if most and reset and left <= most * self._reserve_pct / 100 and response.status < 400:
            self._limits.close(
                named,
                reset,
                f'{left:.0f} of {most:.0f} {named} requests are left, which are reserved for others '
                f'(option `rate_limit_reserve_pct`): nothing is sent before {utc_time(self._limits.bounded(reset))}',
            )

    def classify(self, response: Response, resource: str) -> SourceError | None:
        """Return the error that a status means at GitHub, None when the general rules decide."""
        if response.status == 400 and b'X-GitHub-Api-Version' in response.content:
            return Rejected(
                f'{response.request}: the server does not know API version {API_VERSION}', reason=OLD_SERVER
            )
        if response.status not in (403, 429):
            return None
        return self._limited(response, resource) or _forbidden(response)

    def _limited(self, response: Response, resource: str) -> RateLimited | None:
        """Close the limited resources of an answer 403 or 429, None when it is about a permission."""
        if response.headers.get('x-ratelimit-remaining') == '0' and (reset := _reset(response)):
            return self._close('the rate limit', reset, response, _named(response, resource))
        if b'RATE_LIMITED' in response.content:
            return self.points_used_up(response)
        seconds = retry_after(response, self._clock())
        if seconds is None and _is_secondary(response):
            seconds = self._secondary_wait
            self._secondary_wait = min(2 * seconds, MAX_SECONDARY_WAIT)
        if seconds is None:
            return None
        return self._close('the secondary rate limit', self._now() + seconds, response, CORE, GRAPHQL)

    def points_used_up(self, response: Response) -> RateLimited:
        """Close GraphQL, whose error may come with any status; REST stays open."""
        until = _reset(response) or self._now() + DEFAULT_WAIT_SECONDS
        return self._close('the GraphQL rate limit', until, response, GRAPHQL)

    def _close(self, what: str, until: float, response: Response, *resources: str) -> RateLimited:
        until = self._limits.bounded(until)
        error = RateLimited(
            f'GitHub says that {what} is used up (HTTP {response.status}): nothing is sent before {utc_time(until)}',
            until=until,
        )
        for resource in resources:
            self._limits.close(resource, until, str(error))
        return error

    def _now(self) -> float:
        return self._clock().timestamp()


def _is_secondary(response: Response) -> bool:
    body = response.content.lower()
    return response.status == 429 or b'secondary rate limit' in body or b'abuse' in body


def _forbidden(response: Response) -> Forbidden:
    parts = (_reason(response), _remedy(response))
    return Forbidden(f'{response.request} answered HTTP 403: {"; ".join(part for part in parts if part)}')


def _reason(response: Response) -> str:
    """Return GitHub's own reason of a refusal, empty without one."""
    try:
        return one_line(text(response.json_object().get('message')) or '', 200)
    except BadPayload:
        return ''


def _remedy(response: Response) -> str:
    sign_on = SIGN_ON.match(response.headers.get('X-GitHub-SSO', ''))
    if sign_on:
        return f'authorize the token for single sign-on: {one_line(sign_on["page"], 200)}'
    needed = one_line(response.headers.get('X-Accepted-GitHub-Permissions', ''), 100)
    return f'the token or App needs the permission {needed}' if needed else 'the token or App lacks a permission'


def _named(response: Response, resource: str) -> str:
    """Return the resource that GitHub counted a request against."""
    named = response.headers.get('x-ratelimit-resource', resource)
    return named if named in (CORE, GRAPHQL) else resource


def _reset(response: Response) -> float | None:
    return whole_number(response.headers.get('x-ratelimit-reset'))

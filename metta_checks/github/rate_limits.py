"""GitHub's rate limits, as its headers and refusals state them; see docs/sources/github.md."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

from ..core.errors import RateLimited, Rejected, SourceError
from ..core.http import DEFAULT_WAIT_SECONDS, Response, ResponsePolicy, retry_after, whole_number
from ..core.limits import RateLimits
from ..core.times import utc_time
from .refusals import Refusal, refused

API_VERSION = '2022-11-28'
CORE = 'core'
GRAPHQL = 'graphql'
# The reason of the error of a server that does not know API_VERSION.
OLD_SERVER = 'api_version'
MAX_SECONDARY_WAIT = 15 * 60
# The pages of GitHub's documentation about its limits. The page of the endpoint `/rate_limit` is not among them.
LIMITS_PAGE = re.compile(r'rate-limits|#rate-limiting$')
# Some secondary limits have no mark at all but these words: https://github.com/hub4j/github-api/issues/2009
LIMITS_WORDS = 'exceeded a secondary rate limit'


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
        reset = whole_number(response.headers.get('x-ratelimit-reset'))
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
        if response.status in (403, 429) and (limit := self._limit(response, resource)) is not None:
            return limit
        return refused(response)

    def reason(self, response: Response) -> str:
        """Return GitHub's own words."""
        return Refusal.of(response).reason

    def limit_inside(self, response: Response) -> RateLimited | None:
        """Return the error for a GraphQL answer with status 200 that asks to wait, None for any other answer."""
        # Nothing else is read twice.
        if b'"errors"' in response.content or b'"documentation_url"' in response.content:
            return self._limit(response, GRAPHQL)
        return None

    def _limit(self, response: Response, resource: str) -> RateLimited | None:
        """Close the limited resources of an answer that asks to wait. None for any other refusal."""
        said = Refusal.of(response)
        # An answer with data is worth more than the header that says that it was the last one.
        is_refused = response.status >= 400 or not said.has_data
        # An answer that names no time, or one that has passed, does not say how long to wait.
        seconds = retry_after(response.headers, self._clock()) or None if is_refused else None
        points = any(error.means_used_up for error in said.errors)
        is_used_up = is_refused and whole_number(response.headers.get('x-ratelimit-remaining')) == 0
        if not (points or is_used_up or seconds or (is_refused and _is_secondary(response, said))):
            return None
        waits: dict[str, float] = {}
        if seconds:
            waits = dict.fromkeys((CORE, GRAPHQL), self._now() + seconds)
        if is_used_up or (points and not seconds):
            named = _named(response, GRAPHQL if points else resource)
            waits[named] = max(waits.get(named, 0), self._reset(response) or self._now() + DEFAULT_WAIT_SECONDS)
        if not waits:
            waits = dict.fromkeys((CORE, GRAPHQL), self._now() + self._next_secondary_wait())
        kind = 'GraphQL rate limit' if points else 'rate limit' if is_used_up else 'secondary rate limit'
        return self._close(kind, response, waits, resource)

    def _next_secondary_wait(self) -> float:
        seconds = self._secondary_wait
        self._secondary_wait = min(2 * seconds, MAX_SECONDARY_WAIT)
        return seconds

    def _close(self, kind: str, response: Response, waits: dict[str, float], resource: str) -> RateLimited:
        """Close the resources; return the error for the one that the request was sent to."""
        errors = {}
        for closed, until in waits.items():
            until = self._limits.bounded(until)
            errors[closed] = RateLimited(
                f'GitHub says that the {kind} is used up (HTTP {response.status}): '
                f'nothing is sent before {utc_time(until)}',
                until=until,
            )
            self._limits.close(closed, until, str(errors[closed]))
        return errors.get(resource) or max(errors.values(), key=lambda error: error.until)

    def _reset(self, response: Response) -> float | None:
        """Return the time at which GitHub counts from 0 again, None when that has passed by this machine's clock."""
        reset = whole_number(response.headers.get('x-ratelimit-reset'))
        return reset if reset is not None and reset > self._now() else None

    def _now(self) -> float:
        return self._clock().timestamp()


def _is_secondary(response: Response, said: Refusal) -> bool:
    """Return whether a refusal that names no time is a secondary limit."""
    return (
        response.status == 429
        or 'gh-limited-by' in response.headers
        or bool(LIMITS_PAGE.search(said.documentation))
        or LIMITS_WORDS in said.reason.lower()
    )


def _named(response: Response, resource: str) -> str:
    """Return the resource that GitHub counted a request against."""
    named = response.headers.get('x-ratelimit-resource', resource)
    return named if named in (CORE, GRAPHQL) else resource

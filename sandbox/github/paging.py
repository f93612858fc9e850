"""Pages of REST lists, and times among the parameters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from werkzeug.wrappers import Request

from .access import Refused

MAX_PAGE = 100


class Page:
    """A page of a list, with links to the others."""

    def __init__(self, request: Request, total: int, *, size: int = 30, largest: int = MAX_PAGE) -> None:
        self._request = request
        self.size = max(1, min(number_of(request, 'per_page', size), largest))
        self.number = max(1, number_of(request, 'page', 1))
        self.total = total
        self.last = max(1, -(-total // self.size))

    @property
    def places(self) -> range:
        """The positions of the rows of the page."""
        start = (self.number - 1) * self.size
        return range(min(start, self.total), min(start + self.size, self.total))

    def headers(self) -> dict[str, str]:
        """Return the Link header; none for a single page."""
        targets: dict[str, int] = {}
        if self.number > 1:
            targets.update(prev=self.number - 1, first=1)
        if self.number < self.last:
            targets.update(next=self.number + 1, last=self.last)
        links = [f'<{link(self._request, page=number)}>; rel="{name}"' for name, number in targets.items()]
        return {'Link': ', '.join(links)} if links else {}


def link(request: Request, **changes: Any) -> str:
    """Return the address of the request with other parameters."""
    return f'{request.base_url}?{urlencode({**request.args.to_dict(), **changes})}'


def number_of(request: Request, name: str, default: int) -> int:
    """Return a number among the parameters; `default` for another text."""
    text = request.args.get(name, '')
    return int(text) if text.isdigit() else default


def parse_created(text: str) -> tuple[datetime | None, datetime | None]:
    """Parse a `created` filter as a closed range: `a..b`, `>=a`, `>a`, `<=b`, `<b`, `a` (equality).

    A date without an operator means equality, as on GitHub: midnight of that day.
    """
    if '..' in text:
        low, high = text.split('..', 1)
        return (None if low == '*' else time_of(low)), (None if high == '*' else time_of(high, end=True))
    second = timedelta(seconds=1)
    for operator, range_of in (
        ('>=', lambda value: (time_of(value), None)),
        ('<=', lambda value: (None, time_of(value, end=True))),
        ('>', lambda value: (time_of(value) + second, None)),
        ('<', lambda value: (None, time_of(value) - second)),
    ):
        if text.startswith(operator):
            return range_of(text.removeprefix(operator))
    return time_of(text), time_of(text)


def time_of(text: str, *, end: bool = False) -> datetime:
    """Parse a time among the parameters; with `end`, a date is its last second. Raises Refused."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(422, 'Validation Failed') from None
    if end and len(text) == len('2026-01-01'):
        moment += timedelta(days=1, seconds=-1)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

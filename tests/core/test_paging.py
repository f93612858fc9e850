"""The one loop over pages: it ends, asks for nothing twice, and stops where it is told to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metta_checks.core.errors import BadPayload, Unavailable
from metta_checks.core.paging import Page, pages

REPEATED = 'Example sent the same page twice'
CURSORS = st.sampled_from(['a', 'b', 'c', 'd', 'e', ''])
# Any function from the cursor of a page to the cursor that is on it; None: the first page, and no further one.
SERVICES = st.dictionaries(st.none() | CURSORS, CURSORS)
STARTS = st.none() | CURSORS


class Service:
    """Pages that each hold their own cursor as their only row."""

    def __init__(self, following: Mapping[str | None, str]) -> None:
        self.following = following
        self.asked: list[str | None] = []

    def fetch(self, cursor: str | None) -> Page[str | None]:
        assert len(self.asked) < 20, 'the list never ends'
        self.asked.append(cursor)
        return Page([cursor], cursor=self.following.get(cursor))

    def pages(self, start: str | None = None, limit: int | None = None) -> Iterator[Page[str | None]]:
        return pages(self.fetch, start, repeated=REPEATED, limit=limit)


def read(service: Service, start: str | None = None, limit: int | None = None) -> tuple[list[str | None], str]:
    """The rows that were read, and the error that ended the list (or '')."""
    rows: list[str | None] = []
    try:
        for page in service.pages(start, limit):
            rows += page.rows
    except BadPayload as error:
        return rows, str(error)
    return rows, ''


def test_a_list_of_one_page():
    service = Service({})
    assert read(service) == ([None], '')
    assert service.asked == [None]


def test_a_list_is_read_to_its_end():
    service = Service({None: 'a', 'a': 'b'})
    assert read(service) == ([None, 'a', 'b'], '')


def test_a_list_goes_on_from_a_cursor():
    service = Service({None: 'a', 'a': 'b', 'b': 'c'})
    assert read(service, 'b') == (['b', 'c'], '')
    assert service.asked == ['b', 'c']


@pytest.mark.parametrize('start', [None, 'a'])
def test_a_cursor_that_does_not_move(start):
    service = Service({None: 'a', 'a': 'a'})
    # The page that leads back is left out.
    assert read(service, start) == ([None] if start is None else [], REPEATED)


def test_a_cycle():
    service = Service({None: 'a', 'a': 'b', 'b': 'c', 'c': 'a'})
    assert read(service) == ([None, 'a', 'b'], REPEATED)


def test_a_page_is_fetched_when_the_one_before_is_consumed():
    service = Service({None: 'a', 'a': 'b'})
    listed = service.pages()
    assert service.asked == []
    next(listed)
    assert service.asked == [None]
    next(listed)
    assert service.asked == [None, 'a']


def test_the_last_page_before_the_limit_tells_that_there_are_more():
    service = Service({None: 'a', 'a': 'b'})
    *_, last = service.pages(limit=2)
    assert last.cursor == 'b'
    assert service.asked == [None, 'a']


def test_errors_of_the_service_pass_through():
    def fetch(cursor: str | None) -> Page[int]:
        raise Unavailable('away')

    with pytest.raises(Unavailable, match='away'):
        list(pages(fetch, repeated=REPEATED))


@given(SERVICES, STARTS)
def test_every_list_ends_and_no_page_is_asked_for_twice(following, start):
    service = Service(following)
    rows, error = read(service, start)
    assert len(set(service.asked)) == len(service.asked)
    assert rows == (service.asked[:-1] if error else service.asked)
    last = following.get(service.asked[-1])
    assert (last in service.asked) if error else (last is None)


@given(SERVICES, STARTS, st.integers(0, 8))
def test_a_limit_shortens_the_list_and_changes_nothing_else(following, start, limit):
    whole, limited = Service(following), Service(following)
    rows, error = read(whole, start)
    some, some_error = read(limited, start, limit)
    assert limited.asked == whole.asked[:limit]
    assert some == rows[:limit]
    assert some_error == (error if len(whole.asked) <= limit else '')

"""Documents of stored dataclasses: the same after a round trip, refused when they are of another shape."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import NoneType
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metta_checks.check import SOURCES
from metta_checks.core import stored
from metta_checks.testing import Driver
from sandbox.every_option import every_option


class Row(NamedTuple):
    name: str
    number: float | None


@stored.stored
class Inner:
    words: tuple[str, ...]


@stored.stored
class Outer:
    rows: tuple[Row, ...]
    inner: Inner | None
    seen: dict[str, float]
    read_at: datetime | None
    ids: frozenset[str]
    count: int = 0


ROWS = st.builds(Row, st.text(), st.none() | st.floats(allow_nan=False, allow_infinity=False))
OUTERS = st.builds(
    Outer,
    st.lists(ROWS, max_size=3).map(tuple),
    st.none() | st.builds(Inner, st.lists(st.text(), max_size=3).map(tuple)),
    st.dictionaries(st.text(), st.floats(0, 2e9), max_size=3),
    st.none() | st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)),
    st.frozensets(st.text(), max_size=3),
    st.integers(0, 9),
)


@given(OUTERS)
def test_what_is_stored_is_read_back(outer):
    assert stored.load(Outer, json.loads(stored.dumps(outer))) == outer


@pytest.mark.parametrize(
    'change',
    [
        {'more': 1},
        {'rows': None},
        {'seen': []},
        {'inner': {'words': [], 'other': 1}},
        {'rows': [['a']]},
        {'count': 'x'},
        {'read_at': 'noon'},
    ],
)
def test_another_shape_is_refused(change):
    document: dict[str, object] = {'rows': [['a', 1.0]], 'inner': None, 'seen': {}, 'read_at': None, 'ids': []}
    assert stored.load(Outer, document) == Outer((Row('a', 1.0),), None, {}, None, frozenset())
    with pytest.raises(ValueError, match='validation error'):
        stored.load(Outer, {**document, **change})
    with pytest.raises(ValueError, match='validation error'):
        stored.load(Outer, {'rows': []})


SIZES: dict[str, dict[str, Any]] = {
    'github': {'scale': 0.05, 'runs_in_window': 30, 'prs': 12},
    'kubernetes': {'pods': 25},
    'wandb': {'scale': 0.05},
}


@pytest.mark.integration
@pytest.mark.parametrize('source', SOURCES)
def test_a_source_reads_back_what_it_remembers(serve, source):
    service = serve(source, **SIZES.get(source, {'scale': 0.1}))
    driver = Driver.of(service, **every_option(service))
    driver.run()
    service.pass_time(900)
    driver.run()
    check = driver.check
    remembered = {one.name: one.state for one in check.table if one.state is not NoneType}
    states = [(remembered[name], block.state) for (_, name), block in check.snapshot.blocks.items() if block.state]
    assert states or not remembered
    for kind, value in [(check.MEMORY, check.memory), *states]:
        assert stored.load(kind, json.loads(stored.dumps(value))) == value

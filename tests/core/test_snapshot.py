"""The snapshot as a document."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metta_checks.core.snapshot import SNAPSHOT_VERSION, Snapshot, StoredBlock
from metta_checks.core.status import Level, Problem, Status
from metta_checks.core.times import MAX_WAIT_SECONDS, TOLERANCE_SECONDS

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
gauges = st.lists(
    st.tuples(st.text(), st.floats(allow_nan=False, allow_infinity=False), st.lists(st.text(), max_size=3))
)


problems = st.builds(Problem, st.text(), st.text(), st.text(), st.text())
statuses = st.builds(Status, st.sampled_from(Level), st.lists(problems, max_size=2).map(tuple))
NOW = 1_800_000_000.0


@given(
    st.dictionaries(st.tuples(st.text(), st.text()), st.tuples(gauges, json_values, st.floats(0, NOW)), max_size=4),
    st.dictionaries(st.text(), json_values, max_size=3),
    statuses,
)
def test_a_snapshot_survives_its_document(blocks, memory, status):
    snapshot = Snapshot()
    snapshot.memory = memory
    snapshot.status = status
    snapshot.refreshed_at = 17.5
    for (subject, name), (values, state, when) in blocks.items():
        block = snapshot.block(subject, name)
        block.gauges, block.state, block.refreshed_at = values, state, when
    again = Snapshot.load(snapshot.dump(NOW), NOW)
    assert (again.memory, again.refreshed_at, again.status) == (memory, 17.5, status)
    assert again.blocks == snapshot.blocks


def document(**changes) -> str:
    values = {
        'version': SNAPSHOT_VERSION,
        'written_at': 0,
        'refreshed_at': 0,
        'duration': 0,
        'credentials': '',
        'status': {'level': 0, 'problems': []},
        'memory': {},
        'limits': {},
        'blocks': [],
    }
    return json.dumps({**values, **changes})


def block_document(**changes) -> list:
    values = {'gauges': [], 'refreshed_at': 0, 'resume_at': None, 'failures': 0, 'truncated': False, 'state': None}
    return ['', 'name', {**values, **changes}]


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('{"version":3', 'delimiter'),
        ('[]', 'not a snapshot'),
        (document(version=2), 'format 2'),
        (document(written_at=1e9), 'in the future'),
        (document(written_at=None), 'not a number'),
        (document(status={'level': 7, 'problems': []}), 'level'),
        (document(status={'level': 0}, blocks=[[1]]), 'values'),
        (document(refreshed_at=10**400), 'not a number'),
        ('{"version":3,"written_at":0}', 'refreshed_at'),
    ],
)
def test_a_document_of_another_kind_is_refused_with_the_reason(text, words):
    with pytest.raises(ValueError, match=words):
        Snapshot.load(text, now=0.0)


def test_a_block_that_was_read_in_the_future_is_cold():
    future = {'refreshed_at': TOLERANCE_SECONDS + 1, 'gauges': [['a', 1, []]], 'failures': 3, 'state': [1]}
    text = document(blocks=[block_document(**future)], refreshed_at=TOLERANCE_SECONDS + 1)
    snapshot = Snapshot.load(text, now=0.0)
    assert snapshot.blocks == {('', 'name'): StoredBlock()}
    assert snapshot.refreshed_at is None
    soon = Snapshot.load(text, now=1.0)
    assert soon.blocks['', 'name'].gauges == [('a', 1, [])]
    assert soon.refreshed_at == TOLERANCE_SECONDS + 1


def test_a_wait_ends_and_none_lasts_longer_than_a_day():
    for until, waits in ((10.0, True), (0.0, False), (MAX_WAIT_SECONDS + TOLERANCE_SECONDS + 1, False)):
        snapshot = Snapshot.load(document(blocks=[block_document(resume_at=until)]), now=0.0)
        assert snapshot.is_waiting(0.0) is waits
        assert list(snapshot.resumable(0.0)) == ([('', 'name')] if until == 0 else [])
        limited = Snapshot.load(document(limits={'core': [until, 'wait']}), now=0.0)
        assert limited.is_waiting(0.0) is waits


@pytest.mark.parametrize(('stored', 'failures'), [(3e10, 30_000_000_000), (-1e9, 0), (2, 2)])
def test_failures_are_a_count(stored, failures):
    assert Snapshot.load(document(blocks=[block_document(failures=stored)]), 0.0).block('', 'name').failures == failures

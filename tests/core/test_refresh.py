"""The snapshot as a document, and the budget."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metta_checks.core.budget import Budget
from metta_checks.core.errors import OutOfBudget
from metta_checks.core.snapshot import Snapshot
from metta_checks.testing import Clock

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
gauges = st.lists(
    st.tuples(st.text(), st.floats(allow_nan=False, allow_infinity=False), st.lists(st.text(), max_size=3))
)


@given(
    st.dictionaries(st.tuples(st.text(), st.text()), st.tuples(gauges, json_values, st.floats(0, 2e9)), max_size=4),
    st.dictionaries(st.text(), json_values, max_size=3),
)
def test_a_snapshot_survives_its_document(blocks, memory):
    snapshot = Snapshot()
    snapshot.memory = memory
    snapshot.refreshed_at = 17.5
    for (subject, name), (values, state, when) in blocks.items():
        block = snapshot.block(subject, name)
        block.gauges, block.state, block.refreshed_at = values, state, when
    again = Snapshot.load(snapshot.dump(100.0), now=100.0)
    assert (again.memory, again.refreshed_at, again.blocks) == (memory, 17.5, snapshot.blocks)


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('{"version":2', 'delimiter'),
        ('[]', 'not a snapshot'),
        ('{"version":0}', 'format 0'),
        ('{"version":2,"written_at":1e9}', 'in the future'),
        ('{"version":2,"written_at":0}', 'not a snapshot'),
        ('{"version":2,"written_at":0,"refreshed_at":0,"duration":0,"memory":{},"limits":{},"blocks":[[1]]}', 'values'),
    ],
)
def test_what_is_no_snapshot_says_why(text, words):
    with pytest.raises(ValueError, match=words):
        Snapshot.load(text, now=0.0)


def test_a_budget_counts_and_ends():
    budget = Budget(Clock())
    budget.start(60, requests=2)
    budget.spend()
    budget.spend()
    with pytest.raises(OutOfBudget, match='ran out of requests'):
        budget.spend()
    assert budget.requests == 2
    budget.cap(3)
    budget.spend()
    assert budget.requests == 3
    with pytest.raises(OutOfBudget, match='3 per refresh'):
        budget.spend()
    budget.start(0)
    with pytest.raises(OutOfBudget, match='ran out of time'):
        budget.spend()
    assert budget.seconds_left() == 0

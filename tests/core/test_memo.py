"""Learned values: fresh, usable, forgotten; and what was seen lately."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from metta_checks.core.memo import Ages, Learned, Memo, Sightings, fingerprint
from metta_checks.core.stored import dumps, load
from metta_checks.core.times import TOLERANCE_SECONDS

AGES = Ages(fresh=100, usable=1000)


def memo(*, learned: Memo[float | None] | None = None, now: float = 0.0) -> Memo[float | None]:
    return Memo({} if learned is None else learned.learned, now, AGES)


def test_a_value_is_asked_for_again_after_its_time_and_usable_for_longer():
    first = memo()
    first.put(('a', 'b'), 1.5)
    assert list(memo(learned=first, now=50.0).stale([('a', 'b'), ('c', 'd')])) == [('c', 'd')]
    later = memo(learned=first, now=100.0)
    assert list(later.stale([('a', 'b')])) == [('a', 'b')]
    assert later.get(('a', 'b')) == Learned(1.5, 0.0)
    assert memo(learned=first, now=1001.0).get(('a', 'b')) is None


def test_a_refresh_a_little_early_asks_again_too():
    assert Learned(1, 0.0).is_fresh(98.9, AGES)
    assert not Learned(1, 0.0).is_fresh(99.0, AGES)


def test_what_is_known_to_be_missing_is_not_asked_for_again():
    first = memo()
    first.put(('a',), None)
    assert list(first.stale([('a',)])) == []
    assert ('a',) in first
    assert ('b',) not in first


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_a_clock_set_back_makes_a_value_unusable(written, read):
    learned, ages = Learned(1, written), Ages(fresh=10, usable=1e12)
    assert learned.is_usable(read, ages) == (read >= written - TOLERANCE_SECONDS)
    assert not (read < written - TOLERANCE_SECONDS and learned.is_fresh(read, ages))


def test_a_sighting_of_the_future_is_forgotten():
    assert Sightings({'a': 100.0 + TOLERANCE_SECONDS, 'b': 1e9}).joined([], 100.0, keep=50).last == {
        'a': 100.0 + TOLERANCE_SECONDS
    }


def test_learned_values_are_stored_with_their_type():
    kind = dict[str, Learned[tuple[float, ...] | None]]
    values = {'a': Learned((1.0, 2.0), 5.0), 'b': Learned(None, 6.0)}
    assert load(kind, json.loads(dumps(values))) == values


def test_what_is_not_seen_any_more_is_forgotten_after_a_while():
    first = Sightings().joined(['l4', 'a100'], 0.0, keep=100)
    second = first.joined(['l4'], 60.0, keep=100)
    assert second.last == {'l4': 60.0, 'a100': 0.0}
    assert second.joined([], 100.0, keep=100).last == {'l4': 60.0}
    assert first.last == {'l4': 0.0, 'a100': 0.0}


def test_fingerprints_tell_keys_apart():
    assert fingerprint('a') == fingerprint('a') != fingerprint('b')

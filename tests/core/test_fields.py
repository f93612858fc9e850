"""Readers of fields: one table of values, a column per reader, and properties over any JSON value."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metta_checks.core import fields
from metta_checks.core.errors import BadPayload
from metta_checks.core.fields import Contract

READERS: tuple[Callable[[Any], Any], ...] = (
    fields.text,
    fields.integer,
    fields.number,
    fields.amount,
    fields.decimal,
    fields.flag,
    fields.moment,
    fields.timestamp,
    fields.day,
    fields.mapping,
    fields.items,
    fields.objects,
)
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
# The readers that take a value, and what they return. Every other reader returns None for it.
TAKEN: tuple[tuple[Any, dict[str, Any]], ...] = (
    (None, {}),
    ('', {}),
    ('x', {'text': 'x'}),
    (' ', {'text': ' '}),
    ('3', {'text': '3', 'decimal': 3.0}),
    ('0.3100', {'text': '0.3100', 'decimal': 0.31}),
    ('-1e2', {'text': '-1e2', 'decimal': -100.0}),
    ('1e999', {'text': '1e999'}),
    ('NaN', {'text': 'NaN'}),
    ('true', {'text': 'true'}),
    (True, {'flag': True}),
    (False, {'flag': False}),
    (1, {'integer': 1, 'number': 1.0, 'amount': 1.0, 'flag': True}),
    (0, {'integer': 0, 'number': 0.0, 'amount': 0.0, 'flag': False}),
    (3, {'integer': 3, 'number': 3.0, 'amount': 3.0}),
    (-3, {'integer': -3, 'number': -3.0}),
    (3.0, {'integer': 3, 'number': 3.0, 'amount': 3.0}),
    (0.5, {'number': 0.5, 'amount': 0.5}),
    (-0.5, {'number': -0.5}),
    (math.nan, {}),
    (math.inf, {}),
    (-math.inf, {}),
    (2**63 - 1, {'integer': 2**63 - 1, 'number': 2.0**63, 'amount': 2.0**63}),
    (-(2**63), {'integer': -(2**63), 'number': -(2.0**63)}),
    (2**63, {'number': 2.0**63, 'amount': 2.0**63}),
    (1e20, {'number': 1e20, 'amount': 1e20}),
    (1e300, {}),
    (1.7e308, {}),
    (10**400, {}),
    ('2026-11-24T12:00:00Z', {'text': '2026-11-24T12:00:00Z', 'moment': NOON, 'timestamp': NOON.timestamp()}),
    ({}, {'mapping': {}}),
    ({'a': 1}, {'mapping': {'a': 1}}),
    ([], {'items': [], 'objects': []}),
    ([1, None], {'items': [1, None]}),
    ([{}, None], {'items': [{}, None]}),
    ([{'a': 1}], {'items': [{'a': 1}], 'objects': [{'a': 1}]}),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
SERVICE = Contract('Acme', 'is there a proxy in between?')


@pytest.mark.parametrize('read', READERS, ids=lambda read: read.__name__)
@pytest.mark.parametrize(('value', 'taken'), TAKEN, ids=lambda value: repr(value)[:30])
def test_a_reader_takes_its_type_and_nothing_else(read, value, taken):
    found = read(value)
    expected = taken.get(read.__name__)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ('value', 'expected'),
    [
        ('2026-11-24T12:00:00.123Z', NOON.replace(microsecond=123000)),
        ('2026-11-24T12:00:00', NOON),
        ('2026-11-24T14:00:00+02:00', NOON),
        ('2026-11-24', NOON.replace(hour=0)),
        ('yesterday', None),
        ('0001-01-01T00:00:00+23:00', None),
        ('9999-12-31T23:59:59-14:00', None),
    ],
)
def test_moments_are_aware_utc(value, expected):
    assert fields.moment(value) == expected
    assert fields.timestamp(value) == (expected and expected.timestamp())


@pytest.mark.parametrize(
    ('value', 'expected'), [('2026-11-24', date(2026, 11, 24)), ('2026-02-30', None), ('2026-11-24T12:00:00Z', None)]
)
def test_days(value, expected):
    assert fields.day(value) == expected


@given(JSON, st.sampled_from(READERS))
def test_a_reader_returns_its_type_or_none_for_any_value(value, read):
    kinds = {
        'text': str, 'integer': int, 'number': float, 'amount': float, 'decimal': float, 'flag': bool,
        'moment': datetime, 'timestamp': float, 'day': date, 'mapping': dict, 'items': list, 'objects': list,
    }  # fmt: skip
    found = read(value)
    assert found is None or type(found) is kinds[read.__name__]


@given(st.lists(st.integers() | st.floats(), max_size=20))
def test_sums_of_numbers_are_finite(values):
    known = [found for value in values if (found := fields.number(value)) is not None]
    assert math.isfinite(math.fsum(known))


@given(st.integers(-(2**63), 2**63 - 1))
def test_integers_survive_json(value):
    assert fields.integer(json.loads(json.dumps(value))) == value


@given(st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))
def test_moments_survive_text(value):
    assert fields.moment(value.isoformat()) == value


class TestContract:
    @pytest.mark.parametrize('row', [{}, {'size': None}, {'size': ''}])
    def test_an_optional_field_may_be_missing(self, row):
        assert SERVICE.optional(fields.integer, row, 'size') is None
        assert SERVICE.part(row, 'size') == {}
        assert SERVICE.parts(row, 'size') == []

    @pytest.mark.parametrize('row', [{}, {'size': None}, {'size': ''}])
    def test_a_required_field_may_not(self, row):
        with pytest.raises(BadPayload, match=r'^Acme sent one volume without size: is there a proxy in between\?$'):
            SERVICE.required(fields.integer, row, 'size', 'volume')

    def test_values_of_the_type(self):
        row = {'size': 0, 'name': 'x', 'owner': {'id': 1}, 'tags': [{'key': 'a'}]}
        assert SERVICE.required(fields.integer, row, 'size') == 0
        assert SERVICE.optional(fields.text, row, 'name') == 'x'
        assert SERVICE.part(row, 'owner') == {'id': 1}
        assert SERVICE.parts(row, 'tags') == [{'key': 'a'}]

    def test_a_value_of_another_type(self):
        with pytest.raises(BadPayload, match=r'^Acme sent size as str: is there a proxy'):
            SERVICE.optional(fields.integer, {'size': '3'}, 'size')
        with pytest.raises(BadPayload, match='size as float'):
            SERVICE.required(fields.integer, {'size': 0.5}, 'size')
        with pytest.raises(BadPayload, match='owner as list'):
            SERVICE.part({'owner': []}, 'owner')
        with pytest.raises(BadPayload, match='tags as list'):
            SERVICE.parts({'tags': [{}, None]}, 'tags')

    def test_without_a_hint(self):
        with pytest.raises(BadPayload, match=r'^Acme sent one object without size$'):
            Contract('Acme').required(fields.integer, {}, 'size')

    @given(st.dictionaries(st.sampled_from(['a', 'b']), JSON), st.sampled_from(READERS))
    def test_a_contract_raises_nothing_but_bad_payload(self, row, read):
        try:
            found = SERVICE.optional(read, row, 'a')
        except BadPayload:
            assert row['a'] is not None
        else:
            assert found == read(row.get('a'))

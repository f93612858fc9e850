"""Quantities, against the official client's own parser."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.utils.quantity import parse_quantity as official

from metta_checks.kubernetes.quantity import BadQuantity, parse_quantity

pytestmark = pytest.mark.unit

DECIMAL = ['n', 'u', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E']
BINARY = ['Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei']


@pytest.mark.parametrize(
    ('text', 'number'),
    [
        ('0', 0),
        ('250m', 0.25),
        ('0.5', 0.5),
        ('.5', 0.5),
        ('5.', 5),
        ('+2', 2),
        ('1500M', 1_500_000_000),
        ('1Ti', 2**40),
        ('2k', 2000),
        ('100m', 0.1),
        ('1e9', 1e9),
        ('1E9', 1e9),
        ('12e6', 12e6),
        ('12e-3', 0.012),
        ('1e+3', 1000),
        ('1E', 1e18),
        ('128974848', 128974848),
        ('64532Ki', 64532 * 1024),
        ('123456789n', 0.123456789),
        ('7u', 7e-6),
        ('0.1Gi', 0.1 * 2**30),
        (3, 3),
        (0.5, 0.5),
    ],
)
def test_notations_of_users(text, number):
    assert parse_quantity(text) == number


@pytest.mark.parametrize(
    'text',
    [
        '', ' ', 'NaN', 'nan', 'inf', 'Infinity', '-1', '-0.5Gi', '1K', '1mi', '1ki', '5e3m', '1_000', '1 Gi', ' 1',
        '1\n', '1.2.3', '.', 'm', 'Ki', 'i', 'e3', '1e', '1e-', '1e+-3', '1e-+3', '1e1.5', '1e999', '0x10', '++1',
        '\u0661', '1\u00b2', None, True, -1, float('nan'), float('inf'), [], {},
    ],
)  # fmt: skip
def test_values_that_are_not_quantities(text):
    with pytest.raises(BadQuantity):
        parse_quantity(text)


plain = st.decimals(min_value=0, max_value=10**12, allow_nan=False, allow_infinity=False, places=3).map(
    lambda number: format(number, 'f')
)


@given(number=plain, suffix=st.sampled_from(DECIMAL + BINARY))
def test_agrees_with_the_official_client(number, suffix):
    text = number + suffix
    assert parse_quantity(text) == pytest.approx(float(official(text)), rel=1e-15, abs=0)


@given(number=st.integers(0, 10**9), letter=st.sampled_from('eE'), power=st.integers(-9, 15))
def test_agrees_on_exponents(number, letter, power):
    text = f'{number}{letter}{power}'
    assert parse_quantity(text) == float(official(text))


@given(number=st.integers(0, 10**15), suffix=st.sampled_from(DECIMAL))
def test_decimal_suffixes_are_rounded_once(number, suffix):
    exact = Decimal(number).scaleb({'n': -9, 'u': -6, 'm': -3, '': 0}.get(suffix, 3 * 'kMGTPE'.find(suffix) + 3))
    assert parse_quantity(f'{number}{suffix}') == float(exact)


@given(text=st.text(alphabet='0123456789.eE+-_ numkKMGTPEi', max_size=8))
def test_never_anything_but_a_number_or_a_refusal(text):
    try:
        number = parse_quantity(text)
    except BadQuantity:
        return
    assert number >= 0
    assert number == pytest.approx(float(official(text)))

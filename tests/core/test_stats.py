from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metta_checks.core import stats

numbers = st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=50)


@pytest.mark.parametrize(
    ('values', 'percent', 'expected'),
    [
        (range(1, 11), 99, 9.91),
        (range(1, 11), 90, 9.1),
        ([1, 2], 50, 1.5),
        ([5], 99, 5),
        (range(1, 10), 50, 5),
        ([], 50, None),
    ],
)
def test_percentile(values, percent, expected):
    assert stats.percentile(values, percent) == (None if expected is None else pytest.approx(expected))


@given(numbers, st.floats(0, 100))
def test_percentile_lies_between_the_extremes_and_ignores_order(values, percent):
    result = stats.percentile(values, percent)
    assert min(values) <= result <= max(values)
    assert result == stats.percentile(reversed(values), percent)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40))
def test_percentiles_agree_with_the_standard_library(values):
    # The library interpolates by division, which is exact only up to rounding.
    for ours, theirs in zip(
        [stats.percentile(values, 10 * n) for n in range(1, 10)],
        statistics.quantiles(values, n=10, method='inclusive'),
        strict=True,
    ):
        assert ours == pytest.approx(theirs, abs=1e-6)


@given(numbers)
def test_mean_lies_between_the_extremes(values):
    assert min(values) - 1e-3 <= stats.mean(values) <= max(values) + 1e-3


def test_unknown_is_none():
    assert stats.mean([]) is None
    assert stats.ratio(1, 0) is None
    assert stats.percentage(0, 0) is None
    assert stats.summary([], ['avg', 'min', 'max', 'p50']) == dict.fromkeys(['avg', 'min', 'max', 'p50'])


def test_summary():
    assert stats.summary([3, 1, 2], ['avg', 'min', 'max', 'p50', 'p90']) == {
        'avg': 2,
        'min': 1,
        'max': 3,
        'p50': 2,
        'p90': pytest.approx(2.8),
    }


@given(st.dictionaries(st.text(min_size=1, max_size=3), st.integers(0, 1000), max_size=20), st.integers(1, 10))
def test_top_keeps_the_total(values, limit):
    result = stats.top(values, limit)
    assert math.isclose(sum(result.values()), sum(values.values()))
    assert len(result) <= limit + 1


def test_top_sums_the_rest():
    assert stats.top({'a': 1, 'b': 5, 'c': 3, 'd': 1}, 2) == {'b': 5, 'c': 3, 'other': 2}

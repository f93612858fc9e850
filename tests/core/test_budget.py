"""The time and the requests of a refresh."""

from __future__ import annotations

import pytest

from metta_checks.core.budget import Budget
from metta_checks.core.errors import OutOfBudget
from metta_checks.testing import Clock


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

"""Figures that the check reads over several refreshes: the check says which ones, until it has read all of them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from metta_checks.core import catalog
from metta_checks.core.budget import Budget
from metta_checks.core.catalog import UndeclaredMetric
from metta_checks.core.errors import OutOfBudget, Unavailable
from metta_checks.core.refresh import Attempt, Refresh, RefreshContext
from metta_checks.core.snapshot import Snapshot
from metta_checks.testing import Clock

KEY = ('', 'jobs')
CATALOG = catalog.parse("""
source: demo
prefix: metta.demo.
tags: {}
metrics:
  - {name: jobs.open, block: jobs, description: Open jobs.}
  - {name: jobs.done, block: jobs, description: Jobs that ended., type: count}
  - {name: nodes.ready, block: nodes, description: Ready nodes.}
""")
ALL = frozenset({'jobs.open', 'jobs.done'})


def attempt(snapshot: Snapshot, read: Callable[[Attempt[Any]], object]) -> frozenset[str]:
    """Refresh the block with this reading; return the metrics that are unfinished afterwards."""
    clock = Clock()
    context = RefreshContext(snapshot, CATALOG, Budget(clock), logging.getLogger('unfinished'), 900)
    Refresh(context, now=clock.now(), full=True).attempt(KEY, {}, read)
    return snapshot.block(*KEY).unfinished


def raises(error: Exception) -> Callable[[Attempt[Any]], object]:
    def read(_: Attempt[Any]) -> object:
        raise error

    return read


def test_a_block_names_them_until_it_has_read_the_rest():
    snapshot = Snapshot()
    assert attempt(snapshot, lambda one: one.unfinished(['jobs.open'])) == {'jobs.open'}
    assert attempt(snapshot, lambda one: one.unfinished()) == ALL
    assert attempt(snapshot, lambda one: None) == frozenset()


def test_a_crawl_that_goes_on_leaves_the_whole_block_unfinished():
    assert attempt(Snapshot(), lambda one: one.resume()) == ALL
    assert attempt(Snapshot(), raises(OutOfBudget('no requests are left'))) == ALL


def test_other_failures_change_nothing():
    snapshot = Snapshot()
    assert attempt(snapshot, raises(Unavailable('HTTP 503'))) == frozenset()
    attempt(snapshot, lambda one: one.unfinished(['jobs.done']))
    # The figures of the part are still shown.
    assert attempt(snapshot, raises(Unavailable('HTTP 503'))) == {'jobs.done'}


def test_a_block_names_metrics_of_its_own_only():
    clock = Clock()
    context = RefreshContext(Snapshot(), CATALOG, Budget(clock), logging.getLogger('unfinished'), 900)
    one: Attempt[Any] = Attempt(Refresh(context, now=clock.now(), full=True), '', 'jobs', None, {})
    with pytest.raises(UndeclaredMetric, match=r'block jobs has no metrics nodes\.ready'):
        one.unfinished(['jobs.open', 'nodes.ready'])

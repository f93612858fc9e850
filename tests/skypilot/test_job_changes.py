"""Endings, recoveries and waiting times from one refresh to the next."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from metta_checks.core import stored
from metta_checks.skypilot import job_changes

from .build import HOUR, NOW, ended, queue, record

pytestmark = pytest.mark.unit


def follow(state, now, *records, **answer):
    """Compare at NOW plus some seconds with a history that was stored as JSON, as between two processes."""
    if state is not None:
        state = stored.load(job_changes.QueueHistory, json.loads(stored.dumps(state)))
    changes = job_changes.compare(queue(*records, **answer), state, NOW + timedelta(seconds=now))
    return changes, changes.history


def ids(changes):
    return sorted(job.id for job in changes.finished)


class TestFinished:
    def test_nothing_on_a_cold_refresh(self):
        changes, _ = follow(None, 0, ended(1, 'FAILED', 0.1), record(2))
        assert ids(changes) == []
        assert changes.recoveries == {}

    def test_each_job_once(self):
        _, state = follow(None, 0, record(1), record(2), ended(3, 'SUCCEEDED', 0.5))
        now = 300
        rows = [ended(1, 'FAILED', -0.05), record(2), ended(3, 'SUCCEEDED', 0.5)]
        changes, state = follow(state, now, *rows)
        assert ids(changes) == [1]
        changes, state = follow(state, now + 300, *rows)
        assert ids(changes) == []
        changes, state = follow(state, now + 8 * HOUR, *rows, ended(4, 'CANCELLED', -7))
        assert ids(changes) == [4]

    def test_an_ending_that_shows_late_is_not_missed(self):
        _, state = follow(None, 0, record(1), record(2))
        changes, state = follow(state, 300, ended(1, 'SUCCEEDED', -0.08), record(2))
        assert ids(changes) == [1]
        # Job 2 ended before job 1, but the server says so only now.
        changes, _ = follow(state, 600, ended(1, 'SUCCEEDED', -0.08), ended(2, 'SUCCEEDED', -0.02))
        assert ids(changes) == [2]

    def test_an_outage_of_the_check_loses_none(self):
        _, state = follow(None, 0, record(1), record(2))
        changes, _ = follow(state, 50 * HOUR, ended(1, 'FAILED', -2), ended(2, 'FAILED', -49))
        assert ids(changes) == [1, 2]

    def test_a_job_without_an_end_is_never_finished(self):
        _, state = follow(None, 0, record(1))
        assert ids(follow(state, 300, ended(1, 'FAILED', 0, end_at=None))[0]) == []


class TestRecoveries:
    def test_increases_by_market_never_negative(self):
        ondemand = {'cluster_resources': '1x(gpus=L4:4, g6.12xlarge, ...)'}
        _, state = follow(None, 0, record(1, recovery_count=2), record(2), record(3, recovery_count=5))
        changes, state = follow(
            state, 300, record(1, recovery_count=4), record(2, recovery_count=1, **ondemand), record(3)
        )
        assert changes.recoveries == {'spot': 2, 'ondemand': 1}
        assert follow(state, 600, record(3, recovery_count=1))[0].recoveries == {'spot': 1}

    def test_the_last_recoveries_of_a_job_that_ended_count(self):
        _, state = follow(None, 0, record(1, recovery_count=1))
        changes, state = follow(state, 300, ended(1, 'FAILED', 0, recovery_count=3))
        assert changes.recoveries == {'spot': 2}
        assert follow(state, 600, ended(1, 'FAILED', 0, recovery_count=3))[0].recoveries == {}

    def test_new_jobs_count_from_zero_old_unknown_ones_do_not(self):
        _, state = follow(None, 0, record(10))
        changes, _ = follow(state, 300, record(10), record(11, recovery_count=2), record(3, recovery_count=9))
        assert changes.recoveries == {'spot': 2}

    def test_without_handles_nobody_knows_the_market(self):
        bare = {'status': 'RUNNING', 'resources': '1x[L4:4][Spot]'}
        _, state = follow(None, 0, {'job_id': 1, 'recovery_count': 0, **bare})
        assert follow(state, 0, {'job_id': 1, 'recovery_count': 1, **bare})[0].recoveries == {'unknown': 1}


class TestPending:
    def test_since_first_seen(self):
        changes, state = follow(None, 0, record(1, 'PENDING', submitted_at=None))
        assert changes.pending_seconds == 0
        changes, state = follow(state, 300, record(1, 'PENDING'), record(2, 'PENDING'))
        assert changes.pending_seconds == 300
        changes, state = follow(state, 600, record(1, 'STARTING'), record(2, 'PENDING'))
        assert changes.pending_seconds == 300
        changes, state = follow(state, 900, record(1), record(2))
        assert changes.pending_seconds is None
        assert state.queued_since == {}

    def test_a_job_that_queues_again_starts_from_zero(self):
        _, state = follow(None, 0, record(1, 'PENDING'))
        _, state = follow(state, 300, record(1))
        assert follow(state, 9000, record(1, 'PENDING'))[0].pending_seconds == 0

    def test_a_clock_set_back_gives_no_negative_time(self):
        _, state = follow(None, 0, record(1, 'PENDING'))
        assert follow(state, -500, record(1, 'PENDING'))[0].pending_seconds == 0


class TestIdle:
    def test_an_idle_controller_keeps_the_rest(self):
        assert job_changes.without_queued(None) is None
        _, state = follow(None, 0, record(1), record(2, 'PENDING'))
        state = job_changes.without_queued(state)
        changes, _ = follow(state, 900, ended(1, 'SUCCEEDED', -0.1), record(2, 'PENDING'))
        assert ids(changes) == [1]
        assert changes.pending_seconds == 0

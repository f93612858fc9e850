"""The table of runs: the rows that it keeps, and the runs that count as ended."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metta_checks.core.stored import dumps, load
from metta_checks.wandb import run_table
from metta_checks.wandb.hardware import Hardware
from metta_checks.wandb.records import ENDED_STATES, LIVE_STATES, Run
from metta_checks.wandb.run_table import RunRow, RunTable, endings, kept, updated
from metta_checks.wandb.settings import Columns, RunType
from metta_checks.wandb.stretches import Stretch

pytestmark = pytest.mark.unit

NOW = 1_800_000_000.0
OVERLAP = 600
WEEK = 7 * 86400


def row(run_id='a', state='finished', heartbeat=NOW - 3600, created=NOW - 7200, **values):
    end = created if heartbeat is None else heartbeat
    running = values.pop('running_seconds', max(0.0, end - created))
    fields = {
        'hardware': Hardware('l4', 4.0, host=f'host-{run_id}'),
        'run_type': '',
        'numbers': (),
        'stretches': (Stretch(created, end, running),),
        **values,
    }
    return RunRow(run_id, state, created, heartbeat, end, running, **fields)


def table(*rows, as_of=NOW):
    return RunTable(rows, as_of, as_of, 'fingerprint')


def ends(before, *rows):
    return [one.id for one in endings(before, rows, OVERLAP)]


def test_end_and_running_time_without_heartbeat_or_compute():
    assert row(heartbeat=None).end == NOW - 7200
    assert row(heartbeat=None).running_seconds == 0
    assert row().running_seconds == 3600
    seen = run(heartbeatAt='2026-01-01T01:00:00Z')
    assert RunRow.of(seen, Columns(())).running_seconds == 3600
    assert RunRow.of(run(heartbeatAt='2026-01-01T01:00:00Z', computeSeconds=700), Columns(())).running_seconds == 700


def test_a_table_is_stored():
    before = table(row('a', numbers=(0.5, None)), row('b', 'running', name='ptm-1'))
    after = load(RunTable, json.loads(dumps(before)))
    assert after == before
    assert after.live_ids == ['b']


def test_a_thousand_rows_take_little_room():
    eight = Hardware('h100', 8.0, None, 'worker-17.cluster.local', tuple(f'{index:012x}' for index in range(8)), True)
    rows = [row(f'r{index:07d}', numbers=(0.123, 0.456, 12345.6), hardware=eight) for index in range(1000)]
    assert len(dumps(table(*rows))) < 400_000


def test_an_end_is_new_once():
    before = table(row('a', 'running'))
    ended = row('a', 'crashed')
    assert ends(before, ended) == ['a']
    assert ends(updated(before, [ended], NOW, complete=True), ended) == []


def test_a_run_that_began_and_ended_between_two_refreshes_is_new_but_one_moved_in_is_not():
    assert ends(table(), row('a', heartbeat=NOW + 60)) == ['a']
    assert ends(table(), row('a', heartbeat=NOW - OVERLAP)) == ['a']
    assert ends(table(), row('a', heartbeat=NOW - OVERLAP - 1)) == []


def test_a_resumed_run_that_ends_again_is_a_new_end_even_when_the_resume_was_not_seen():
    before = table(row('a', 'finished', heartbeat=NOW - 3600))
    assert ends(before, row('a', 'running', heartbeat=NOW)) == []
    assert ends(before, row('a', 'finished', heartbeat=NOW)) == ['a']
    # The last heartbeat may come in a little after the state.
    assert ends(before, row('a', 'finished', heartbeat=NOW - 3600 + 30)) == []


def test_a_run_read_twice_ends_once():
    assert ends(table(row('a', 'running')), row('a', 'finished'), row('a', 'finished')) == ['a']


def test_live_runs_that_did_not_come_back_are_gone_but_ended_ones_stay():
    before = table(row('a', 'running'), row('b', 'finished'))
    assert [one.id for one in updated(before, [], NOW, complete=True).rows] == ['b']
    assert [one.id for one in updated(before, [], NOW, complete=False).rows] == ['a', 'b']


def test_rows_leave_after_a_week_and_unknown_states_are_not_kept():
    rows = [
        row('old', heartbeat=NOW - WEEK - 1),
        row('edge', heartbeat=NOW - WEEK),
        row('hung', 'running', heartbeat=NOW - 2 * WEEK),
        row('odd', 'queued'),
    ]
    assert [one.id for one in kept(rows, NOW)] == ['edge', 'hung']


def test_a_run_resumed_after_its_first_part_left_the_week_counts_from_then_on():
    hour, day = 3600, 86400
    parts = (
        Stretch(NOW - 10 * day, NOW - WEEK - 1, 50 * hour),
        Stretch(NOW - 4 * day, NOW - 4 * day + hour, hour),
    )
    times = {'heartbeat': parts[1].end, 'created': parts[0].begin, 'running_seconds': 51 * hour}
    before = updated(table(row('a', 'crashed', **times, stretches=parts)), [], NOW, complete=True)
    assert [one.stretches for one in before.rows] == [parts[1:]]
    times |= {'heartbeat': NOW + 300, 'running_seconds': 51 * hour + 300}
    after = updated(before, [row('a', 'running', **times)], NOW + 300, complete=True)
    assert [one.stretches for one in after.rows] == [(parts[1], Stretch(NOW, NOW + 300, 300))]


def test_the_table_has_a_limit_and_live_runs_stay(monkeypatch):
    monkeypatch.setattr(run_table, 'MAX_ROWS', 2)
    rows = (row('a', heartbeat=1.0), row('b', heartbeat=2.0), row('c', 'running', heartbeat=0.0))
    assert [one.id for one in run_table.trimmed(rows)] == ['c', 'b']


def run(**changes) -> Run:
    parsed = Run.parse({'name': 'a', 'state': 'running', 'createdAt': '2026-01-01T00:00:00Z', **changes})
    assert parsed is not None
    return parsed


# Mistake 16 of the first system: "localization" is not "local".
def test_run_types_are_regular_expressions_and_the_first_one_wins():
    columns = Columns(
        (),
        (
            RunType('local', 'display_name', re.compile(r'^local\b')),
            RunType('stable', 'tags', re.compile('^stable$')),
            RunType('sweep', 'sweep', re.compile('.')),
            RunType('evaluation', 'job_type', re.compile('eval')),
            RunType('nightly', 'group', re.compile('^nightly')),
        ),
    )
    assert columns.run_type(run(displayName='localization-12')) == 'other'
    assert columns.run_type(run(displayName='local-12', tags=['stable'])) == 'local'
    assert columns.run_type(run(displayName='x', tags=['unstable', 'stable'])) == 'stable'
    assert columns.run_type(run(displayName='x', tags=['unstable'])) == 'other'
    assert columns.run_type(run(sweepName='k3')) == 'sweep'
    assert columns.run_type(run(jobType='eval-large')) == 'evaluation'
    assert columns.run_type(run(group='nightly-7')) == 'nightly'
    assert Columns(()).run_type(run()) == ''


def test_the_fingerprint_changes_with_the_columns_and_the_dialect():
    columns = Columns(('accuracy',))
    others = [Columns(('loss',)), Columns(('accuracy',), (), 'num_gpus')]
    fingerprints = {one.fingerprint(()) for one in (columns, *others)} | {columns.fingerprint(('host',))}
    assert len(fingerprints) == 4


STATES = st.sampled_from([*LIVE_STATES, *ENDED_STATES])


@given(st.lists(st.lists(st.tuples(st.sampled_from('abc'), STATES), max_size=4), max_size=8))
def test_an_end_is_reported_exactly_as_often_as_a_run_goes_from_live_to_ended(steps):
    """Any history of states seen from refresh to refresh, heartbeats advancing while a run lives."""
    current = table(as_of=NOW)
    seen: dict[str, RunRow] = {}
    reported = 0
    expected = 0
    for step, changes in enumerate(steps):
        moment = NOW + 900 * (step + 1)
        for run_id, state in dict(changes).items():
            old = seen.get(run_id)
            if old is not None and old.ended and state in ENDED_STATES:
                new = row(run_id, state, heartbeat=old.heartbeat, created=NOW)
            else:
                new = row(run_id, state, heartbeat=moment - 1, created=NOW)
                expected += new.ended
            seen[run_id] = new
        reported += len(endings(current, seen.values(), OVERLAP))
        current = updated(current, seen.values(), moment, complete=True)
    assert reported == expected

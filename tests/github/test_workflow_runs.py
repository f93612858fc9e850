"""Reading workflow runs under GitHub's rules: capped lists, no promised order, changes long after creation."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metta_checks.core.errors import OutOfBudget
from metta_checks.github import workflow_runs as runs
from metta_checks.github.attempts import Allowance, counted, newly_finished
from metta_checks.github.run_records import Run, RunPage

NOW = datetime(2026, 11, 24, 18, tzinfo=UTC)
WEEK = timedelta(days=7)


class Lists:
    """GitHub's list of runs: filtered by creation, the newest first, in pages of a hundred, at most a thousand."""

    def __init__(self, created: list[datetime], *, capped_total: bool = False) -> None:
        self.runs = {number: made(number, moment) for number, moment in enumerate(created)}
        self.capped_total = capped_total
        self.shuffled = False
        self.requests = 0
        self.changes = 0

    def fetch(self, low: datetime, high: datetime, page: int) -> RunPage:
        assert 1 <= page <= 10
        self.requests += 1
        fitting = [run for run in self.runs.values() if low <= run.created <= high]
        fitting.sort(key=lambda run: (-run.created.timestamp(), run.id % 7))
        if self.shuffled:
            random.Random(3).shuffle(fitting)
        total = min(len(fitting), 1000) if self.capped_total else len(fitting)
        return RunPage(tuple(fitting[:1000][100 * (page - 1) : 100 * page]), total)

    def newest(self, etag: str) -> tuple[RunPage | None, str]:
        self.requests += 1
        ordered = sorted(self.runs.values(), key=lambda run: (-run.created.timestamp(), run.id % 7))
        if self.shuffled:
            random.Random(3).shuffle(ordered)
        found = f'"{hash((tuple(ordered[:100]), len(ordered)))}"'
        self.changes += found != etag
        return (None if found == etag else RunPage(tuple(ordered[:100]), len(ordered))), found

    def read(self, table=None, now=NOW):
        return runs.read(table, now - WEEK, now, runs.Lists(self.newest, self.fetch)).table

    def window(self, now=NOW):
        return {number: run for number, run in self.runs.items() if now - WEEK <= run.created <= now}


def made(number: int, created: datetime, **fields) -> Run:
    ended = created + timedelta(minutes=5)
    base = Run(
        number, 7, 'tests', True, 'completed', 'success', 'push', created, created, ended, 1, True, 'main', 'abc'
    )
    row = base._replace(**fields)
    return row._replace(ended=row.updated if row.finished else None)


def spread(count: int, seconds: float = 7 * 86400 - 1, seed: int = 1) -> list[datetime]:
    dice = random.Random(seed)
    ages = (timedelta(seconds=dice.random() * seconds) for _ in range(count))
    return [(NOW - age).replace(microsecond=0) for age in ages]


@pytest.mark.parametrize(
    ('created', 'capped', 'requests'),
    [
        (spread(40), False, 1),
        (spread(2000), False, 21),
        (spread(9000), False, 91),
        (spread(3000), True, 31),
        (spread(1300, 3600), True, 14),
        ([], False, 1),
    ],
)
def test_a_crawl_finds_every_run_in_few_requests(created, capped, requests):
    lists = Lists(created, capped_total=capped)
    assert lists.read().by_id() == lists.window()
    assert lists.requests <= requests


def test_requests_follow_the_window_not_the_history():
    recent = Lists(spread(1200))
    recent.read()
    old = [NOW - timedelta(days=8 + number % 300) for number in range(8_000)]
    everything = Lists([*spread(1200), *old])
    everything.read()
    assert everything.requests == recent.requests


def test_runs_may_come_in_any_order():
    lists = Lists(spread(1500))
    lists.shuffled = True
    assert lists.read().by_id() == lists.window()


def test_a_thousand_runs_in_one_second_are_an_error():
    with pytest.raises(runs.TooManyRuns, match='within one second'):
        Lists([NOW - timedelta(seconds=100)] * 1200).read()


def test_more_runs_than_can_be_kept_are_an_error(monkeypatch):
    monkeypatch.setattr(runs, 'MAX_RUNS', 1500)
    with pytest.raises(runs.TooManyRuns, match='more than 1,500'):
        Lists(spread(4000)).read()


def test_an_unchanged_list_costs_one_request_and_another_one_per_hour():
    lists = Lists(spread(2000))
    table = lists.read()
    counts = []
    for quarter in range(1, 9):
        lists.requests = lists.changes = 0
        table = lists.read(table, NOW + quarter * timedelta(minutes=15))
        counts.append(lists.requests)
        assert lists.changes == 0
    assert counts == [1, 1, 1, 2, 1, 1, 1, 2]


def test_a_changed_list_costs_two_requests():
    lists = Lists(spread(2000))
    table = lists.read()
    now = NOW + timedelta(minutes=15)
    lists.runs[9999] = made(9999, now)
    lists.requests = 0
    assert 9999 in lists.read(table, now).by_id()
    assert lists.requests == 2


def test_a_renewed_token_changes_nothing_but_the_quota():
    lists = Lists(spread(2000))
    table = lists.read()
    later = NOW + timedelta(minutes=15)
    confirmed = lists.read(table, later)
    lists.requests = 0
    again = lists.read(replace(table, etag='of another token'), later)
    assert (again, lists.requests) == (confirmed, 1)


@pytest.mark.parametrize('count', [60, 700])
def test_a_run_is_gone_when_two_refreshes_lack_it(count):
    lists = Lists(spread(count))
    table = lists.read()
    deleted = sorted(lists.runs.values(), key=lambda run: run.created)[count // 2]
    del lists.runs[deleted.id]
    now = NOW
    while not table.missed:
        now += timedelta(hours=1)
        table = lists.read(table, now)
        assert deleted in table.present
    table = lists.read(table, now + timedelta(minutes=15))
    assert (table.missed, table.gone) == (frozenset(), {deleted.id})
    assert deleted not in table.present
    # The list had missed it for a while.
    lists.runs[deleted.id] = deleted
    for _ in range(20):
        now += timedelta(hours=1)
        table = lists.read(table, now)
    assert deleted in table.present
    assert (table.missed, table.gone) == (frozenset(), frozenset())


def test_an_empty_list_deletes_nothing_at_once():
    lists = Lists(spread(300))
    table = lists.read()
    known, lists.runs = lists.runs, {}
    table = lists.read(table, NOW + timedelta(minutes=15))
    assert len(table.present) == 300
    lists.runs = known
    for _ in range(8):
        table = lists.read(table, NOW + timedelta(minutes=30))
    assert (len(table.present), table.missed) == (300, frozenset())


def test_an_unfinished_run_is_seen_to_finish():
    lists = Lists(spread(2000))
    hours_ago = NOW - timedelta(hours=5)
    lists.runs[9999] = made(9999, hours_ago, status='in_progress', conclusion='')
    table = lists.read()
    lists.runs[9999] = made(9999, hours_ago, conclusion='failure', updated=NOW)
    table = lists.read(table, NOW + timedelta(minutes=15))
    assert table.by_id()[9999].conclusion == 'failure'


def test_a_run_that_is_run_again_after_days_and_one_that_is_deleted_are_noticed():
    lists = Lists(spread(2000))
    table = lists.read()
    by_age = sorted(lists.runs.values(), key=lambda run: run.created)
    again, deleted = by_age[400], by_age[900]
    lists.runs[again.id] = again._replace(attempt=2, updated=NOW)
    del lists.runs[deleted.id]
    now = NOW
    for _ in range(2000 // runs.RANGE_RUNS + 4):
        now += timedelta(hours=1)
        table = lists.read(table, now)
    assert [one.number for one in table.by_id()[again.id].attempts] == [1, 2]
    assert deleted.id in table.missed | table.gone
    assert {run.id for run in table.present} - table.missed == lists.window(now).keys()


def test_an_unfinished_run_does_not_prevent_reading_others_again():
    lists = Lists(spread(2000))
    lists.runs[9999] = made(9999, NOW - timedelta(hours=12), status='in_progress', conclusion='')
    table = lists.read()
    again = sorted(lists.runs.values(), key=lambda run: run.created)[1500]
    lists.runs[again.id] = again._replace(attempt=2, updated=NOW)
    for _ in range(600 // runs.RANGE_RUNS + 1):
        lists.requests = 0
        table = lists.read(table)
        # The newest runs, those around the unfinished one, and the range of the cursor.
        assert lists.requests == 3
    assert table.by_id()[again.id].attempt == 2


def test_the_end_of_an_old_unfinished_run_is_seen_in_every_refresh():
    lists = Lists(spread(2000))
    lists.runs[9999] = made(9999, NOW - timedelta(hours=12), status='in_progress', conclusion='')
    lists.runs[9998] = made(9998, NOW - timedelta(hours=11), status='in_progress', conclusion='')
    table = lists.read()
    for number in (9999, 9998):
        lists.runs[number] = made(number, lists.runs[number].created, conclusion='failure')
        table = lists.read(table)
        assert table.by_id()[number].conclusion == 'failure'


@pytest.mark.parametrize('capped', [False, True])
def test_an_interrupted_first_crawl_continues_where_it_stopped(capped):
    lists = Lists(spread(5000), capped_total=capped)
    saved: list = [None]
    cuts = 0
    now = NOW
    while True:
        left = [17]

        def fetch(low, high, page, left=left):
            left[0] -= 1
            if left[0] < 0:
                raise OutOfBudget('enough')
            return lists.fetch(low, high, page)

        try:
            both = runs.Lists(lists.newest, fetch)
            table = runs.read(saved[0], now - WEEK, now, both, lambda partial: saved.__setitem__(0, partial)).table
        except OutOfBudget:
            cuts += 1
            assert saved[0].reached is not None
            now += timedelta(minutes=1)
            lists.runs[90_000 + cuts] = made(90_000 + cuts, now - timedelta(seconds=1))
        else:
            break
    assert cuts >= 3
    assert table.reached is None
    assert table.by_id() == lists.window(now)


def test_an_older_copy_of_a_run_does_not_replace_a_newer_one():
    lists = Lists(spread(50))
    table = lists.read()
    newest = max(lists.runs.values(), key=lambda run: run.created)
    seen = {**table.by_id(), newest.id: newest._replace(attempt=3)}
    table = lists.read(replace(table, runs=tuple(seen.values())), NOW)
    assert table.by_id()[newest.id].attempt == 3


def test_every_finished_attempt_is_counted_once():
    known = [made(1, NOW), made(2, NOW, status='in_progress', conclusion='')]
    assert [run.id for run, _ in newly_finished(known)] == [1]
    first, second = counted(known, first=True)
    assert newly_finished([first, second]) == []
    later = [
        made(1, NOW, attempt=2).seen(first, NOW),
        made(2, NOW, status='completed', conclusion='failure').seen(second, NOW),
    ]
    assert [(run.id, one.number) for run, one in newly_finished(later)] == [(1, 2), (2, 1)]


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_repeated_reading_keeps_the_table_true(data):
    now = NOW
    lists = Lists(spread(data.draw(st.integers(0, 400)), seed=data.draw(st.integers(0, 99))))
    table = lists.read(None, now)
    number = 10_000
    for _ in range(data.draw(st.integers(1, 4))):
        now += timedelta(minutes=15)
        for _ in range(data.draw(st.integers(0, 5))):
            number += 1
            state = data.draw(st.sampled_from([('completed', 'success'), ('in_progress', '')]))
            created = now - timedelta(seconds=number % 900)
            lists.runs[number] = made(number, created, status=state[0], conclusion=state[1])
        table = lists.read(table, now)
        # New runs are always present; late changes may take a round of re-reading.
        assert table.by_id().keys() >= {key for key in lists.window(now) if key >= 10_000}
    for _ in range(len(lists.runs) // runs.RANGE_RUNS + 3):
        now += timedelta(minutes=15)
        table = lists.read(table, now)
    assert table.by_id() == lists.window(now)


@pytest.mark.parametrize('behind', [timedelta(hours=5), timedelta(days=6), timedelta(days=365)])
@pytest.mark.parametrize('count', [40, 279])
def test_a_table_that_was_read_while_the_clock_was_behind_is_completed(behind, count):
    lists = Lists(spread(count))
    table = lists.read(None, NOW - behind)
    for quarter in range(2):
        table = lists.read(table, NOW - behind + quarter * timedelta(minutes=15))
    for quarter in range(2, 4):
        now = NOW + quarter * timedelta(minutes=15)
        table = lists.read(table, now)
        assert table.by_id() == lists.window(now)


def test_a_clock_that_is_some_minutes_behind_sees_the_newest_runs():
    lists = Lists(spread(279))
    assert lists.read(None, NOW - timedelta(minutes=5)).by_id().keys() >= lists.window().keys()


@pytest.mark.parametrize('days', [6.5, 9])
def test_more_than_a_page_of_runs_after_a_quiet_time(days):
    now = NOW + timedelta(days=days)
    lists = Lists([NOW - timedelta(days=6)])
    table = lists.read()
    lists.runs |= {100 + number: made(100 + number, now - timedelta(minutes=number)) for number in range(250)}
    found = runs.read(table, now - WEEK, now, runs.Lists(lists.newest, lists.fetch))
    assert found.table.by_id() == lists.window(now)
    assert found.is_first == (days > 7)


@pytest.mark.parametrize('is_known', [False, True])
def test_a_page_of_the_newest_runs_that_lacks_its_rows(is_known):
    lists = Lists(spread(1205))
    table = lists.read() if is_known else None
    found = runs.read(table, NOW - WEEK, NOW, runs.Lists(lambda _: (RunPage((), 1205), ''), lists.fetch))
    assert found.table.by_id() == lists.window()


def test_an_interrupted_first_crawl_that_goes_on_after_a_week_begins_again():
    lists = Lists(spread(1500))
    saved: list[runs.RunTable] = []

    def fails_late(low: datetime, high: datetime, page: int) -> RunPage:
        if saved:
            raise OutOfBudget('the refresh has taken too long')
        return lists.fetch(low, high, page)

    with pytest.raises(OutOfBudget):
        runs.read(None, NOW - WEEK, NOW, runs.Lists(lists.newest, fails_late), saved.append)
    now = NOW + timedelta(days=8)
    lists.runs |= {10_000 + number: made(10_000 + number, now - timedelta(hours=number / 2)) for number in range(250)}
    assert lists.read(saved[-1], now).by_id() == lists.window(now)


@pytest.mark.parametrize(
    ('repositories', 'lists', 'requests'),
    [(2, True, 60), (3, False, 4), (75, True, 4), (301, False, 4), (301, True, 0), (1000, False, 13), (1000, True, 0)],
)
def test_the_requests_that_only_tell_whether_runs_were_flaky_are_few(repositories, lists, requests):
    allowance = Allowance(repositories, lists=lists)
    assert [allowance.take() for _ in range(99)].count(True) == requests

"""The judges can fail: a defect that is planted in the check's process is found, and called by its name."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from chaos import life, together
from chaos.crowd import TOLD_AFTER, Crowd
from chaos.judge import Judge
from chaos.life import Outcome, Point
from chaos.scenes import Scene
from chaos.trial import Conditions, Kill, Result, Trial
from metta_checks.core import points

from . import planted

# Calm refreshes only: what is found was planted.
CALM = Conditions(rates=(0.0,), outage_share=0.0, settling=2)
# A single run.
ONE = replace(CALM, settling=0, runs_per_refresh=1)


def run(target=life.live, refreshes=8, conditions=CALM) -> Result:
    return Trial('kubernetes', 'planted', refreshes, target=target, conditions=conditions).run()


def kinds(result: Result) -> set[tuple[str, str]]:
    return {(finding.kind, finding.metric) for finding in result.findings}


def test_nothing_is_found_where_nothing_is_planted():
    result = run()
    assert result.findings == []
    assert result.tally.values > 200
    assert result.tally.counted > 0


@pytest.mark.parametrize(
    ('agent', 'kind', 'metric'),
    [
        (planted.WrongValue, 'wrong value', 'metta.kubernetes.pods.running'),
        (planted.InventedZero, 'invented zero', 'metta.kubernetes.pods.running'),
        (planted.DoubledCount, 'doubled', 'metta.kubernetes.containers.restarts'),
        (planted.LostCount, 'lost', 'metta.kubernetes.containers.restarts'),
        (planted.DoubledGauge, 'doubled gauge', 'metta.kubernetes.pods.failed'),
    ],
)
def test_a_spoiled_value(agent, kind, metric):
    assert kinds(run(partial(life.live, agent_class=agent))) == {(kind, metric)}


def test_a_failure_that_is_not_counted():
    result = run(partial(life.live, agent_class=planted.NoErrors), 10, replace(CALM, rates=(1.0,)))
    assert kinds(result) == {('self-metric', 'metta.collector.errors')}


def test_a_run_that_takes_too_long():
    result = run(planted.hang, 1, ONE)
    assert kinds(result) == {('hang', 'refresh')}
    assert result.tally.slowest > 3000


def test_a_run_that_never_ends():
    result = run(planted.stuck, 1, replace(ONE, hopeless=1.0))
    assert kinds(result) == {('hang', 'refresh')}
    assert result.tally.slowest == 0


def test_a_process_that_dies_by_itself():
    assert kinds(run(planted.crash, 1, ONE)) == {('crash', 'process')}


def test_a_leak():
    result = run(planted.leak, 16, replace(CALM, measured_every=1))
    assert kinds(result) == {('memory', 'resident')}
    assert len(result.memory) > 10


@pytest.mark.parametrize(
    ('target', 'conditions', 'kind'),
    [
        (planted.forgets_status, replace(CALM, settling=0, rates=(0.4,), restart_share=1.0), 'status lie'),
        (planted.trusts_the_future, replace(CALM, jump_share=0.5), 'frozen'),
        (planted.takes_interim_answers, replace(CALM, settling=0, rates=(0.5,), only=('interim',)), 'needless failure'),
        (
            planted.takes_errors_for_defects,
            replace(CALM, settling=0, rates=(0.5,), only=('status_429',)),
            'unexpected error',
        ),
        (planted.keeps_idle_connections, CALM, 'dropped connection'),
        (planted.follows_redirects, replace(CALM, settling=0, rates=(0.5,), only=('redirect_away',)), 'stray request'),
        (planted.spends_memory, ONE, 'memory'),
    ],
)
def test_a_defect_of_exchanges_time_or_state(target, conditions, kind):
    assert kind in {found for found, _ in kinds(run(target, 1 if conditions is ONE else 5, conditions))}


def test_nothing_is_found_under_the_conditions_in_which_defects_are_planted():
    result = run(refreshes=5, conditions=replace(CALM, rates=(0.5,), only=('interim', 'redirect_away'), jump_share=0.3))
    assert result.findings == []
    assert result.tally.jumps > 0
    assert result.tally.drops > 0


class LongLived(Crowd):
    """Its process is restarted whenever both instances with one key must have been told about each other.

    Restarts by dice would not do: what happens in the service throws the same dice, so that any change of its data
    moves the restarts, possibly to before the run in which a missing warning is a defect.
    """

    def _restart(self, outcome: Outcome) -> None:
        if self.age > TOLD_AFTER:
            super()._restart(outcome)


def run_crowd(target=together.live, source='kubernetes') -> Result:
    conditions = replace(CALM, restart_share=1.0, settling=0)
    return LongLived(source, 'planted', 18, target=target, conditions=conditions).run()


def test_nothing_is_found_in_a_crowd_where_nothing_is_planted():
    result = run_crowd()
    assert result.findings == []
    assert result.tally.refreshes > 8
    assert result.tally.diagnoses > 8
    assert result.tally.restarts.total() > 0


@pytest.mark.parametrize(
    ('target', 'finding'),
    [
        (planted.ignores_filters, 'foreign series'),
        (planted.diagnoses_between_runs, 'diagnosis'),
        (planted.ignores_twins, 'status lie'),
    ],
)
def test_a_defect_of_a_crowd(target, finding):
    assert finding in {kind for kind, _ in kinds(run_crowd(target))}


class KilledBeforeItWrites(Trial):
    def _kill(self) -> Kill:
        return Kill('point write', point=Point('write'))


def test_sending_before_remembering_counts_twice():
    trial = partial(KilledBeforeItWrites, 'kubernetes', 'planted', 16, conditions=replace(CALM, kill_share=0.5))
    assert {finding.kind for finding in trial(target=planted.sends_before_it_remembers).run().findings} == {'doubled'}
    assert trial().run().findings == []


def judge_of_one_block(
    value: float = 5.0, tags: tuple[str, ...] = ('a:b',), read_at: float = 1000.0, now: float = 1000.0
) -> list[tuple]:
    judge = Judge('source', 'seed', Scene('source', {}, {}), {})
    judge.learn(1000.0, {('metta.x', ('a:b',)): 5.0, ('metta.y', ()): 0.0})
    judge.learn(2500.0, {('metta.x', ('a:b',)): 6.0})
    block = {'refreshed_at': read_at, 'gauges': [['metta.x', value, list(tags)]]}
    judge.gauges(1, now, [points.Point('metta.x', 'gauge', value, tags)], {'blocks': [['', 'block', block]]})
    return [(finding.kind, finding.truth) for finding in judge.findings]


@pytest.mark.parametrize(
    ('gauge', 'expected'),
    [
        ({}, []),
        # Shown again later: the truth of the instant at which it was read counts.
        ({'now': 1900.0}, []),
        ({'value': 6.0, 'read_at': 2500.0, 'now': 2500.0}, []),
        ({'read_at': 2500.0, 'now': 2500.0}, [('wrong value', 6.0)]),
        ({'now': 1901.0}, [('stale value', '900 s')]),
        ({'value': 0.0}, [('invented zero', 5.0)]),
        ({'tags': ('a:c',)}, [('wrong value', 'absent')]),
        ({'tags': ('a:c',), 'value': 0.0}, [('invented zero', 'absent')]),
        ({'read_at': 999.0}, [('wrong value', None)]),
    ],
)
def test_gauges(gauge, expected):
    assert judge_of_one_block(**gauge) == expected


def test_what_a_kill_took_may_be_missing_but_never_be_there_twice():
    key = ('metta.count', ())
    for have, kinds in ((10, []), (8, []), (7, ['lost']), (11, ['doubled'])):
        judge = Judge('source', 'seed', Scene('source', {}, {}), {})
        judge.totals(1, {key: 10}, {key: have}, excused={key: 2})
        assert [finding.kind for finding in judge.findings] == kinds

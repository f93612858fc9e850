"""The judges can fail: a defect that is planted in the check's process is found, and called by its name."""

from __future__ import annotations

import pytest

from chaos import trial
from chaos.judge import Judge
from chaos.scenes import Scene
from chaos.trial import Trial

from . import planted


@pytest.fixture(autouse=True)
def short(monkeypatch):
    # Calm refreshes only: what is found was planted.
    monkeypatch.setattr(trial, 'RATES', (0.0,))
    monkeypatch.setattr(trial, 'OUTAGE_SHARE', 0.0)
    monkeypatch.setattr(trial, 'SETTLING', 2)


def found(target, refreshes=8, **options):
    result = Trial('kubernetes', 'planted', refreshes, kills=False, target=target, **options).run()
    return {(finding.kind, finding.metric) for finding in result.findings}, result


def test_nothing_is_found_where_nothing_is_planted():
    kinds, result = found(trial.life.live)
    assert not kinds
    assert result.tally.values > 200
    assert result.tally.counted > 0


@pytest.mark.parametrize(
    ('target', 'kind', 'metric'),
    [
        (planted.wrong_value, 'wrong value', 'metta.kubernetes.pods.running'),
        (planted.invented_zero, 'invented zero', 'metta.kubernetes.pods.running'),
        (planted.doubled_count, 'doubled', 'metta.kubernetes.containers.restarts'),
        (planted.lost_count, 'lost', 'metta.kubernetes.containers.restarts'),
        (planted.doubled_gauge, 'doubled gauge', 'metta.kubernetes.pods.failed'),
    ],
)
def test_a_spoilt_value(target, kind, metric):
    kinds, _ = found(target)
    assert kinds == {(kind, metric)}


def test_a_failure_that_is_not_counted(monkeypatch):
    monkeypatch.setattr(trial, 'RATES', (1.0,))
    kinds, _ = found(planted.no_errors, 10)
    assert kinds == {('self-metric', 'metta.collector.errors')}


@pytest.mark.parametrize(('target', 'refreshes'), [(planted.hang, 1), (planted.stuck, 1)])
def test_a_hang(monkeypatch, target, refreshes):
    monkeypatch.setattr(trial, 'SETTLING', 0)
    monkeypatch.setattr(trial, 'BUDGET', 1.0)
    monkeypatch.setattr(trial, 'HOPELESS', 5.0)
    monkeypatch.setattr(trial, 'RUNS_PER_REFRESH', 1)
    kinds, _ = found(target, refreshes)
    assert ('hang', 'refresh') in kinds


def test_a_process_that_dies_by_itself(monkeypatch):
    monkeypatch.setattr(trial, 'SETTLING', 0)
    monkeypatch.setattr(trial, 'RUNS_PER_REFRESH', 1)
    kinds, _ = found(planted.crash, 1)
    assert ('crash', 'process') in kinds


def test_a_leak(monkeypatch):
    monkeypatch.setattr(trial, 'MEASURED_EVERY', 1)
    kinds, result = found(planted.leak, 16)
    assert kinds == {('memory', 'resident')}
    assert len(result.memory) > 10


def test_sending_before_remembering_counts_twice(monkeypatch):
    monkeypatch.setattr(trial, 'KILL_SHARE', 0.5)
    monkeypatch.setattr(Trial, '_kill', lambda _: ('point', trial.Point('write')))
    result = Trial('kubernetes', 'planted', 16, target=planted.sends_before_it_remembers).run()
    assert {finding.kind for finding in result.findings} == {'doubled'}
    assert not Trial('kubernetes', 'planted', 16).run().findings


def judge_of_one_block(**gauge):
    judge = Judge('source', 'seed', Scene('source', {}, {}), {})
    judge.learn(1000.0, [('metta.x', ('a:b',), 5.0), ('metta.y', (), 0.0)])
    judge.learn(2500.0, [('metta.x', ('a:b',), 6.0)])
    gauge = {'name': 'metta.x', 'value': 5.0, 'tags': ['a:b'], 'read_at': 1000.0, 'now': 1000.0, **gauge}
    values = {'refreshed_at': gauge['read_at'], 'gauges': [[gauge['name'], gauge['value'], gauge['tags']]]}
    submitted = [(gauge['name'], gauge['value'], gauge['tags'])]
    judge.gauges(1, gauge['now'], submitted, {'blocks': [['', 'block', values]]})
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
        ({'tags': ['a:c']}, [('wrong value', 'absent')]),
        ({'tags': ['a:c'], 'value': 0.0}, [('invented zero', 'absent')]),
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

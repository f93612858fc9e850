"""GPU economics: one source stands for each stage, nothing is added twice, and unknown is absent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from metta_checks.as_code.asset import load, walk_widgets
from metta_checks.as_code.preview.evaluate import Evaluator
from metta_checks.as_code.preview.recording import Recording
from metta_checks.core.points import Point

ROOT = Path(__file__).resolve().parents[2]
(BOARD,) = [asset.body for asset in load(ROOT / 'assets') if asset.key == 'gpu_economics']
VARIABLES = BOARD['template_variables']
# 40 GPUs cost 80 USD per hour on EC2; SkyPilot sees 25 of them, and Kubernetes 30.
FIGURES = {
    'ec2.instances.gpus': 40,
    'ec2.cost.gpu_hourly_usd': 80,
    'skypilot.gpus.in_use': 25,
    'skypilot.cost.breakdown_hourly_usd': 100,
    'kubernetes.gpu.allocatable': 30,
    'kubernetes.gpu.requested': 22,
    'kubernetes.gpu.idle': 7,
    'wandb.gpus.in_use': 20,
    'wandb.gpus.idle': 4,
    'wandb.training.total_gpu_hours_7d': 3000,
    'wandb.training.wasted_gpu_hours_7d': 500,
}
SOURCES = ('ec2', 'skypilot', 'kubernetes', 'wandb')
TAGS = {'skypilot.gpus.in_use': ('kind:job',), 'skypilot.cost.breakdown_hourly_usd': ('gpu_type:l4',)}


def recording(*without: str, **others: float) -> Recording:
    found = Recording()
    for time in (0, 300):
        points = [
            Point(f'metta.{name}', 'gauge', value, TAGS.get(name, ()))
            for name, value in {**FIGURES, **others}.items()
            if name not in without
        ]
        points += [Point('metta.collector.up', 'gauge', 1, (f'source:{source}',)) for source in SOURCES]
        found.add(time, points)
    return found


def last(title: str, data: Recording, **chosen: str) -> dict[str, list[float]]:
    """Return the last values of a widget's lines or columns, by the first part of their names."""
    (widget,) = [one['definition'] for _, one in walk_widgets(BOARD) if one['definition'].get('title') == title]
    evaluator = Evaluator(data, chosen, VARIABLES)
    found: dict[str, list[float]] = {}
    for request in widget['requests']:
        outcome = evaluator.request(widget['type'], request)
        assert not outcome.problem
        named: list[tuple[str, Any]] = []
        if widget['type'] == 'timeseries':
            named = [(line.label, line.points[-1][1]) for line in outcome.lines]
        for row in outcome.rows:
            named += [(name, value) for (name, _), value in zip(outcome.columns, row.values, strict=True)]
        for name, value in named:
            if value is not None:
                found.setdefault(name.split(',')[0] if widget['type'] != 'timeseries' else name, []).append(value)
    return found


FUNNEL, MONEY = 'GPUs: paid, held, at work', 'Cost of GPUs per week: at work and wasted'
WEEK = 168


@pytest.mark.parametrize(
    ('chosen', 'expected'),
    [
        ({}, {'paid, EC2': [40], 'held, SkyPilot': [25], 'at work, W&B': [16]}),
        ({'paid': 'skypilot'}, {'paid, SkyPilot': [25], 'held, SkyPilot': [25], 'at work, W&B': [16]}),
        (
            {'paid': 'kubernetes', 'held': 'kubernetes', 'used': 'kubernetes'},
            {'paid, Kubernetes': [30], 'held, Kubernetes': [22], 'at work, Kubernetes': [15]},
        ),
    ],
)
def test_one_source_stands_for_each_stage(chosen, expected):
    assert last(FUNNEL, recording(), **chosen) == expected


@pytest.mark.parametrize(
    ('chosen', 'at_work', 'idle', 'free'),
    [
        # 2 USD per GPU and hour.
        ({}, 16 * 2, 9 * 2, 15 * 2),
        ({'held': 'kubernetes', 'used': 'kubernetes'}, 15 * 2, 7 * 2, 18 * 2),
        # 4 USD, and everything paid is held.
        ({'paid': 'skypilot'}, 16 * 4, 9 * 4, 0),
    ],
)
def test_the_parts_of_the_money_add_up_to_it(chosen, at_work, idle, free):
    found = last(MONEY, recording(), **chosen)
    parts = {'at work': at_work, 'held, not at work': idle, 'paid, not held': free}
    assert found == {part: [WEEK * usd] if usd else [0] for part, usd in parts.items()}
    assert at_work + idle + free == (100 if chosen.get('paid') == 'skypilot' else 80)


@pytest.mark.parametrize(
    ('figures', 'at_work', 'idle', 'free'),
    [
        # SkyPilot holds 60 GPUs, 20 of them elsewhere: they waste no money on EC2.
        ({'skypilot.gpus.in_use': 60}, 16, 24, 0),
        # Runs work on 30 GPUs, five of them outside of the 25 that are held.
        ({'wandb.gpus.in_use': 34}, 25, 0, 15),
        ({'skypilot.gpus.in_use': 60, 'wandb.gpus.in_use': 54}, 40, 0, 0),
    ],
)
def test_the_parts_add_up_to_what_is_paid_where_sources_see_different_machines(figures, at_work, idle, free):
    found = last(MONEY, recording(**figures))
    parts = {'at work': at_work, 'held, not at work': idle, 'paid, not held': free}
    assert found == {part: [WEEK * 2 * gpus] for part, gpus in parts.items()}


def test_useful_hours_are_those_of_runs_that_did_not_fail():
    assert last('Useful GPU-hours of W&B runs, 7 days', recording()) == {'run_hours - lost_hours': [2500]}
    share = last('Useful share of W&B runs, 7 days', recording())
    assert share == {'100 * (run_hours - lost_hours) / run_hours': [pytest.approx(100 * 2500 / 3000)]}


def test_an_unknown_stage_is_absent():
    found = last(MONEY, recording('wandb.gpus.idle'))
    assert found == {'paid, not held': [WEEK * 30]}
    assert 'at work, W&B' not in last(FUNNEL, recording('wandb.gpus.idle'))


def test_kubernetes_knows_no_prices_of_nodes():
    assert last(MONEY, recording(), paid='kubernetes') == {}

"""Every target for a moment, and every past finding."""

from __future__ import annotations

import pytest

from fuzz import corpus, engines
from fuzz.choices import Bytes, seeded
from fuzz.target import timed
from fuzz.targets import all_targets, texts
from metta_checks.as_code.monitor_query import parse_monitor
from metta_checks.as_code.query import parse_formula, parse_query

pytestmark = pytest.mark.integration

TARGETS = all_targets()
# Whole runs of the check take a hundred times as long as a parser, and the AWS SDK its time to start.
EXAMPLES = {
    'check': 5,
    'check.ec2': 2,
    'snapshot': 6,
    'records': 30,
    'texts': 50,
    'texts.schema_dashboard': 10,
    'http': 40,
    'exchange': 12,
}
PAST = [(name, entry) for name in TARGETS for entry, _ in corpus.entries(name)]


@pytest.mark.parametrize('name', TARGETS)
def test_a_target_finds_nothing(name):
    number = EXAMPLES.get(name) or EXAMPLES[name.split('.')[0]]
    _, case, error = engines.examples(TARGETS[name], number, 7)
    if error is not None:
        raise AssertionError(f'{name}: python -m fuzz finds {case!r:.2000}') from error


@pytest.mark.parametrize(
    ('parse', 'seeds'),
    [(parse_query, texts.QUERIES), (parse_formula, texts.FORMULAS), (parse_monitor, texts.MONITORS)],
)
def test_queries_to_begin_with_are_parsed(parse, seeds):
    for seed in seeds:
        assert parse(seed)


@pytest.mark.parametrize(('name', 'entry'), PAST)
def test_a_past_finding_stays_repaired(name, entry):
    timed(TARGETS[name], dict(corpus.entries(name))[entry])


def test_every_past_finding_belongs_to_a_target():
    assert {path.name for path in corpus.CORPUS.iterdir()} <= set(TARGETS)


def test_the_same_choices_make_the_same_case():
    target = TARGETS['records.asana.task']
    assert target.make(seeded(3)) == target.make(seeded(3))
    assert target.make(Bytes(b'\x01\x02\x03')) == target.make(Bytes(b'\x01\x02\x03'))

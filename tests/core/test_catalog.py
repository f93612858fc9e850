from __future__ import annotations

import importlib

import pytest

from metta_checks.check import SOURCES
from metta_checks.core.catalog import UndeclaredMetric, load, parse

TAGS = 'tags:\n  kind: {description: Kind, values: [a, b]}\n'
HEAD = f'source: x\nprefix: metta.x.\n{TAGS}metrics:\n'
ROW = '  - {name: a.b, block: one, tags: [kind], description: A.}\n'


def test_what_is_declared_may_be_emitted():
    any_tag = '  "*": {description: Any, limit: 5}\nmetrics:\n'
    head = HEAD.replace('metrics:\n', any_tag)
    catalog = parse(head + ROW + '  - {name: summary.*.last, block: one, tags: ["*"], description: S.}\n')
    assert catalog.metric('a.b', 'one', ['kind']).type == 'gauge'
    assert catalog.metric('summary.loss.last', 'one', ['anything']).name == 'summary.*.last'
    assert catalog.full_name('a.b') == 'metta.x.a.b'


@pytest.mark.parametrize(
    ('name', 'block', 'tags', 'words'),
    [
        ('a.c', 'one', [], 'is not declared'),
        ('a.b', 'two', [], 'belongs to block one'),
        ('a.b', 'one', ['id'], 'undeclared tags: id'),
        ('summary.x.y.last', 'one', [], 'is not declared'),
    ],
)
def test_what_is_not_declared_may_not(name, block, tags, words):
    with pytest.raises(UndeclaredMetric, match=words):
        parse(HEAD + ROW).metric(name, block, tags)


@pytest.mark.parametrize(
    ('rows', 'words'),
    [
        (ROW + ROW, 'more than once: a.b'),
        ('  - {name: A.b, block: one, description: A.}\n', 'is not a metric name'),
        ('  - {name: a, block: one, type: meter, description: A.}\n', 'type must be'),
        ('  - {name: a, block: one, orientation: 2, description: A.}\n', 'orientation'),
        ('  - {name: a, block: one, type: count, additive: true, description: A.}\n', 'additive'),
        ('  - {name: a, block: one}\n', "'a'"),
        ('  - {name: a, block: one, description: A., color: red}\n', 'color'),
    ],
)
def test_faulty_rows_are_named(rows, words):
    with pytest.raises(ValueError, match=words):
        parse(HEAD + rows)


@pytest.mark.parametrize('source', ['collector', *SOURCES])
def test_descriptions_fit_into_metadata(source):
    for metric in load(source).metrics:
        description = ' '.join(metric.description.split())
        assert description.isascii(), metric.name
        assert len(description) <= 400, metric.name
        assert '|' not in description, metric.name


@pytest.mark.parametrize('source', SOURCES)
def test_prefix_is_the_source(source):
    assert load(source).prefix == f'metta.{source}.'


@pytest.mark.parametrize(
    ('tags', 'words'),
    [
        ('', 'without a bound.*: kind'),
        ('tags:\n  kind: {description: Kind, limit: 5}\n  color: {description: Color, limit: 5}\n', 'not used: color'),
        ('tags:\n  kind: {description: Kind}\n', 'tag kind: set'),
        ('tags:\n  kind: {description: Kind, limit: 5, option: max_kinds}\n', 'tag kind: set'),
        ('tags:\n  kind: {description: Kind, limit: many}\n', 'tag kind: limit'),
        ('tags:\n  kind: {limit: 5}\n', "tag 'kind'"),
        ('tags:\n  kind: 5\n', "tag 'kind'"),
        ('tags: 5\n', 'not a catalog'),
    ],
)
def test_every_tag_has_one_bound(tags, words):
    with pytest.raises(ValueError, match=words):
        parse(f'source: x\nprefix: metta.x.\n{tags}metrics:\n{ROW}')


@pytest.mark.parametrize('source', SOURCES)
def test_options_that_limit_tags_exist(source):
    models = importlib.import_module(f'metta_checks.{source}.config_models.instance')
    options = {tag.option for tag in load(source).tags.values() if tag.option}
    assert options <= models.InstanceConfig.model_fields.keys()


def test_what_may_be_added_up():
    tags = '  os: {description: System, limit: 5}\n  label: {description: Label, limit: 5, overlapping: true}\n'
    head = f'source: x\nprefix: metta.x.\ntags:\n{tags}metrics:\n'
    row = '  - {{name: {}, block: one, {} tags: [{}], description: A.}}\n'
    rows = [('parts', 'additive: true,', 'os'), ('several', 'additive: true,', 'os, label'), ('share', '', 'os')]
    catalog = parse(head + ''.join(row.format(*one) for one in rows))
    assert [metric.name for metric in catalog.metrics if catalog.can_add_up(metric)] == ['parts']


@pytest.mark.parametrize('source', ['collector', *SOURCES])
def test_shares_and_times_do_not_add_up(source):
    added = [metric for metric in load(source).metrics if metric.additive]
    assert not [metric.name for metric in added if metric.unit in ('percent', 'fraction', 'second', 'day')]
    assert not [metric.name for metric in added if metric.name.endswith(('.p50', '.p90', '.max', '.avg', '_pct'))]

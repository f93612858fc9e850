"""Tags as Datadog stores them, and metrics whose values may be added up."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metta_checks.core.tags import MAX_TAG, format_tags, stored_tag
from metta_checks.testing import as_truth
from metta_checks.verify import Figure, compare


# Datadog's documentation: https://docs.datadoghq.com/getting_started/tagging/#define-tags
@pytest.mark.parametrize(
    ('text', 'stored'),
    [
        ('workflow:build images', 'workflow:build_images'),
        ('workflow:CI (Linux)', 'workflow:ci_linux'),
        ('env:staging:east', 'env:staging:east'),
        ('repo:metta-ai/metta.js', 'repo:metta-ai/metta.js'),
        ('user:ann@example.com, bob', 'user:ann_example.com_bob'),
        ('reason:a__b_', 'reason:a_b'),
        ('project:\u00c9tude \u2116 1', 'project:\u00e9tude_1'),
        ('project:\u65e5\u672c \U0001f680', 'project:\u65e5\u672c'),
        ('key:' + 'x' * 300, 'key:' + 'x' * (MAX_TAG - 4)),
    ],
)
def test_a_tag_is_what_datadog_stores(text, stored):
    assert stored_tag(text) == stored
    key, _, value = text.partition(':')
    assert format_tags({key: value}) == [stored]


@given(st.text())
def test_a_stored_tag_stays_as_it_is(text):
    tag = stored_tag(f'key:{text}')
    assert stored_tag(tag) == tag
    assert len(tag) <= MAX_TAG
    assert re.fullmatch(r'[\w:./-]+', tag)


def test_truth_and_verify_add_up_alike():
    figures = [Figure('metta.x.open', 1, ('state:In Review',)), Figure('metta.x.open', 2, ('state:in_review',))]
    assert as_truth(figures) == {('metta.x.open', ('state:in_review',)): 3}
    [pair] = compare([Figure('metta.x.open', 3, ('state:in_review',))], figures)
    assert pair.agrees

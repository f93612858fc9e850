"""The table of blocks: what the sources declare, and the rules of a pass."""

from __future__ import annotations

import pytest

from metta_checks.check import SOURCES, source_class
from metta_checks.core import catalog
from metta_checks.core.blocks import Block, table

# Metrics about the pass itself, whatever became of its blocks.
OF_THE_PASS = 'refresh'


@pytest.mark.parametrize('source', SOURCES)
def test_the_table_and_the_catalog_name_the_same_blocks(source):
    declared = {one.name for one in table(source_class(source))}
    silent = {'projects'} if source == 'wandb' else set()
    assert declared - silent == {metric.block for metric in catalog.load(source).metrics} - {OF_THE_PASS}


@pytest.mark.parametrize('source', SOURCES)
def test_a_block_is_declared_behind_what_it_refers_to(source):
    blocks = table(source_class(source))
    seen: set[Block] = set()
    for one in blocks:
        assert {reference.block for reference in (*one.needs, *one.uses)} <= seen
        seen.add(one)
    assert len({one.key() for one in blocks}) == len(blocks)

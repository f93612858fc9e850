"""Batches: readings of many subjects at once, and the order of the blocks that refer to them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pytest

from metta_checks.core import catalog
from metta_checks.core.blocks import BlockRunner, subjects, table
from metta_checks.core.budget import Budget
from metta_checks.core.errors import NotFound, SourceError, Unauthorized, Unavailable
from metta_checks.core.refresh import Attempt, Refresh, RefreshContext
from metta_checks.core.snapshot import Snapshot
from metta_checks.testing import Clock


@dataclass(frozen=True)
class Thing:
    key: str

    @property
    def tags(self) -> dict[str, str]:
        return {}


class Check:
    """Reads five things, in groups of two. `broken` maps what is read to its error."""

    def __init__(self) -> None:
        self.table = table(type(self))
        self.read: list[str] = []
        self.broken: dict[str, Exception] = {}
        # Errors of single parts.
        self.refused: dict[str, SourceError] = {}
        self.wants_counts = True

    def base_tags(self) -> Mapping[str, str]:
        return {}

    def note(self, what: str) -> None:
        self.read.append(what)
        if what in self.broken:
            raise self.broken[what]

    @subjects(together=2)
    def things(self, refresh: Refresh) -> Iterator[Thing]:
        yield from map(Thing, 'abcde')

    @things.batch()
    def names(self, refresh: Refresh, wanted: Sequence[Thing]) -> Mapping[str, str | SourceError]:
        self.note(f'names {"".join(one.key for one in wanted)}')
        return {one.key: self.refused.get(one.key) or one.key.upper() for one in wanted if one.key != 'd'}

    @things.batch(names)
    def sizes(self, refresh: Refresh, wanted: Sequence[tuple[Thing, str]]) -> Mapping[str, int | SourceError]:
        self.note(f'sizes {"".join(name for _, name in wanted)}')
        return {one.key: ord(name) for one, name in wanted}

    @things.block(names)
    def name(self, attempt: Attempt[None], thing: Thing, name: str) -> str:
        self.note(f'name {name}')
        return name * 2

    @things.block(uses=names)
    def shown(self, attempt: Attempt[None], thing: Thing, name: str | None) -> None:
        self.note(f'shown {name}')

    def shows_counts(self) -> bool:
        return self.wants_counts

    @things.batch(name)
    def counts(self, refresh: Refresh, wanted: Sequence[tuple[Thing, str]]) -> Mapping[str, int | SourceError]:
        self.note(f'counts {"".join(name for _, name in wanted)}')
        return {one.key: 1 for one, _ in wanted}

    @things.block(sizes, counts, when=shows_counts)
    def count(self, attempt: Attempt[None], thing: Thing, size: int, count: int) -> None:
        self.note(f'count {thing.key} {size}')


class Passes:
    """Passes of one check over one snapshot."""

    def __init__(self) -> None:
        self.check = Check()
        self.clock = Clock()
        self.snapshot = Snapshot()

    def run(self) -> dict[tuple[str, str], str]:
        """Return the reasons of the failures, by subject and block."""
        self.check.read.clear()
        budget = Budget(self.clock)
        budget.start(600)
        context = RefreshContext(self.snapshot, catalog.load('kubernetes'), budget, logging.getLogger('test'), 900)
        refresh = Refresh(context, now=self.clock.now(), full=True)
        BlockRunner(self.check, refresh).run()
        return {(problem.subject, problem.block): problem.reason for problem in refresh.problems}


@pytest.fixture
def passes() -> Passes:
    return Passes()


def test_a_batch_is_read_once_per_group_before_the_first_block_that_refers_to_it(passes):
    reasons = passes.run()
    assert passes.check.read[:9] == [
        'names ab', 'name A', 'name B', 'shown A', 'shown B', 'sizes AB', 'counts AABB', 'count a 65', 'count b 66',
    ]  # fmt: skip
    assert [line for line in passes.check.read if line.startswith(('names', 'sizes', 'counts'))] == [
        'names ab', 'sizes AB', 'counts AABB', 'names cd', 'sizes C', 'counts CC', 'names e', 'sizes E', 'counts EE',
    ]  # fmt: skip
    assert reasons == {('d', 'name'): 'dependency', ('d', 'count'): 'dependency'}
    assert 'shown None' in passes.check.read


def test_the_error_of_one_subject_is_that_of_its_blocks_alone(passes):
    passes.check.refused = {'a': NotFound('there is no a')}
    reasons = passes.run()
    assert reasons['a', 'name'] == reasons['a', 'count'] == 'not_found'
    assert {subject for subject, _ in reasons} == {'a', 'd'}
    assert 'sizes B' in passes.check.read


def test_the_error_of_a_batch_is_that_of_the_subjects_of_the_group(passes):
    passes.check.broken = {'names cd': Unavailable('away')}
    reasons = passes.run()
    assert {subject for subject, block in reasons if block == 'name'} == {'c', 'd'}
    assert 'names e' in passes.check.read
    assert ('c', 'shown') not in reasons


def test_an_unexpected_error_of_a_batch_is_an_unexpected_error_of_its_blocks(passes):
    passes.check.broken = {'names ab': KeyError('x'), 'counts CC': KeyError('y')}
    reasons = passes.run()
    assert reasons['a', 'name'] == reasons['b', 'count'] == reasons['c', 'count'] == 'internal'
    assert ('c', 'name') not in reasons


def test_refused_credentials_end_the_batches_too(passes):
    passes.check.broken = {'names ab': Unauthorized('no')}
    passes.run()
    assert passes.check.read == ['names ab']


def test_a_batch_that_no_block_wants_is_not_read(passes):
    passes.check.wants_counts = False
    passes.run()
    assert not [line for line in passes.check.read if line.startswith(('sizes', 'counts'))]

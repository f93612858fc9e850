"""The table of blocks: what the sources declare, and the rules of a pass."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from metta_checks.check import SOURCES, source_class
from metta_checks.core import catalog
from metta_checks.core.blocks import Batch, Block, BlockRunner, Reference, Stored, block, subjects, table
from metta_checks.core.budget import Budget
from metta_checks.core.errors import Unavailable
from metta_checks.core.refresh import Attempt, Refresh, RefreshContext
from metta_checks.core.snapshot import Snapshot
from metta_checks.core.stored import stored
from metta_checks.testing import Clock

# Metrics about the pass itself, whatever became of its blocks.
OF_THE_PASS = 'refresh'


@pytest.mark.parametrize('source', SOURCES)
def test_the_table_and_the_catalog_name_the_same_blocks(source):
    declared = {one.name for one in table(source_class(source))}
    silent = {'project_list'} if source == 'wandb' else set()
    assert declared - silent == {metric.block for metric in catalog.load(source).metrics} - {OF_THE_PASS}


@pytest.mark.parametrize('source', SOURCES)
def test_a_block_is_declared_behind_what_it_refers_to(source):
    blocks = table(source_class(source))
    seen: set[Block] = set()
    for one in blocks:
        assert set(_blocks_of(*one.needs, *one.uses)) <= seen
        seen.add(one)
    # Blocks of different subjects may have one name.
    assert len({(one.key(), one.subjects) for one in blocks}) == len(blocks)


def _blocks_of(*references: Reference) -> Iterator[Block]:
    """Yield the blocks referred to, through batches as well."""
    for one in references:
        if isinstance(one, Batch):
            yield from _blocks_of(*one.needs)
        elif isinstance(one, Stored):
            yield one.block
        else:
            assert isinstance(one, Block)
            yield one


# A pass, over a check that writes down what it is asked to read.


@stored
class Names:
    names: tuple[str, ...]


@dataclass(frozen=True)
class Thing:
    key: str

    @property
    def tags(self) -> dict[str, str]:
        return {}


class Check:
    """Blocks of all kinds. `broken` ones fail, `things` are the subjects."""

    def __init__(self) -> None:
        self.table = table(type(self))
        self.read: list[str] = []
        self.broken: set[str] = set()
        self.things = ['a', 'b']
        self.wanted = True

    def base_tags(self) -> Mapping[str, str]:
        return {}

    def note(self, name: str) -> None:
        self.read.append(name)
        if name in self.broken:
            raise Unavailable(f'{name} is broken')

    def hour(self) -> float:
        return 3600

    def is_wanted(self) -> bool:
        return self.wanted

    @block(state=Names)
    def first(self, attempt: Attempt[Names]) -> int:
        self.note('first')
        attempt.state = Names(('x',))
        return 1

    @block(first)
    def second(self, attempt: Attempt[None], one: int) -> None:
        self.note(f'second {one}')

    @block(uses=first)
    def third(self, attempt: Attempt[None], one: int | None) -> None:
        self.note(f'third {one}')

    def has_one(self, one: int | None) -> bool:
        return one is not None

    @block(uses=first, given=has_one)
    def fourth(self, attempt: Attempt[None], one: int | None) -> None:
        self.note('fourth')

    @block(Stored(first), every=hour, when=is_wanted)
    def slow(self, attempt: Attempt[None], known: Names) -> None:
        self.note(f'slow {known.names[0]}')

    @subjects
    def each(self, refresh: Refresh) -> Iterator[Thing]:
        for key in self.things:
            yield Thing(key)
            self.read.append(f'after {key}')

    @each.block()
    def upper(self, attempt: Attempt[None], thing: Thing) -> str:
        self.note(f'upper {thing.key}')
        return thing.key.upper()

    @each.block(upper)
    def lower(self, attempt: Attempt[None], thing: Thing, upper: str) -> None:
        self.note(f'lower {upper}')


class Passes:
    """Passes of one check over one snapshot."""

    def __init__(self) -> None:
        self.check = Check()
        self.clock = Clock()
        self.snapshot = Snapshot()

    def run(self, *, full: bool = True) -> Refresh:
        self.check.read.clear()
        budget = Budget(self.clock)
        budget.start(600)
        context = RefreshContext(self.snapshot, catalog.load('kubernetes'), budget, logging.getLogger('test'), 900)
        refresh = Refresh(context, now=self.clock.now(), full=full)
        BlockRunner(self.check, refresh).run()
        return refresh

    def restart(self, change=lambda text: text) -> None:
        moment = self.clock.now().timestamp()
        self.snapshot = Snapshot.load(change(self.snapshot.dump(moment)), moment)


@pytest.fixture
def passes() -> Passes:
    return Passes()


SUBJECTS = ['upper a', 'lower A', 'after a', 'upper b', 'lower B', 'after b']


def test_blocks_are_attempted_in_order_with_what_they_need(passes):
    passes.run()
    assert passes.check.read == ['first', 'second 1', 'third 1', 'fourth', 'slow x', *SUBJECTS]


def test_a_failed_block_fails_those_that_need_it_and_no_others(passes):
    passes.check.broken = {'first', 'upper a'}
    refresh = passes.run()
    # `slow` needs what the first one remembers, and it remembers nothing yet; `fourth` has nothing to do.
    assert passes.check.read == ['first', 'third None', 'upper a', 'after a', 'upper b', 'lower B', 'after b']
    reasons = {(problem.subject, problem.block): problem.reason for problem in refresh.problems}
    assert reasons == {
        ('', 'first'): 'unavailable',
        ('', 'second'): 'dependency',
        ('', 'slow'): 'dependency',
        ('a', 'upper'): 'unavailable',
        ('a', 'lower'): 'dependency',
    }
    assert ('', 'fourth') not in refresh.attempted


def test_a_block_with_an_interval_waits_for_it(passes):
    passes.run()
    passes.clock.advance(900)
    passes.run()
    assert 'slow x' not in passes.check.read
    passes.clock.advance(2700)
    passes.run()
    assert 'slow x' in passes.check.read


def test_what_a_block_had_to_do_without_unblocks_it_at_once(passes):
    passes.check.broken = {'first'}
    passes.run()
    passes.check.broken.clear()
    passes.clock.advance(60)
    passes.run(full=False)
    assert passes.check.read == ['first', 'second 1', 'third 1', 'fourth', 'slow x', 'after a', 'after b']


def test_of_a_block_that_is_off_nothing_is_left(passes):
    passes.run()
    passes.check.wanted = False
    passes.clock.advance(3600)
    passes.run()
    assert 'slow x' not in passes.check.read
    assert ('', 'slow') not in passes.snapshot.blocks


def test_a_stored_state_is_read_back_as_its_type(passes):
    passes.run()
    passes.restart()
    passes.check.broken = {'first'}
    passes.clock.advance(3600)
    passes.run()
    assert 'slow x' in passes.check.read


def test_a_stored_state_of_another_shape_makes_its_block_cold(passes):
    passes.run()
    passes.restart(lambda text: text.replace('"names":["x"]', '"names":"x"'))
    passes.clock.advance(900)
    passes.run()
    # It came again in this pass: what needs it does not wait for its interval.
    assert 'slow x' in passes.check.read


def test_between_full_passes_only_what_waited_is_tried_with_its_siblings(passes):
    passes.check.broken = {'upper a'}
    passes.run()
    passes.check.broken.clear()
    passes.clock.advance(60)
    passes.run(full=False)
    assert passes.check.read == ['upper a', 'lower A', 'after a', 'after b']

"""Dependence of a widget on template variables: which selections of values let the same series pass its filters?

A drawing depends on the values only through the series, checks and events that pass. So one drawing serves all
selections with which the same ones pass, and a page needs few drawings for many combinations of values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice, product
from math import prod
from typing import TypeAlias

from ..query import variables_in
from ..query_tree import AllOf, AnyOf, Filter, Membership, Not, Variable
from ..query_tree import Condition as Filtered
from .choices import Offered, Selection
from .filters import EVERYTHING, MAX_VARIABLES, Tagged, tag_is

# A condition on a selection: the index of a leaf, or ('all' | 'any' | 'not', conditions ...). ('all',) always holds,
# ('any',) never.
Condition: TypeAlias = 'int | tuple[object, ...]'
ALWAYS: Condition = ('all',)
NEVER: Condition = ('any',)
# Selections that are compared per dependence, and values of one variable that are combined.
MAX_COMBINATIONS = 4096
MAX_SELECTIONS = 512
# Conditions that are evaluated per dependence, for all selections together.
MAX_EVALUATIONS = 500_000


@dataclass(frozen=True, slots=True)
class Leaf:
    """True when one of `values` (indices) is chosen, or all values, if `everything` says so."""

    variable: int
    values: frozenset[int]
    everything: bool = True

    def holds(self, selection: Selection) -> bool:
        """Return whether the selection has one of the values."""
        chosen = selection[self.variable]
        return not self.values.isdisjoint(chosen) if chosen else self.everything


@dataclass(frozen=True, slots=True)
class Dependence:
    """Conditions under which the series of a widget pass its filters, each distinct condition once."""

    leaves: tuple[Leaf, ...]
    conditions: tuple[Condition, ...]

    @classmethod
    def of(cls, filtered: Iterable[tuple[Filter, Iterable[Tagged]]], offered: Sequence[Offered]) -> Dependence:
        """Return the dependence of filters and the things that they are applied to."""
        conditions = _Conditions(offered)
        found = {conditions.of(filter_, one): None for filter_, things in filtered for one in things}
        return cls(tuple(conditions.leaves), tuple(one for one in found if one not in (ALWAYS, NEVER)))

    def signature(self, selection: Selection) -> str:
        """Return a 1 per condition that holds, else a 0."""
        truths = [leaf.holds(selection) for leaf in self.leaves]
        return ''.join('1' if holds(condition, truths) else '0' for condition in self.conditions)

    def reachable(self, first: Iterable[Selection], offered: Sequence[Offered]) -> dict[str, Selection]:
        """Return a selection per signature: those of `first`, then those with the fewest values.

        With many values, selections of several of them are left out.
        """
        found: dict[str, Selection] = {}
        for selection in (*first, *self._selections(offered)):
            found.setdefault(self.signature(selection), selection)
        return found

    def _selections(self, offered: Sequence[Offered]) -> list[Selection]:
        """Return the distinct selections of all variables, those with the fewest values first."""
        lists = [list(self._of_variable(index, len(one.values))) for index, one in enumerate(offered)]
        largest = max((len(one) for some in lists for one in some), default=0)
        most = min(MAX_COMBINATIONS, MAX_EVALUATIONS // max(1, len(self.conditions)))
        while prod(map(len, lists)) > most and largest > 1:
            largest -= 1
            lists = [[one for one in some if len(one) <= largest] for some in lists]
        largest_total = sum(len(some[-1]) for some in lists)
        by_total = chain.from_iterable(_with_total(total, lists) for total in range(largest_total + 1))
        return list(islice(by_total, most))

    def _of_variable(self, variable: int, values: int) -> Iterator[frozenset[int]]:
        """Yield the selections of one variable that differ in the leaves that hold, the smallest first."""
        own = [leaf for leaf in self.leaves if leaf.variable == variable]
        yield frozenset()
        if not own:
            return
        effects: dict[frozenset[int], int] = {}
        for value in range(values):
            effect = frozenset(place for place, leaf in enumerate(own) if value in leaf.values)
            effects.setdefault(effect, value)
        seen: set[frozenset[int]] = set()
        # Selections of one size, by the leaves that hold. The next ones have one value more. With wildcards, few of the
        # many combinations of values differ.
        last: dict[frozenset[int], frozenset[int]] = {frozenset(): frozenset()}
        while last:
            larger: dict[frozenset[int], frozenset[int]] = {}
            for (union, chosen), (effect, value) in product(last.items(), effects.items()):
                if (found := union | effect) not in seen:
                    seen.add(found)
                    larger[found] = chosen | {value}
                    yield larger[found]
                if len(seen) >= MAX_SELECTIONS:
                    return
            last = larger


class _Conditions:
    """Simplify filters to the conditions under which a thing passes them."""

    def __init__(self, offered: Sequence[Offered]) -> None:
        self.leaves: dict[Leaf, int] = {}
        self._places = {one.name: index for index, one in enumerate(offered)}
        self._offered = offered
        self._known: dict[tuple[int, str, tuple[str, ...]], Condition] = {}

    def of(self, filter_: Filter, thing: Tagged) -> Condition:
        match filter_:
            case AllOf(filters):
                return _all(self.of(one, thing) for one in filters)
            case AnyOf(filters):
                return _any(self.of(one, thing) for one in filters)
            case Not(inner):
                return _not(self.of(inner, thing))
            case Variable(name, _, tag):
                if name not in self._places:
                    # The widget is a box with the reason, whatever is chosen.
                    return NEVER
                place = self._places[name]
                return self._variable(place, tag or self._offered[place].prefix, thing)
            case Membership(tag, values):
                return _any(self._value(tag, value, thing) for value in values)
            case Filtered(tag, value):
                return self._value(tag, value, thing)
        raise TypeError(f'not a filter: {filter_!r}')

    def _value(self, tag: str, value: str, thing: Tagged) -> Condition:
        """Return the condition of a tag's value, with a part for each value of the variables in it."""
        names = list(dict.fromkeys(variables_in(value)))
        if len(names) > MAX_VARIABLES or not all(name in self._places for name in names):
            # The widget is a box with the reason, whatever is chosen.
            return NEVER
        return self._filled(tag, value, names, thing)

    def _filled(self, tag: str, value: str, names: list[str], thing: Tagged) -> Condition:
        """Return the condition of a tag's value in which these variables are still to be replaced."""
        if not tag_is(tag, (_with_any(value, names),))(thing):
            return NEVER
        if not names:
            return ALWAYS
        name, *others = names
        place = self._places[name]
        parts = [
            (Leaf(place, frozenset({index}), everything=False), each)
            for index, each in enumerate(self._offered[place].values)
        ]
        parts.append((Leaf(place, frozenset()), EVERYTHING))
        return _any(
            _all((self._leaf(leaf), self._filled(tag, value.replace(f'${name}.value', each), others, thing)))
            for leaf, each in parts
        )

    def _leaf(self, leaf: Leaf) -> int:
        return self.leaves.setdefault(leaf, len(self.leaves))

    def _variable(self, place: int, key: str, thing: Tagged) -> Condition:
        """Return the leaf of a variable and the values that the thing has."""
        known = place, key, tuple(thing.by_key.get(key.lower(), ()) if key else thing.tags)
        if known not in self._known:
            values = self._offered[place].values
            leaf = Leaf(place, frozenset(n for n, value in enumerate(values) if tag_is(key, (value,))(thing)))
            self._known[known] = self._leaf(leaf)
        return self._known[known]


def _with_total(total: int, lists: Sequence[Sequence[frozenset[int]]]) -> Iterator[Selection]:
    """Yield the selections, one of each list, that have this number of values. Lists begin with the smallest ones."""
    if not lists:
        yield ()
        return
    first, *others = lists
    most = sum(len(some[-1]) for some in others)
    for one in first:
        if 0 <= total - len(one) <= most:
            yield from ((one, *rest) for rest in _with_total(total - len(one), others))


def _with_any(value: str, names: Iterable[str]) -> str:
    """Return a tag's value in which variables stand for anything."""
    for name in names:
        value = value.replace(f'${name}.value', EVERYTHING)
    return value


def _all(conditions: Iterable[Condition]) -> Condition:
    some = [one for one in dict.fromkeys(conditions) if one != ALWAYS]
    if NEVER in some:
        return NEVER
    return some[0] if len(some) == 1 else ('all', *some)


def _any(conditions: Iterable[Condition]) -> Condition:
    some = [one for one in dict.fromkeys(conditions) if one != NEVER]
    if ALWAYS in some:
        return ALWAYS
    return some[0] if len(some) == 1 else ('any', *some)


def _not(condition: Condition) -> Condition:
    return {ALWAYS: NEVER, NEVER: ALWAYS}.get(condition, ('not', condition))


def holds(condition: object, truths: Sequence[bool]) -> bool:
    """Return whether a condition holds, from the truth of each leaf."""
    match condition:
        case int(leaf):
            return truths[leaf]
        case ('not', inner):
            return not holds(inner, truths)
        case ('all', *some):
            return all(holds(one, truths) for one in some)
        case ('any', *some):
            return any(holds(one, truths) for one in some)
    raise TypeError(f'not a condition: {condition!r}')


def numbered(dependences: Iterable[Dependence]) -> Mapping[Dependence, int]:
    """Return a number for each distinct dependence."""
    return {one: index for index, one in enumerate(dict.fromkeys(dependences))}

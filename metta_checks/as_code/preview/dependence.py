"""Dependence of a widget on template variables: which selections of values let the same series pass its filters?

A drawing depends on the values only through the series, checks and events that pass. So one drawing serves all
selections with which the same ones pass, and a page needs few drawings for many combinations of values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from math import prod
from typing import TypeAlias

from ..query import variables_in
from ..query_tree import AllOf, AnyOf, Filter, Membership, Not, Variable
from ..query_tree import Condition as Filtered
from .choices import Offered, Selection
from .filters import EVERYTHING, Tagged, tag_is

# A condition on a selection: the index of a leaf, or ('all' | 'any' | 'not', conditions ...). ('all',) always holds,
# ('any',) never.
Condition: TypeAlias = 'int | tuple[object, ...]'
ALWAYS: Condition = ('all',)
NEVER: Condition = ('any',)
# Selections that are compared per dependence, and values of one variable that are combined.
MAX_COMBINATIONS = 4096
MAX_SELECTIONS = 512


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
        while prod(map(len, lists)) > MAX_COMBINATIONS and largest > 1:
            largest -= 1
            lists = [[one for one in some if len(one) <= largest] for some in lists]
        together = sorted(product(*lists), key=lambda selection: sum(map(len, selection)))
        return together[:MAX_COMBINATIONS]

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
        for size in range(1, len(effects) + 1):
            for some in combinations(effects.items(), size):
                union = frozenset().union(*(effect for effect, _ in some))
                if union not in seen:
                    seen.add(union)
                    yield frozenset(value for _, value in some)
                if len(seen) >= MAX_SELECTIONS:
                    return


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
        name = next(iter(variables_in(value)), None)
        if name is None:
            return ALWAYS if tag_is(tag, (value,))(thing) else NEVER
        if name not in self._places:
            return NEVER
        place = self._places[name]
        parts = [
            (Leaf(place, frozenset({index}), everything=False), each)
            for index, each in enumerate(self._offered[place].values)
        ]
        parts.append((Leaf(place, frozenset()), EVERYTHING))
        return _any(
            _all((self._leaf(leaf), self._value(tag, value.replace(f'${name}.value', each), thing)))
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

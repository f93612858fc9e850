"""Queries of metric monitors, parsed into the tree of query_tree.py.

monitor := (head ':' expression | 'formula("' formula '")' [rollup] '.last("' time '")') comparator number [groups]
"""

from __future__ import annotations

import re

from .query import Parser, parse_formula
from .query_tree import MonitorQuery, QuerySyntaxError, grouped
from .scanner import NUMBER, WORD

MONITOR_AGGREGATORS = ('avg', 'sum', 'min', 'max', 'percentile')
CHANGES = ('change', 'pct_change')
COMPARATORS = ('>=', '<=', '==', '!=', '>', '<')
_WINDOW = re.compile(r'(?:last|next)_\d+(?:mo|m|h|d|w|q)|current_1(?:h|d|mo)')
# Also the window before, of the same or another length: `change(avg(last_5m),last_10m)`.
_SHIFT = re.compile(r'\d+(?:mo|m|h|d|w)_ago|last_\d+(?:mo|m|h|d|w)')
# A monitor of a formula over queries that are in its options.
_FORMULA = re.compile(r'formula\(\s*"([^"]*)"\s*\)')
_ROLLUP = re.compile(r'\.\s*rollup\(\s*"(\w+)"\s*\)')
_LAST = re.compile(r'\.\s*last\(\s*"(\d+(?:mo|m|h|d|w))"\s*\)')


def parse_monitor(text: str) -> MonitorQuery:
    """Parse the query of a metric monitor. Raises QuerySyntaxError."""
    return _MonitorParser(text).whole(_MonitorParser.monitor)


class _MonitorParser(Parser):
    """Recursive descent over the query of a monitor."""

    def monitor(self) -> MonitorQuery:
        if formula := self.match(_FORMULA):
            return self.of_formula(formula)
        self.space()
        column = self.position
        head = self.match(WORD)
        change = shift = ''
        if head and head[0] in CHANGES:
            change = head[0]
            self.need('(')
            column = self.position
            head = self.match(WORD)
        if not head or head[0] not in MONITOR_AGGREGATORS:
            choices = ', '.join((*MONITOR_AGGREGATORS, *(() if change else CHANGES)))
            raise self.error(f'a monitor query begins with one of {choices}', column)
        self.need('(')
        window = self.match(_WINDOW)
        if not window:
            raise self.error('expected a window such as last_30m')
        self.need(')')
        if change:
            shift = self.shift()
        self.need(':')
        expression = self.expression()
        comparator = self.comparator()
        threshold = self.threshold()
        # Groups after the threshold, as in a monitor that Datadog ships: those of the series without groups.
        expression = grouped(expression, self.groups())
        return MonitorQuery(head[0], window[0], expression, comparator, threshold, change, shift)

    def of_formula(self, formula: re.Match[str]) -> MonitorQuery:
        """Read the part of a monitor after its formula."""
        try:
            expression = parse_formula(formula[1])
        except QuerySyntaxError as error:
            raise QuerySyntaxError(f'in the formula: {error}', formula.start(1) + error.column) from None
        rollup = self.match(_ROLLUP)
        last = self.match(_LAST)
        if not last:
            raise self.error('expected a window such as .last("5m")')
        comparator = self.comparator()
        aggregator = rollup[1] if rollup else 'avg'
        return MonitorQuery(aggregator, f'last_{last[1]}', expression, comparator, self.threshold(), is_formula=True)

    def comparator(self) -> str:
        comparator = next((one for one in COMPARATORS if self.take(one)), '')
        if not comparator:
            raise self.error(f'expected one of {" ".join(COMPARATORS)}')
        return comparator

    def shift(self) -> str:
        """Read the end of a change: its shift and the parenthesis after it."""
        self.need(',')
        found = self.match(_SHIFT)
        if not found:
            raise self.error('expected a shift such as 1d_ago')
        self.need(')')
        return found[0]

    def threshold(self) -> float:
        sign = -1 if self.take('-') else 1
        number = self.match(NUMBER)
        if not number:
            raise self.error('expected the threshold, a number')
        return sign * float(number[0])

"""A widget's request, parsed: queries by name, formulas with alias and unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..declared import declared
from ..query import parse_formula, parse_query
from ..query_tree import (
    Call,
    Expression,
    Function,
    Group,
    Negative,
    QuerySyntaxError,
    Reference,
    Series,
    series,
    walk,
)
from . import functions
from .filters import NotDrawn
from .functions import SHIFTS
from .scale import VERBATIM


class ParsedRequest:
    """A parsed request: `queries` are (text, aggregator) by name. Raises NotDrawn for forms that are not drawn."""

    def __init__(self, request: Mapping[str, Any]) -> None:
        self.request = request
        self.queries: dict[str, tuple[str, str]] = {}
        if 'q' in request:
            self._texts = self._old_form(request)
            self.formulas = [self._formula(text['formula']) for text in self._texts]
            return
        queries = request.get('queries')
        if not queries:
            raise NotDrawn('the request has no queries')
        for index, query in enumerate(queries, 1):
            if query.get('data_source') != 'metrics':
                raise NotDrawn(f'not drawn here: data source {query.get("data_source")!r}')
            self.queries[query.get('name') or f'query{index}'] = (query['query'], query.get('aggregator') or 'avg')
        self._texts = list(request.get('formulas') or ()) or [{'formula': name} for name in self.queries]
        self.formulas = [self._formula(text['formula']) for text in self._texts]

    def _old_form(self, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Add the queries of the form before formulas, `q`; return a formula for each, with its alias."""
        names = {str(one.get('expression')).strip(): one.get('alias_name') for one in request.get('metadata') or ()}
        expressions = _separated(str(request['q']))
        texts = []
        for index, expression in enumerate(expressions, 1):
            self.queries[f'query{index}'] = (expression, str(request.get('aggregator') or 'avg'))
            alias = names.get(expression) or (request.get('alias') if len(expressions) == 1 else None)
            texts.append({'formula': f'query{index}', 'alias': alias or (expression if len(expressions) > 1 else '')})
        return texts

    @staticmethod
    def _formula(text: str) -> Expression:
        try:
            return parse_formula(text)
        except QuerySyntaxError as error:
            raise NotDrawn(f'does not parse: {text}: {error}') from error

    def aliased(self, index: int) -> bool:
        """Return whether the formula has an alias."""
        return bool(self._texts[index].get('alias'))

    def column(self, index: int) -> tuple[str, str]:
        """Return (alias or formula, unit) of a formula."""
        text = self._texts[index]
        return str(text.get('alias') or self._said(text['formula'])), self._unit(index)

    def _said(self, formula: str) -> str:
        """Return the text of a formula; of the old form, that of its query."""
        return self.queries[formula][0] if 'q' in self.request else formula

    def _unit(self, index: int) -> str:
        """Return the unit that the formula sets, else that of the metric where a single one is shown."""
        unit = (self._texts[index].get('number_format') or {}).get('unit') or {}
        if unit.get('type') == 'canonical_unit':
            return _unit(str(unit.get('unit_name') or ''), str(unit.get('per_unit_name') or ''))
        if unit.get('type') == 'custom_unit_label':
            label = str(unit.get('label') or '')
            return f'{VERBATIM}{label}' if label else ''
        series = self._series(index)
        metric = declared().get(series.metric) if series else None
        if series is None or metric is None or any(call.name == 'as_rate' for call in series.modifiers):
            return ''
        return _unit(metric.unit, metric.per_unit)

    def _series(self, index: int) -> Series | None:
        """Return the series whose unit a formula has; None for a calculated value."""
        node = _kept(self.formulas[index])
        if isinstance(node, Reference) and node.name in self.queries:
            try:
                node = _kept(parse_query(self.queries[node.name][0]))
            except QuerySyntaxError:
                return None
        return node if isinstance(node, Series) else None

    def compare(self) -> None:
        """Bring the formulas of a change widget into the order now, before."""
        if len(self.formulas) == 1:
            shift = str(self.request.get('compare_to') or 'hour_before')
            self.formulas.append(Function(Call(shift, (self.formulas[0],))))
            self._texts.append({**self._texts[0], 'alias': shift.replace('_', ' ')})
        elif len(self.formulas) != 2:
            raise NotDrawn('a change compares two formulas')
        elif _looks_back(self.formulas[0]) and not _looks_back(self.formulas[1]):
            self.formulas.reverse()
            self._texts.reverse()


def series_of(request: Mapping[str, Any]) -> list[Series]:
    """Return the series that a request reads; none of a request that is not drawn."""
    try:
        parsed = [parse_query(text) for text, _ in ParsedRequest(request).queries.values()]
    except (NotDrawn, QuerySyntaxError):
        return []
    return [one for expression in parsed for one in series(expression)]


def _separated(text: str) -> list[str]:
    """Return the expressions of a text that are separated by commas outside of all brackets."""
    found, depth = [''], 0
    for letter in text:
        depth += (letter in '({') - (letter in ')}')
        if letter == ',' and depth == 0:
            found.append('')
        else:
            found[-1] += letter
    return [one.strip() for one in found if one.strip()]


def _unit(name: str, per: str) -> str:
    return f'{name}/{per}' if name and per else name


def _kept(node: Expression) -> Expression:
    """Return the node that determines the unit of the expression, where there is one."""
    match node:
        case Negative(inner) | Group(inner):
            return _kept(inner)
        case Function(Call(name, (inner, *_))) if name in functions.UNIT_KEPT and not isinstance(inner, str):
            return _kept(inner)
    return node


def _looks_back(expression: Expression) -> bool:
    return any(isinstance(node, Function) and node.call.name in (*SHIFTS, 'timeshift') for node in walk(expression))

"""Rows of lists and tables: joined by group, in the order of the request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .filters import NotDrawn
from .frames import Frame, Group, Operand
from .result import Row


def label_of(group: Group) -> str:
    """Return the group's values as a label; empty without a group."""
    return ', '.join(value for _, value in group)


def joined(operands: Sequence[Operand]) -> list[Row]:
    """Return one row per group with a value per formula; a group with fewer tags fills each row that it matches."""
    frames = [operand for operand in operands if isinstance(operand, Frame)]
    if not frames:
        return [Row('', {}, tuple(operand for operand in operands if isinstance(operand, float)))]
    columns = [_column(operand) for operand in operands]
    rows = [Row(label_of(group), dict(group), tuple(column(group) for column in columns)) for group in _groups(frames)]
    return sorted((row for row in rows if any(value is not None for value in row.values)), key=lambda row: row.label)


def _groups(frames: Sequence[Frame]) -> list[Group]:
    """Return the groups with the most tags, each once. Raises NotDrawn if another frame has other tags."""
    widest = max(frames, key=lambda frame: len(frame.by))
    groups: dict[frozenset[tuple[str, str]], Group] = {}
    for frame in frames:
        if not set(frame.by) <= set(widest.by):
            raise NotDrawn(f'columns by different groups ({", ".join(widest.by)} and {", ".join(frame.by)})')
        if set(frame.by) == set(widest.by):
            for group in frame.groups:
                groups.setdefault(frozenset(group), group)
    return list(groups.values())


def _column(operand: Operand) -> Callable[[Group], float | None]:
    """Return a lookup of a formula's value by the group of a row."""
    if isinstance(operand, float):
        return lambda _: operand
    found = {frozenset(group): values[0] for group, values in operand.groups.items()}
    return lambda group: found.get(frozenset(pair for pair in group if pair[0] in operand.by))


def ordered(rows: list[Row], request: Mapping[str, Any]) -> list[Row]:
    """Sort by `sort` of the request or `limit` of a formula; else by the first formula, largest first."""
    orders, count = _order(request)
    # The last criterion is applied first, since sorting is stable.
    for order in reversed(orders):
        down = order.get('order', 'desc') == 'desc'
        if order.get('type') == 'group':
            name = str(order.get('name'))
            rows = sorted(rows, key=lambda row: row.group.get(name, ''), reverse=down)
        else:
            index = int(order.get('index', 0))
            rows = _by_value(rows, [row.values[index] for row in rows], down=down)
    return rows[: int(count)] if count is not None else rows


def _order(request: Mapping[str, Any]) -> tuple[Sequence[Mapping[str, Any]], Any]:
    """Return the criteria of the order, and the number of rows to show; None for all of them."""
    sort = request.get('sort') or {}
    count = sort.get('count')
    if sort.get('order_by'):
        return sort['order_by'], count
    index, limit = _limited_formula(request)
    order = {'type': 'formula', 'index': index, 'order': limit.get('order', 'desc')}
    return [order], limit.get('count') if count is None else count


def _limited_formula(request: Mapping[str, Any]) -> tuple[int, Mapping[str, Any]]:
    """Return the index and the limit of the first formula with a limit; without one, of the first formula."""
    for index, formula in enumerate(request.get('formulas') or ()):
        if formula.get('limit'):
            return index, formula['limit']
    return 0, {}


def _by_value(rows: list[Row], values: Sequence[float | None], *, down: bool) -> list[Row]:
    """Sort rows by these values, one per row; rows without a value come last in either direction."""
    known = [(value, row) for value, row in zip(values, rows, strict=True) if value is not None]
    known.sort(key=lambda pair: pair[0], reverse=down)
    return [row for _, row in known] + [row for value, row in zip(values, rows, strict=True) if value is None]


def changes(rows: list[Row], request: Mapping[str, Any]) -> list[Row]:
    """Return the rows of a change widget (now, before) in the order of its request."""
    relative = request.get('change_type') == 'relative'

    def difference(row: Row) -> float | None:
        now, before = row.values
        if now is None or before is None:
            return None
        if not relative:
            return now - before
        return (now - before) / before if before else None

    order = request.get('order_by') or 'change'
    down = (request.get('order_dir') or 'desc') == 'desc'
    if order == 'name':
        return sorted(rows, key=lambda row: row.label, reverse=down)
    if order == 'change':
        return _by_value(rows, [difference(row) for row in rows], down=down)
    column = 0 if order == 'present' else 1
    return _by_value(rows, [row.values[column] for row in rows], down=down)

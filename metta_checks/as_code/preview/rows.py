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
    widest = max(frames, key=lambda frame: len(frame.by))
    keys: dict[frozenset[tuple[str, str]], Group] = {}
    for frame in frames:
        if not set(frame.by) <= set(widest.by):
            raise NotDrawn(f'columns by different groups ({", ".join(widest.by)} and {", ".join(frame.by)})')
        if set(frame.by) == set(widest.by):
            for group in frame.groups:
                keys.setdefault(frozenset(group), group)
    columns = [_column(operand) for operand in operands]
    rows = [Row(label_of(group), dict(group), tuple(column(group) for column in columns)) for group in keys.values()]
    return sorted((row for row in rows if any(value is not None for value in row.values)), key=lambda row: row.label)


def _column(operand: Operand) -> Callable[[Group], float | None]:
    """Return a lookup of a formula's value by the group of a row."""
    if isinstance(operand, float):
        return lambda _: operand
    found = {frozenset(group): values[0] for group, values in operand.groups.items()}
    return lambda group: found.get(frozenset(pair for pair in group if pair[0] in operand.by))


def ordered(rows: list[Row], request: Mapping[str, Any]) -> list[Row]:
    """Sort by `sort` of the request or `limit` of a formula; else by the first formula, largest first."""
    sort = request.get('sort') or {}
    orders = sort.get('order_by') or ()
    count = sort.get('count')
    if not orders:
        limits = [
            (index, formula['limit'])
            for index, formula in enumerate(request.get('formulas') or ())
            if formula.get('limit')
        ]
        index, limit = limits[0] if limits else (0, {})
        orders = [{'type': 'formula', 'index': index, 'order': limit.get('order', 'desc')}]
        count = limit.get('count') if count is None else count
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

"""Blocks of a source as a Markdown table, from their declarations."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from metta_checks.check import source_class
from metta_checks.core.blocks import Block, Reference, Stored, table

HEADER = '| block | does | needs | uses | interval, if not `refresh_interval` | condition |'


def lines(source: str) -> list[str]:
    """Return the lines of the table of a source, in the order in which the blocks are attempted."""
    return [HEADER, '|' + ' --- |' * 6, *map(_row, table(source_class(source)))]


def _row(block: Block[Any]) -> str:
    cells = (
        f'`{block.name}`',
        _summary(block.read) + (' For each subject.' if block.subjects else ''),
        _names(block.needs),
        _names(block.uses),
        _said(block.every, 'Return '),
        _said(block.when, 'Return ', 'whether '),
    )
    return f'| {" | ".join(cell.replace("|", "/") for cell in cells)} |'


def _names(references: Iterable[Reference[Any]]) -> str:
    return ', '.join(
        f'`{one.name}`' + (' (as last remembered)' if isinstance(one, Stored) else '') for one in references
    )


def _summary(function: Callable[..., Any]) -> str:
    return (inspect.getdoc(function) or '').partition('\n')[0]


def _said(function: Callable[..., Any] | None, *beginnings: str) -> str:
    """Return the description of a function's result from its docstring."""
    text = '' if function is None else _summary(function).removesuffix('.')
    for beginning in beginnings:
        text = text.removeprefix(beginning)
    return ('if ' if 'whether ' in beginnings and text and not text.startswith('the option') else '') + text.replace(
        'the option', 'with option' if 'whether ' in beginnings else 'option'
    )

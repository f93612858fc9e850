"""The table of bounds in docs/security.md: its figures are those of the code, and its tests exist."""

from __future__ import annotations

import ast
import functools
import importlib
import re
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / 'docs' / 'security.md'
LINES = frozenset(range(1, 23))


class Row(NamedTuple):
    """A row of the table."""

    line: str
    situation: str
    bound: str
    constant: str
    test: str

    def __str__(self) -> str:
        """Return the id of the row."""
        return f'{self.line} {self.situation[:40]}'


def rows() -> list[Row]:
    """Return the rows of the table."""
    section = PAGE.read_text(encoding='utf-8').split('## Attacks, bounds and tests', 1)[1].split('\n## ', 1)[0]
    lines = [line for line in section.splitlines() if line.startswith('| ')]
    return [Row(*(cell.strip() for cell in line.strip('|').split('|'))) for line in lines[2:]]


def constant(name: str) -> float:
    """Return the value of a constant: of a module of the core, or of another part of the package."""
    *path, attribute = name.split('.')
    parent = 'core.' if len(path) == 1 else ''
    return getattr(importlib.import_module(f'metta_checks.{parent}{".".join(path)}'), attribute)


def written(value: float) -> set[str]:
    """Return the ways in which the page may write a value."""
    ways = {f'{value:,}', f'{value:,} s'}
    if not value % 2**20:
        ways.add(f'{value // 2**20} MiB')
    if not value % 3600:
        ways.add(f'{value // 3600} h')
    return ways


@functools.cache
def names_of_tests(path: str) -> frozenset[str]:
    """Return the names of the tests in a file."""
    tree = ast.parse((ROOT / path).read_text(encoding='utf-8'))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize('row', rows(), ids=str)
def test_every_row_names_its_tests(row):
    named = re.findall(r'`([\w/]+\.py)::(test_\w+)`', row.test)
    assert named
    assert [test for path, test in named if test not in names_of_tests(path)] == []


@pytest.mark.parametrize('row', [row for row in rows() if row.constant], ids=str)
def test_the_figures_are_those_of_the_code(row):
    value = constant(row.constant.strip('`'))
    assert any(re.search(rf'(?<![\d,.]){re.escape(way)}(?![\d,.]*\d)', row.bound) for way in written(value)), value


def test_every_kind_of_attack_has_a_row():
    assert {int(row.line) for row in rows() if row.line} == LINES

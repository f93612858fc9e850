"""Differences of two values in a few lines: of a long text line by line, around the first difference.

Everything that a change removes is shown in full, up to MAX_LOST characters: it would be lost.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Any

from .changes import ABSENT, Change

# A value of this length fits on the line of its path.
MAX_VALUE = 160
# Characters shown on both sides of a difference within a line.
AROUND = 40
MAX_LOST = 2000
ABSENCE = '(absent)'


def lines(change: Change) -> Iterator[str]:
    """Yield the lines that show a change: the first names its path, the following begin with `-`, `+` or a space."""
    old, new = _shown(change.old), _shown(change.new)
    if len(old) <= MAX_VALUE and len(new) <= MAX_VALUE:
        yield f'{change.path}: {old} -> {new}'
    elif isinstance(change.old, str) and isinstance(change.new, str):
        yield f'{change.path}:'
        yield from _of_texts(change.old, change.new)
    elif change.new is ABSENT:
        yield f'{change.path}: {_cut(old, MAX_LOST)} -> {new}'
    else:
        yield f'{change.path}: {_cut(old, MAX_LOST)} -> {_cut(new, MAX_VALUE)}'


def _shown(value: Any) -> str:
    return ABSENCE if value is ABSENT else json.dumps(value, ensure_ascii=False)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f'{text[:most]}... ({len(text)} characters)'


def _of_texts(old: str, new: str) -> Iterator[str]:
    """Yield the lines of two texts that differ: each pair of similar ones around their differences, others whole."""
    before, after = old.split('\n'), new.split('\n')
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for kind, old_start, old_end, new_start, new_end in matcher.get_opcodes():
        if kind == 'equal':
            continue
        gone, come = before[old_start:old_end], after[new_start:new_end]
        pairs = min(len(gone), len(come))
        for was, now in zip(gone, come, strict=False):
            yield from _of_lines(was, now)
        yield from (f'- {_cut(line, MAX_LOST)}' for line in gone[pairs:])
        yield from (f'+ {_cut(line, MAX_VALUE)}' for line in come[pairs:])


def _of_lines(old: str, new: str) -> Iterator[str]:
    """Yield two lines, shortened to the part between the first and the last difference and some text around it."""
    start = _common(old, new)
    end = _common(old[start:][::-1], new[start:][::-1])
    yield f'- {_part(old, start, end, MAX_LOST)}'
    yield f'+ {_part(new, start, end, MAX_VALUE)}'


def _common(one: str, other: str) -> int:
    """Return the number of characters at the start that are equal."""
    return next(
        (index for index, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


def _part(line: str, start: int, end: int, most: int) -> str:
    first, last = max(0, start - AROUND), len(line) - max(0, end - AROUND)
    middle = _cut(line[first:last], most + 2 * AROUND)
    return f'{"..." if first else ""}{middle}{"..." if last < len(line) else ""}'

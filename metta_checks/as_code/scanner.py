"""Tokens of one text, read from left to right, with errors that name their column."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self, TypeVar

from .query_tree import QuerySyntaxError

T = TypeVar('T')
MAX_DEPTH = 50
NUMBER = re.compile(r'(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?(?![\w.])')
WORD = re.compile(r'[A-Za-z_]\w*')


class Scanner:
    """A text and a position in it; every method leaves `position` after the text that it has read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.depth = 0

    def whole(self, rule: Callable[[Self], T]) -> T:
        """Return the result of a rule that must read the whole text."""
        result = rule(self)
        self.space()
        if self.position < len(self.text):
            raise self.error('expected the end')
        return result

    def error(self, expectation: str, column: int | None = None) -> QuerySyntaxError:
        """Return the error at a column (default: here), with the expected and the found text."""
        at = self.position if column is None else column
        rest = self.text[at : at + 20]
        return QuerySyntaxError(
            f'column {at + 1}: {expectation}, found {rest!r}'
            if rest
            else f'column {at + 1}: {expectation}, found the end',
            at,
        )

    @contextmanager
    def deeper(self) -> Iterator[None]:
        """Enter a bracket; raise when a text of nothing but brackets would exhaust Python's stack."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.error(f'nested more than {MAX_DEPTH} deep')
        yield
        self.depth -= 1

    def space(self) -> None:
        """Skip white space."""
        while self.position < len(self.text) and self.text[self.position].isspace():
            self.position += 1

    def looking_at(self, token: str) -> bool:
        """Return whether the token is next."""
        self.space()
        return self.text.startswith(token, self.position)

    def take(self, token: str) -> bool:
        """Read the token if it is next; return whether it was."""
        if self.looking_at(token):
            self.position += len(token)
            return True
        return False

    def need(self, token: str) -> None:
        """Read the token. Raises QuerySyntaxError when another is next."""
        if not self.take(token):
            raise self.error(f'expected {token!r}')

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Read a token of this form; None when another is next."""
        self.space()
        found = pattern.match(self.text, self.position)
        if found:
            self.position = found.end()
        return found

    def word(self, *words: str) -> str:
        """Read one of these words in any case, as a whole word; return an empty text without one."""
        self.space()
        found = WORD.match(self.text, self.position)
        if found and found[0].upper() in words:
            self.position = found.end()
            return found[0].upper()
        return ''

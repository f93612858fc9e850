"""Output of the commands. Texts of services and files reach a terminal through the functions of this module only."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, Protocol

import typer
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.text import Text

from metta_checks.core.text import printable

# `rich` takes the width of the terminal, or COLUMNS. Without `force_terminal`, a pipe would count as a terminal where
# FORCE_COLOR is set, as in many CI systems.
console = Console(force_terminal=sys.stdout.isatty())
errors = Console(stderr=True, force_terminal=sys.stderr.isatty())


@contextmanager
def progress(message: str) -> Iterator[None]:
    """Show a spinner on a terminal, nothing in a pipe."""
    if errors.is_terminal:
        with errors.status(cell(message)):
            yield
    else:
        yield


def cell(text: str) -> str:
    """Return a text for a cell of a table: printable, and without markup."""
    return escape(printable(text))


class Shown(Protocol):
    """Facts that a command prints."""

    def __bool__(self) -> bool:
        """Return True if there is something to show."""

    def renderable(self, width: int, /) -> RenderableType:
        """Return the facts for a terminal with `width` columns."""

    def lines(self) -> Iterator[str]:
        """Yield one line per fact, for a pipe."""


def show(facts: Shown) -> None:
    """Print facts: aligned or indented on a terminal, as lines in a pipe; nothing without any."""
    if not facts:
        return
    if console.is_terminal:
        console.print(facts.renderable(console.width))
        return
    for line in facts.lines():
        # `rich` would replace the tabs.
        typer.echo(line)


def say(text: str, style: str = '') -> None:
    """Print a total, hint, warning or error in one line on standard error."""
    errors.print(Text(printable(text), style=style), soft_wrap=True)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: `1 instance`, `2 instances`."""
    return f'{number:,} {noun}' if number == 1 else f'{number:,} {noun}s'


def fail(message: str, code: int) -> NoReturn:
    """Print a message and exit with a code."""
    say(message, 'red')
    raise typer.Exit(code)


def print_json(document: Any) -> None:
    """Print a JSON value in ASCII."""
    # DEL is the only control character that JSON does not escape.
    typer.echo(json.dumps(document, indent=1).replace('\x7f', '\\u007f'))

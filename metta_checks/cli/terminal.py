"""Output of the commands. Texts of services and files reach a terminal through the functions of this module only."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from metta_checks.core.text import printable

from .listing import Listing

# A pipe has no width, but tables need one. Without a width, `rich` takes that of the terminal, or COLUMNS.
PIPE_WIDTH = None if 'COLUMNS' in os.environ else 140
console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)
errors = Console(stderr=True, width=None if sys.stderr.isatty() else PIPE_WIDTH)


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


def show(listing: Listing) -> None:
    """Print rows: as a table on a terminal, as lines in a pipe; nothing without rows."""
    if not listing.rows:
        return
    if console.is_terminal:
        console.print(listing.table())
        return
    for line in listing.lines():
        # `rich` would replace the tabs.
        typer.echo(line)


def say(output: Console, text: str, style: str = '') -> None:
    """Print a text in one line."""
    output.print(Text(printable(text), style=style), soft_wrap=True)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: `1 instance`, `2 instances`."""
    return f'{number:,} {noun}' if number == 1 else f'{number:,} {noun}s'


def fail(message: str, code: int) -> NoReturn:
    """Print a message and exit with a code."""
    say(errors, message, 'red')
    raise typer.Exit(code)


def print_json(document: Any) -> None:
    """Print a JSON value in ASCII."""
    # DEL is the only control character that JSON does not escape.
    typer.echo(json.dumps(document, indent=1).replace('\x7f', '\\u007f'))

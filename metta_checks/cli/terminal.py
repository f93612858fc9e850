"""Output of the commands. Texts of services and files reach a terminal through the functions of this module only."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from metta_checks.core.text import printable

# A pipe has no width, but tables need one.
console = Console(width=None if sys.stdout.isatty() else 140)
errors = Console(stderr=True, width=None if sys.stderr.isatty() else 140)


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


def say(output: Console, text: str, style: str = '') -> None:
    """Print a text in one line."""
    output.print(Text(printable(text), style=style), soft_wrap=True)


def fail(message: str, code: int) -> NoReturn:
    """Print a message and exit with a code."""
    say(errors, message, 'red')
    raise typer.Exit(code)


def print_json(document: Any) -> None:
    """Print a JSON value in ASCII."""
    # DEL is the only control character that JSON does not escape.
    typer.echo(json.dumps(document, indent=1).replace('\x7f', '\\u007f'))

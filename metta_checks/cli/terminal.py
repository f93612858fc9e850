"""Consoles of the commands."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

# A pipe has no width, but tables need one.
console = Console(width=None if sys.stdout.isatty() else 140)
errors = Console(stderr=True, width=None if sys.stderr.isatty() else 140)


@contextmanager
def progress(message: str) -> Iterator[None]:
    """Return a spinner on a terminal, nothing in a pipe."""
    if errors.is_terminal:
        with errors.status(message):
            yield
    else:
        yield

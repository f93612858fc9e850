"""All commands of `metta-checks`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer
from typer.core import TyperGroup

from metta_checks.cli.main import app


def every() -> Iterator[tuple[str, Any]]:
    """Yield every command with its words; the program itself has none."""
    root: Any = typer.main.get_command(app)
    yield '', root
    for name in root.list_commands(None):
        found = root.get_command(None, name)
        yield name, found
        if isinstance(found, TyperGroup):
            yield from ((f'{name} {inner}', command) for inner, command in found.commands.items())

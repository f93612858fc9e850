"""Groups of commands, as their help shows them."""

from __future__ import annotations

import difflib
import inspect
from typing import Any

from typer.core import TyperGroup


class Group(TyperGroup):
    """Commands whose first paragraphs stand in the help of the group, not cut off."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands into the help."""
        with formatter.section('Commands'):
            formatter.write_dl([(name, self.summary(ctx, name)) for name in self.list_commands(ctx)])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that is typed. For an unknown name, fail with the one that was probably meant."""
        # A shell that completes a line would show the error as a traceback.
        named = args and not ctx.resilient_parsing and not args[0].startswith('-')
        if named and args[0] not in self.list_commands(ctx):
            [*close] = difflib.get_close_matches(args[0], self.list_commands(ctx), 1)
            meant = f' Did you mean {close[0]}?' if close else ''
            ctx.fail(f'No such command {args[0]!r}.{meant}')
        return super().resolve_command(ctx, args)

    def summary(self, ctx: Any, name: str) -> str:
        """Return the first paragraph of the help of a command, in one line."""
        found = self.get_command(ctx, name)
        return ' '.join(inspect.cleandoc(found.help or '').partition('\n\n')[0].split()) if found else ''

"""The command `metta-checks`."""

from __future__ import annotations

import importlib
import logging
from typing import Annotated, Any

import typer

from .examples import epilog
from .exit_codes import EXIT_USAGE
from .groups import Group

# Each command with its help, which its own function repeats: the help of all is shown without importing any.
COMMANDS = {
    'init': 'Write the configuration of a source: ask for what it needs, offer the choices, and check it.',
    'collect': 'Read the sources once and print the data that would be sent.',
    'doctor': 'Check each service: connection, credentials, permissions, rate limit and clock. Say what to do.',
    'metrics': 'Print the catalog: every metric with type, unit, tags and definition.',
    'verify': "Recompute the figures through the vendors' own SDKs (slow, many requests) and compare them.",
    'assets': 'Dashboards, monitors and SLOs as code.',
}


class OnDemand(Group):
    """The commands, each imported when it is used: importing all of them takes half a second."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the commands."""
        return list(COMMANDS)

    def invoke(self, ctx: Any) -> Any:
        """Run a command. A question that nobody answers ends it with EXIT_USAGE: nothing was done."""
        try:
            return super().invoke(ctx)
        except typer.Abort:
            typer.echo('no answer, nothing was done', err=True)
            raise typer.Exit(EXIT_USAGE) from None

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command, None for an unknown name."""
        return command(cmd_name) if cmd_name in COMMANDS else None

    def summary(self, ctx: Any, name: str) -> str:
        """Return the help of a command without importing it."""
        return COMMANDS[name]


def command(name: str) -> Any:
    """Return a command, imported from its module, which has its name."""
    module = importlib.import_module('.assets' if name == 'assets' else f'.commands.{name}', __package__)
    found = typer.main.get_command(module.app)
    found.name = name
    return found


app = typer.Typer(
    cls=OnDemand,
    no_args_is_help=True,
    rich_markup_mode=None,
    # Locals would include the configuration with its secrets.
    pretty_exceptions_show_locals=False,
    context_settings={'help_option_names': ['-h', '--help']},
)


def _version(asked: bool) -> None:
    if asked:
        from .versions import versions

        typer.echo(versions())
        raise typer.Exit


@app.callback(epilog=epilog(''))
def main(
    _: Annotated[
        bool, typer.Option('--version', callback=_version, is_eager=True, help='Print the installed versions.')
    ] = False,
) -> None:
    """Collect from the six sources of metta-checks, check them and compare figures, without an Agent."""
    # Warnings of the check are among the findings and warnings that the commands print.
    logging.basicConfig(level=logging.ERROR, format='%(message)s')


if __name__ == '__main__':
    app()

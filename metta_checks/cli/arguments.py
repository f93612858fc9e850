"""Arguments, options and exit codes that several commands share."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from metta_checks.check import SOURCES

from .configuration import ConfigurationFileError, Configured, load
from .exit_codes import EXIT_USAGE
from .locations import find
from .terminal import fail, say

# The settings of every group of commands.
SETTINGS: dict[str, Any] = {
    'add_completion': False,
    'rich_markup_mode': None,
    # Locals would include the configuration with its secrets.
    'pretty_exceptions_show_locals': False,
    'context_settings': {'help_option_names': ['-h', '--help']},
}


def a_source(value: str) -> str:
    """Return the name of a source, or `all`. Raises BadParameter for another text."""
    if value != 'all' and value not in SOURCES:
        [*close] = difflib.get_close_matches(value, SOURCES, 1)
        meant = f' (did you mean {close[0]}?)' if close else ''
        raise typer.BadParameter(f'{value!r}{meant}; use one of: all, {", ".join(SOURCES)}')
    return value


def completed(*names: str) -> Callable[[str], list[str]]:
    """Return a function that completes the beginning of one of these names, for the shell."""
    return lambda incomplete: [name for name in names if name.startswith(incomplete)]


SourceArgument = Annotated[
    str,
    typer.Argument(
        metavar='SOURCE',
        callback=a_source,
        autocompletion=completed(*SOURCES, 'all'),
        help=f'{", ".join(SOURCES)} or all (the default).',
    ),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        '--config',
        '-c',
        help='A conf.d directory (or its metta_checks.d) or one file of it; '
        "default: $METTA_CHECKS_CONF, else ./conf.d, else the Agent's conf.d.",
    ),
]
JsonOption = Annotated[bool, typer.Option('--json', help='Print one JSON document.')]
AllOption = Annotated[
    bool, typer.Option('--all', '-a', help='Show every series and self-metric (collect), every figure (verify).')
]


def load_or_exit(config: Path | None, source: str) -> list[Configured]:
    """Return the configured instances of a source. Exits with a message without any.

    Prints the configuration that is used when none is named.
    """
    try:
        if config is None:
            config = find()
            say(f'configuration: {config}', 'dim')
        return load(config, source)
    except ConfigurationFileError as error:
        fail(str(error), EXIT_USAGE)

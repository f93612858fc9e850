"""The command group, and helpers that its commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from metta_checks.as_code.asset import Asset, AssetError, load, select

from ..arguments import SETTINGS
from ..examples import epilog
from ..exit_codes import EXIT_USAGE
from ..groups import Group
from ..terminal import fail

app = typer.Typer(
    cls=Group,
    help='Dashboards, monitors and SLOs as code.',
    epilog=epilog('assets'),
    no_args_is_help=True,
    **SETTINGS,
)

KeysArgument = Annotated[
    list[str] | None, typer.Argument(metavar='KEY', help='Keys, `kind/key` or globs; default: all.')
]
AssetsOption = Annotated[
    Path | None,
    typer.Option(
        '--assets', help='The directory with dashboards, monitors and slos; default: ./assets, else as shipped.'
    ),
]


def assets_directory(chosen: Path | None) -> Path:
    """Return the directory of the built assets: the chosen one, ./assets of a checkout, or the one in the wheel."""
    if chosen is not None:
        if not chosen.is_dir():
            raise typer.BadParameter(f'{chosen} is not a directory')
        return chosen
    local = Path('assets')
    if (local / 'dashboards').is_dir():
        return local
    package = Path(__file__).resolve().parents[2]
    for shipped in (package / 'as_code' / 'shipped' / 'assets', package.parent / 'assets'):
        if (shipped / 'dashboards').is_dir():
            return shipped
    raise typer.BadParameter('there is no ./assets, and this installation has none; name a directory with --assets')


def load_selected(chosen: Path | None, keys: list[str] | None) -> list[Asset]:
    """Return the assets that the command line names. Exits with a message when one cannot be read or found."""
    try:
        return select(load(assets_directory(chosen)), keys or ())
    except AssetError as error:
        fail(str(error), EXIT_USAGE)

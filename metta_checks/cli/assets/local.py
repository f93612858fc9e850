"""`metta-checks assets build`: build JSON from Jsonnet, without a network."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from metta_checks.as_code import build as building
from metta_checks.as_code.asset import AssetError

from ..examples import epilog
from ..outputs import check_folder, writing
from ..terminal import console, errors, fail, print_json, say
from .app import EXIT_DIFFERENT, EXIT_FAILED, EXIT_USAGE, JsonOption, app


def _environment(value: str) -> str:
    if value and value not in building.ENVIRONMENTS:
        raise typer.BadParameter(f'{value!r}; use one of: {", ".join(building.ENVIRONMENTS)}')
    return value


@app.command(epilog=epilog('assets build'))
def build(
    source: Annotated[Path, typer.Option(help='The directory of the Jsonnet sources.')] = Path('dashboards'),
    out: Annotated[Path, typer.Option(help='The directory to write dashboards, monitors and slos to.')] = Path(
        'assets'
    ),
    env: Annotated[
        str,
        typer.Option(callback=_environment, help='Monitors and SLOs of this environment only, with its thresholds.'),
    ] = '',
    docs: Annotated[
        str,
        typer.Option(metavar='URL', help='Address of the documentation that dashboards link to; default: no links.'),
    ] = '',
    check: Annotated[
        bool, typer.Option('--check', help='Write nothing; compare, and exit with 3 on differences.')
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Build dashboards, monitors and SLOs from their Jsonnet sources."""
    if not check:
        check_folder(out)
    try:
        built = building.build(source, env, docs)
    except AssetError as error:
        fail(str(error), EXIT_USAGE)
    differences = building.drift(built, out) if check else []
    with writing(out):
        changed = [] if check else building.write(built, out)
    if as_json:
        print_json(_document(built, changed, differences))
    else:
        _show(changed, differences)
        number = f'{len(differences)} differ' if check else f'{len(changed)} files changed'
        say(console, f'{_counts(built)} built, {number}')
    for failure in built.failures:
        say(errors, f'{failure.path}: {failure.reason}', 'red')
    if built.failures:
        raise typer.Exit(EXIT_FAILED)
    if differences:
        raise typer.Exit(EXIT_DIFFERENT)


def _document(built: building.Built, changed: list[Path], differences: list[building.Drift]) -> dict[str, list[Any]]:
    """Return the result of a build for JSON output."""
    return {
        'built': [asset.name for asset in built.assets],
        'written': [str(path) for path in changed],
        'differences': [{'path': str(one.path), 'what': one.what} for one in differences],
        'failures': [{'path': str(one.path), 'reason': one.reason} for one in built.failures],
    }


def _show(changed: list[Path], differences: list[building.Drift]) -> None:
    for one in differences:
        say(console, f'{one.path}: {one.what}')
    for path in changed:
        say(console, f'{"written" if path.exists() else "removed"}: {path}')


def _counts(built: building.Built) -> str:
    """Return the number of assets by kind: `6 dashboards, 20 monitors, 3 SLOs`."""
    counted = Counter(asset.kind for asset in built.assets)
    return f'{counted["dashboard"]} dashboards, {counted["monitor"]} monitors, {counted["slo"]} SLOs'

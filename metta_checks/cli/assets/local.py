"""`metta-checks assets build`: build JSON from Jsonnet, without a network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from metta_checks.as_code import build as building
from metta_checks.as_code.asset import AssetError

from ..arguments import JsonOption
from ..documents import document
from ..examples import epilog
from ..exit_codes import EXIT_DIFFERENT, EXIT_FAILED, EXIT_USAGE
from ..listing import Listing
from ..outputs import check_folder, writing
from ..terminal import counted, fail, print_json, say, show
from .app import app


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
        print_json(document('assets build', _rows(changed, differences, built.failures), {'built': _counts(built)}))
    else:
        listing = Listing()
        for row in _rows(changed, differences, ()):
            listing.add(row['state'], row['file'])
        show(listing)
        kinds = ', '.join(counted(number, kind) for kind, number in _counts(built).items())
        number = f'{counted(len(differences), "file")} differ' if check else f'{counted(len(changed), "file")} changed'
        say(f'{kinds} built, {number}')
    for failure in built.failures:
        say(f'{failure.path}: {failure.reason}', 'red')
    if built.failures:
        raise typer.Exit(EXIT_FAILED)
    if differences:
        raise typer.Exit(EXIT_DIFFERENT)


def _rows(
    changed: Iterable[Path], differences: Iterable[building.Drift], failures: Iterable[building.Failure]
) -> Iterator[dict[str, str]]:
    """Yield the files that a build wrote, removed, compared or could not build."""
    for path in changed:
        yield {'file': str(path), 'state': 'written' if path.exists() else 'removed'}
    for one in differences:
        yield {'file': str(one.path), 'state': one.what}
    for failure in failures:
        yield {'file': str(failure.path), 'state': 'failed', 'error': failure.reason}


def _counts(built: building.Built) -> dict[str, int]:
    """Return the number of assets by kind."""
    found = Counter(asset.kind for asset in built.assets)
    return {'dashboard': found['dashboard'], 'monitor': found['monitor'], 'SLO': found['slo']}

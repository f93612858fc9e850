"""`metta-checks assets preview`: pages of dashboards, drawn on this machine from a recording."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from metta_checks.as_code import files
from metta_checks.as_code.asset import Asset
from metta_checks.as_code.preview import page
from metta_checks.as_code.preview.faults import drawable
from metta_checks.as_code.preview.recorded import DEFAULT_LABEL, States, origin, stamp
from metta_checks.as_code.preview.recording import Recording, RecordingError

from ..examples import epilog
from ..outputs import check_folder, writing
from ..terminal import console, errors, fail, progress, say
from .app import EXIT_FAILED, EXIT_USAGE, AssetsOption, KeysArgument, app, load_selected

HOW_TO_RECORD = (
    'preview needs a recording; name one with --record FILE. In a checkout, '
    '`python -m sandbox.week --output recording.jsonl.gz` records a week of the sandbox.'
)


@app.command(epilog=epilog('assets preview'))
def preview(
    keys: KeysArgument = None,
    assets: AssetsOption = None,
    record: Annotated[Path | None, typer.Option('--record', help='A recording: JSON lines, gzipped or not.')] = None,
    out: Annotated[Path, typer.Option('--out', help='The directory to write the pages to.')] = Path('preview'),
    var: Annotated[
        list[str] | None,
        typer.Option('--var', metavar='NAME=VALUE', help='Initial value of a template variable; repeatable.'),
    ] = None,
    label: Annotated[str, typer.Option('--label', help='Name of the data on the pages.')] = DEFAULT_LABEL,
) -> None:
    """Draw dashboards without Datadog: one self-contained HTML page each, and an index.

    The pages are drawn from a recording, for every preset and for every value of one template variable at a time.
    """
    if record is None:
        fail(HOW_TO_RECORD, EXIT_USAGE)
    check_folder(out)
    loaded = load_selected(assets, keys)
    dashboards = [asset for asset in loaded if asset.kind == 'dashboard']
    if not dashboards:
        fail('none of these assets is a dashboard; only dashboards are drawn', EXIT_USAGE)
    given = _variables(var or [], dashboards)
    recording = _recording(record)
    drawn_from = stamp(recording, time.time(), label, record.name)
    # Dashboards show monitors and SLOs that the command line does not name.
    states = States(recording, load_selected(assets, None))
    good = [_drawable(asset) for asset in dashboards]
    for asset in good:
        started = time.perf_counter()
        with progress(f'Drawing {asset.title}'):
            text = page.dashboard_page(asset, origin(recording, states, asset.body, drawn_from), given)
        _write(out, f'{asset.key}.html', text, started)
    _write(out, 'index.html', page.index_page(good, drawn_from), time.perf_counter())


def _drawable(asset: Asset) -> Asset:
    """Return the dashboard with boxes instead of widgets that the API would refuse; say which."""
    document, faults = drawable(asset.body)
    if faults:
        more = f' and {len(faults) - 1} more' if len(faults) > 1 else ''
        say(errors, f'{asset.name}: the API would refuse {faults[0]}{more}; see `metta-checks assets lint`', 'yellow')
    return Asset(asset.kind, asset.key, document)


def _recording(path: Path) -> Recording:
    try:
        with progress(f'Reading {path}'):
            recording = Recording.load(path)
    except RecordingError as error:
        fail(str(error), EXIT_FAILED)
    if recording.empty:
        fail(f'{path}: the recording has no points. {HOW_TO_RECORD}', EXIT_FAILED)
    return recording


def _variables(texts: list[str], dashboards: list[Asset]) -> dict[str, list[str]]:
    """Return the values from the command line; several values of one name form a list."""
    known = {str(one['name']) for asset in dashboards for one in asset.body.get('template_variables') or ()}
    given: dict[str, list[str]] = {}
    for text in texts:
        name, equals, value = text.partition('=')
        name = name.removeprefix('$')
        if not equals or not value:
            fail(f'--var {text}: expected name=value, such as env=production', EXIT_USAGE)
        if name not in known:
            fail(
                f'--var {text}: there is no such template variable; these dashboards have {", ".join(sorted(known))}',
                EXIT_USAGE,
            )
        given.setdefault(name, []).append(value)
    return given


def _write(folder: Path, name: str, text: str, started: float) -> None:
    content = text.encode('utf-8', 'replace')
    with writing(folder / name):
        path = files.write(folder, name, content)
    seconds = time.perf_counter() - started
    say(console, f'{path}  {len(content) / 1e6:.2f} MB  {seconds:.1f} s')
    if len(content) > page.MAX_BYTES:
        say(
            errors,
            f'{path} is larger than {page.MAX_BYTES / 1e6:g} MB and slow to open; record fewer points or fewer days',
            'yellow',
        )

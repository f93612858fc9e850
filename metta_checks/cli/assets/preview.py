"""`metta-checks assets preview`: pages of dashboards, drawn on this machine from a recording."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from metta_checks.as_code import files
from metta_checks.as_code.asset import Asset
from metta_checks.as_code.preview import page
from metta_checks.as_code.preview.faults import drawable
from metta_checks.as_code.preview.recorded import DEFAULT_LABEL, States, origin, stamp
from metta_checks.as_code.preview.recording import Recording, RecordingError

from ..arguments import JsonOption
from ..documents import document
from ..examples import epilog
from ..exit_codes import EXIT_USAGE
from ..listing import Listing
from ..options import grouped
from ..outputs import check_folder, writing
from ..terminal import fail, print_json, progress, say, show
from .app import AssetsOption, KeysArgument, app, load_selected

HOW_TO_RECORD = (
    'preview needs a recording; name one with --record FILE. In a checkout, '
    '`python -m sandbox.week --output recording.jsonl.gz` records a week of the sandbox.'
)


@dataclass(frozen=True, slots=True)
class Page:
    """A page that was written, its size, and the seconds that it took."""

    file: str
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class View:
    """First values and name of the data on the pages."""

    var: Annotated[
        list[str] | None,
        typer.Option('--var', metavar='NAME=VALUE', help='Initial value of a template variable; repeatable.'),
    ] = None
    label: Annotated[str, typer.Option('--label', help='Name of the data on the pages.')] = DEFAULT_LABEL


@app.command(epilog=epilog('assets preview'))
@grouped
def preview(
    keys: KeysArgument = None,
    assets: AssetsOption = None,
    record: Annotated[Path | None, typer.Option('--record', help='A recording: JSON lines, gzipped or not.')] = None,
    out: Annotated[Path, typer.Option('--out', help='The directory to write the pages to.')] = Path('preview'),
    *,
    view: View,
    as_json: JsonOption = False,
) -> None:
    """Draw dashboards without Datadog: one self-contained HTML page each, and an index.

    The pages are drawn from a recording. A reader chooses the values of the template variables on the page.
    """
    if record is None:
        fail(HOW_TO_RECORD, EXIT_USAGE)
    check_folder(out)
    loaded = load_selected(assets, keys)
    dashboards = [asset for asset in loaded if asset.kind == 'dashboard']
    if not dashboards:
        fail('none of these assets is a dashboard; only dashboards are drawn', EXIT_USAGE)
    given = _variables(view.var or [], dashboards)
    recording = _recording(record)
    drawn_from = stamp(recording, time.time(), view.label, record.name)
    # Dashboards show monitors and SLOs that the command line does not name.
    states = States(recording, load_selected(assets, None))
    good = [_drawable(asset) for asset in dashboards]
    pages = []
    for asset in good:
        started = time.perf_counter()
        with progress(f'Drawing {asset.title}'):
            text = page.dashboard_page(asset, origin(recording, states, asset.body, drawn_from), given)
        pages.append(_write(out, f'{asset.key}.html', text, started))
    pages.append(_write(out, 'index.html', page.index_page(good, drawn_from), time.perf_counter()))
    if as_json:
        print_json(document('assets preview', map(asdict, pages)))
    else:
        _show(pages)


def _show(pages: Iterable[Page]) -> None:
    listing = Listing(columns=('page', 'MB', 'seconds'))
    for one in pages:
        listing.add(one.file, round(one.bytes / 1e6, 2), round(one.seconds, 1))
    show(listing)


def _drawable(asset: Asset) -> Asset:
    """Return the dashboard with boxes instead of widgets that the API would refuse; say which."""
    body, faults = drawable(asset.body)
    if faults:
        more = f' and {len(faults) - 1} more' if len(faults) > 1 else ''
        say(f'{asset.name}: the API would refuse {faults[0]}{more}; see `metta-checks assets lint`', 'yellow')
    return Asset(asset.kind, asset.key, body)


def _recording(path: Path) -> Recording:
    try:
        with progress(f'Reading {path}'):
            recording = Recording.load(path)
    except RecordingError as error:
        fail(str(error), EXIT_USAGE)
    if recording.empty:
        fail(f'{path}: the recording has no points. {HOW_TO_RECORD}', EXIT_USAGE)
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


def _write(folder: Path, name: str, text: str, started: float) -> Page:
    content = text.encode('utf-8', 'replace')
    with writing(folder / name):
        path = files.write(folder, name, content)
    if len(content) > page.MAX_BYTES:
        say(
            f'{path} is larger than {page.MAX_BYTES / 1e6:g} MB and slow to open; record fewer points or fewer days',
            'yellow',
        )
    return Page(str(path), len(content), time.perf_counter() - started)

"""`metta-checks assets lint`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from metta_checks.as_code.asset import Asset, AssetError, load, select
from metta_checks.as_code.further import with_further
from metta_checks.as_code.lint import LintFinding, Profile, Selection, Waiver, WaiverError, lint, load_waivers, rules
from metta_checks.as_code.lint.selection import unknown

from ..arguments import JsonOption
from ..documents import document
from ..examples import epilog
from ..exit_codes import EXIT_FAILED, EXIT_USAGE
from ..options import grouped
from ..outline import Outline
from ..terminal import counted, fail, print_json, say, show
from .app import AssetsOption, KeysArgument, app, assets_directory

SARIF_LEVELS = {'error': 'error', 'warning': 'warning', 'info': 'note'}
COLORS = {'error': 'red', 'warning': 'yellow', 'info': 'dim'}


class Format(StrEnum):
    """Output format of findings."""

    TEXT = 'text'
    JSON = 'json'
    SARIF = 'sarif'


FormatOption = Annotated[Format, typer.Option('--format', help='text, json, or sarif for code hosts.')]
SelectOption = Annotated[
    list[str] | None,
    typer.Option('--select', metavar='RULE', help='Only these rules; an id or its beginning (MC10, DG); repeatable.'),
]
IgnoreOption = Annotated[
    list[str] | None, typer.Option('--ignore', metavar='RULE', help='Not these rules; repeatable.')
]
ProfileOption = Annotated[
    Profile,
    typer.Option('--profile', help='project: all rules; datadog: those that hold for any dashboard, monitor and SLO.'),
]
CatalogOption = Annotated[
    list[Path] | None,
    typer.Option(
        '--catalog', metavar='FILE', help='A further metrics.yaml, or the metadata.csv of an integration; repeatable.'
    ),
]
WaiversOption = Annotated[
    Path | None,
    typer.Option(
        '--waivers', help='Accepted findings with reasons; default: dashboards/waivers.yaml beside the assets.'
    ),
]


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules that apply, and the metrics that they know."""

    profile: ProfileOption = Profile.PROJECT
    select: SelectOption = None
    ignore: IgnoreOption = None
    catalog: CatalogOption = None

    def selection(self) -> Selection:
        """Return the rules. Exits with a message for a name that no rule begins with."""
        if wrong := unknown((*(self.select or ()), *(self.ignore or ())), rules()):
            fail(f'no rule begins with {", ".join(map(repr, wrong))}; known: {", ".join(rules())}', EXIT_USAGE)
        return Selection(self.profile, tuple(self.select or ()), tuple(self.ignore or ()))


@app.command('lint', epilog=epilog('assets lint'))
@grouped
def lint_command(
    keys: KeysArgument = None,
    assets: AssetsOption = None,
    format_: FormatOption = Format.TEXT,
    waivers: WaiversOption = None,
    *,
    chosen: Rules,
    as_json: JsonOption = False,
) -> None:
    """Check assets without Datadog: schema, queries, metrics and tags, thresholds, Datadog's guidelines.

    Exits 1 when an error is found; warnings and information do not count.
    """
    directory = assets_directory(assets)
    selection = chosen.selection()
    try:
        everything = load(directory)
        selected = select(everything, keys or ())
        catalogs = with_further(chosen.catalog or ())
        accepted = _waivers(waivers, directory)
    except (AssetError, WaiverError) as error:
        fail(str(error), EXIT_USAGE)
    # All assets are checked even if few are selected: thresholds of monitors and SLOs apply to dashboards.
    findings = lint(everything, catalogs, waivers=accepted, complete=not keys, selection=selection)
    if keys:
        names = {asset.name for asset in selected}
        findings = [one for one in findings if one.asset in names]
    _show(findings, selected, directory, Format.JSON if as_json else format_)
    if any(one.level == 'error' for one in findings):
        raise typer.Exit(EXIT_FAILED)


def _waivers(chosen: Path | None, directory: Path) -> list[Waiver]:
    path = chosen or directory.parent / 'dashboards' / 'waivers.yaml'
    return load_waivers(path) if chosen or path.is_file() else []


def _show(findings: Sequence[LintFinding], assets: Sequence[Asset], directory: Path, format_: Format) -> None:
    found = Counter(one.level for one in findings)
    numbers = {'asset': len(assets), 'error': found['error'], 'warning': found['warning'], 'note': found['info']}
    if format_ is Format.JSON:
        print_json(document('assets lint', map(asdict, findings), numbers))
    elif format_ is Format.SARIF:
        print_json(sarif(findings, directory))
    else:
        show(_outline(findings, directory))
        first, *others = (counted(number, noun) for noun, number in numbers.items())
        say(f'{first}: {", ".join(others)}')


def _outline(findings: Iterable[LintFinding], directory: Path) -> Outline:
    outline = Outline()
    for one in findings:
        place = ': '.join(part for part in (_file(one, directory), one.path) if part)
        outline.add(one.level, place, one.rule, one.message, style=COLORS[one.level])
    return outline


def _file(finding: LintFinding, directory: Path) -> str:
    # The file of waivers is not an asset.
    return finding.file if finding.rule == 'WAIVER' or not finding.file else (directory / finding.file).as_posix()


def sarif(findings: Sequence[LintFinding], directory: Path) -> dict[str, Any]:
    """Return the findings as a SARIF 2.1.0 log."""
    return {
        '$schema': 'https://json.schemastore.org/sarif-2.1.0.json',
        'version': '2.1.0',
        'runs': [
            {
                'tool': {
                    'driver': {
                        'name': 'metta-checks assets lint',
                        'rules': [{'id': id_, 'shortDescription': {'text': text}} for id_, text in rules().items()],
                    }
                },
                'results': [_result(one, directory) for one in findings],
            }
        ],
    }


def _result(finding: LintFinding, directory: Path) -> dict[str, Any]:
    result: dict[str, Any] = {
        'ruleId': finding.rule,
        'level': SARIF_LEVELS[finding.level],
        'message': {'text': ': '.join(part for part in (finding.path, finding.message) if part)},
    }
    if finding.file:
        result['locations'] = [
            {
                'physicalLocation': {'artifactLocation': {'uri': _file(finding, directory)}},
                'logicalLocations': [{'fullyQualifiedName': finding.path}],
            }
        ]
    return result

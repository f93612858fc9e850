"""`metta-checks assets lint`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from metta_checks.as_code.asset import Asset, AssetError, load, select
from metta_checks.as_code.lint import LintFinding, Waiver, WaiverError, lint, load_waivers, rules

from ..terminal import console, fail, print_json, say
from .app import EXIT_FAILED, EXIT_USAGE, AssetsOption, KeysArgument, app, assets_directory

SARIF_LEVELS = {'error': 'error', 'warning': 'warning', 'info': 'note'}
COLORS = {'error': 'red', 'warning': 'yellow', 'info': 'dim'}


class Format(StrEnum):
    """Output format of findings."""

    TEXT = 'text'
    JSON = 'json'
    SARIF = 'sarif'


FormatOption = Annotated[Format, typer.Option('--format', help='text, json, or sarif for code hosts.')]
WaiversOption = Annotated[
    Path | None,
    typer.Option(
        '--waivers', help='Accepted findings with reasons; default: dashboards/waivers.yaml beside the assets.'
    ),
]


@app.command('lint')
def lint_command(
    keys: KeysArgument = None,
    assets: AssetsOption = None,
    format_: FormatOption = Format.TEXT,
    waivers: WaiversOption = None,
) -> None:
    """Check assets without Datadog: schema, queries, metrics and tags, thresholds, Datadog's guidelines.

    Exits 1 when an error is found; warnings and information do not count.
    """
    directory = assets_directory(assets)
    try:
        everything = load(directory)
        chosen = select(everything, keys or ())
        accepted = _waivers(waivers, directory)
    except (AssetError, WaiverError) as error:
        fail(str(error), EXIT_USAGE)
    # All assets are checked even if few are selected: thresholds of monitors and SLOs apply to dashboards.
    findings = lint(everything, waivers=accepted, complete=not keys)
    if keys:
        names = {asset.name for asset in chosen}
        findings = [one for one in findings if one.asset in names]
    _show(findings, chosen, directory, format_)
    if any(one.level == 'error' for one in findings):
        raise typer.Exit(EXIT_FAILED)


def _waivers(chosen: Path | None, directory: Path) -> list[Waiver]:
    path = chosen or directory.parent / 'dashboards' / 'waivers.yaml'
    return load_waivers(path) if chosen or path.is_file() else []


def _show(findings: Sequence[LintFinding], assets: Sequence[Asset], directory: Path, format_: Format) -> None:
    if format_ is Format.JSON:
        print_json([asdict(one) for one in findings])
    elif format_ is Format.SARIF:
        print_json(sarif(findings, directory))
    else:
        for one in findings:
            say(console, replace(one, file=_file(one, directory)).text, COLORS[one.level])
        found = Counter(one.level for one in findings)
        say(
            console,
            f'{len(assets)} assets: {found["error"]} errors, {found["warning"]} warnings, {found["info"]} notes',
        )


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

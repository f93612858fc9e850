"""`metta-checks doctor`."""

from __future__ import annotations

from dataclasses import asdict

import typer

from metta_checks.core.diagnosis import Finding

from .. import tables
from ..arguments import EXIT_FAILED, SETTINGS, ConfigOption, JsonOption, SourceArgument, load_or_exit
from ..collecting import Runner
from ..terminal import console, print_json, progress
from ..versions import versions

app = typer.Typer(**SETTINGS)


@app.command()
def doctor(source: SourceArgument = 'all', config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check each service: connection, credentials, permissions, rate limit and clock. Say what to do."""
    report: list[tuple[str, list[Finding]]] = []
    for configured in load_or_exit(config, source):
        runner = Runner(configured)
        with progress(f'{runner.label}: asking'):
            if runner.check is None:
                report.append((runner.label, [Finding('configuration', 'fail', runner.error)]))
            else:
                report.append((runner.label, list(runner.check.findings())))
    if as_json:
        print_json([{'instance': label, 'findings': list(map(asdict, found))} for label, found in report])
    else:
        console.print(versions(), style='dim')
        for label, found in report:
            console.print(tables.findings_table(label, found))
    if any(finding.status == 'fail' for _, found in report for finding in found):
        raise typer.Exit(EXIT_FAILED)

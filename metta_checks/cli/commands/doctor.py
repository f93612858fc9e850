"""`metta-checks doctor`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import typer

from metta_checks.core.diagnosis import Finding
from metta_checks.core.text import slug

from .. import tables
from ..arguments import SETTINGS, ConfigOption, JsonOption, SourceArgument, load_or_exit
from ..collecting import Runner
from ..documents import document
from ..exit_codes import EXIT_FAILED
from ..terminal import counted, errors, print_json, progress, say, show
from ..versions import versions

app = typer.Typer(**SETTINGS)


@app.command()
def doctor(source: SourceArgument = 'all', config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check each service: connection, credentials, permissions, rate limit and clock. Say what to do."""
    report: list[tuple[Runner, list[Finding]]] = []
    for configured in load_or_exit(config, source):
        runner = Runner(configured)
        with progress(f'{runner.label}: asking'):
            report.append((runner, runner.findings()))
    if as_json:
        print_json(document('doctor', (_result(runner, found) for runner, found in report)))
    else:
        say(errors, versions(), 'dim')
        for runner, found in report:
            show(tables.findings_listing(runner.label, found))
        _conclude([finding for _, found in report for finding in found], len(report))
    if any(finding.status == 'fail' for _, found in report for finding in found):
        raise typer.Exit(EXIT_FAILED)


def _result(runner: Runner, findings: Iterable[Finding]) -> dict[str, Any]:
    """Return the findings of one instance for JSON. The id of a finding depends on its name alone."""
    return {
        'instance': runner.label,
        'source': runner.source,
        'findings': [{'id': f'{runner.source}.{slug(one.name)}', **asdict(one)} for one in findings],
    }


def _conclude(findings: list[Finding], instances: int) -> None:
    """Print the number of findings that are not ok."""
    failed = sum(one.status == 'fail' for one in findings)
    warned = sum(one.status == 'warning' for one in findings)
    style = 'red' if failed else 'yellow' if warned else 'green'
    parts = (counted(instances, 'instance'), counted(failed, 'failure'), counted(warned, 'warning'))
    say(errors, ', '.join(parts), style)

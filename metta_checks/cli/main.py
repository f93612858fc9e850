"""Commands of `metta-checks`.

Exit codes: 0 success; 1 a source failed (collect), a finding needs action (doctor) or figures differ (verify); 2 the
command line or a configuration file is wrong; 3 Datadog rejected the data (collect --push).
"""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer

from metta_checks.check import SOURCES
from metta_checks.core import catalog
from metta_checks.core.diagnosis import Finding

from . import tables, verifying
from .assets import app as assets_app
from .collecting import Collected, Runner, failed
from .configuration import ConfigurationFileError, Configured, load
from .options import grouped
from .outputs import check_file, writing
from .terminal import console, errors, fail, print_json, progress, say

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_PUSH = 3

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    # Locals would include the configuration with its secrets.
    pretty_exceptions_show_locals=False,
)
app.add_typer(assets_app, name='assets')


def _versions() -> str:
    """Return the installed versions, for a problem report."""
    parts = (f'{name} {metadata.version(name)}' for name in ('datadog-metta-checks', 'datadog-checks-base'))
    return f'{", ".join(parts)}, Python {platform.python_version()}'


def _version(asked: bool) -> None:
    if asked:
        typer.echo(_versions())
        raise typer.Exit


@app.callback()
def main(
    _: Annotated[
        bool, typer.Option('--version', callback=_version, is_eager=True, help='Print the installed versions.')
    ] = False,
) -> None:
    """Collect from the six sources of metta-checks, check them and compare figures, without an Agent."""


def _source(value: str) -> str:
    if value != 'all' and value not in SOURCES:
        raise typer.BadParameter(f'{value!r}; use one of: all, {", ".join(SOURCES)}')
    return value


SourceArgument = Annotated[
    str, typer.Argument(metavar='SOURCE', callback=_source, help=f'{", ".join(SOURCES)} or all.')
]
ConfigOption = Annotated[
    Path, typer.Option('--config', '-c', help='A conf.d directory (or its metta_checks.d) or one file of it.')
]
JsonOption = Annotated[bool, typer.Option('--json', help='Print JSON instead of tables.')]
AllOption = Annotated[
    bool, typer.Option('--all', '-a', help='Also show self-metrics, every series, and figures that agree.')
]


@dataclass(frozen=True, slots=True)
class Display:
    """Form and extent of the output."""

    as_json: JsonOption = False
    everything: AllOption = False


@app.command()
@grouped
def collect(
    source: SourceArgument,
    config: ConfigOption,
    repeat: Annotated[int, typer.Option(min=1, help='Number of refreshes; the first one is cold.')] = 1,
    *,
    display: Display,
    output: Annotated[Path | None, typer.Option(help='Also write the collected data to this file, as JSON.')] = None,
    push: Annotated[
        bool, typer.Option('--push/--dry-run', help='Send to Datadog (DD_API_KEY, DD_SITE); default: only print.')
    ] = False,
) -> None:
    """Read the sources once and print the data that would be sent."""
    if output is not None:
        check_file(output)
    runners = [Runner(configured) for configured in _load(config, source)]
    rounds = [_collected(runners, number, repeat) for number in range(repeat)]
    last = rounds[-1]
    documents = [[one.document() for one in collected] for collected in rounds]
    document = documents if repeat > 1 else documents[0]
    if output is not None:
        with writing(output):
            output.write_text(json.dumps(document, indent=1), encoding='utf-8')
    if display.as_json:
        print_json(document)
    else:
        _show_collected(runners, rounds, everything=display.everything)
    _show_problems(last)
    if push:
        _push(last)
    if failed(last):
        raise typer.Exit(EXIT_FAILED)


def _collected(runners: list[Runner], number: int, repeat: int) -> list[Collected]:
    """Run one round: every source is read once, from the second round on by another refresh."""
    collected = []
    for runner in runners:
        with progress(f'{runner.label}: reading ({number + 1} of {repeat})'):
            collected.append(runner.run(refresh=number > 0))
    return collected


def _show_collected(runners: list[Runner], rounds: list[list[Collected]], *, everything: bool) -> None:
    """Print the values of the last round, and a summary of every round."""
    for runner, one in zip(runners, rounds[-1], strict=True):
        console.print(tables.points_table(one, runner.instance_tags, everything=everything))
    for number, collected in enumerate(rounds):
        if len(rounds) > 1:
            console.print('first, cold refresh' if number == 0 else f'refresh {number + 1}, warm', style='bold')
        console.print(tables.summary_table(collected))


def _show_problems(collected: list[Collected]) -> None:
    for one in collected:
        for line in (*((one.error,) if one.error else ()), *one.warnings):
            say(errors, line, 'red' if line == one.error else 'yellow')


@app.command()
def doctor(source: SourceArgument, config: ConfigOption, as_json: JsonOption = False) -> None:
    """Check each service: connection, credentials, permissions, rate limit, clock. Say what to do about problems."""
    report: list[tuple[str, list[Finding]]] = []
    for configured in _load(config, source):
        runner = Runner(configured)
        with progress(f'{runner.label}: asking'):
            if runner.check is None:
                report.append((runner.label, [Finding('configuration', 'fail', runner.error)]))
            else:
                report.append((runner.label, list(runner.check.findings())))
    if as_json:
        print_json([{'instance': label, 'findings': list(map(asdict, found))} for label, found in report])
    else:
        console.print(_versions(), style='dim')
        for label, found in report:
            console.print(tables.findings_table(label, found))
    if any(finding.status == 'fail' for _, found in report for finding in found):
        raise typer.Exit(EXIT_FAILED)


@app.command()
def metrics(
    source: Annotated[str, typer.Argument(metavar='[SOURCE]', callback=_source)] = 'all', as_json: JsonOption = False
) -> None:
    """Print the catalog: every metric with type, unit, tags and definition."""
    catalogs = [catalog.load(name) for name in (SOURCES if source == 'all' else (source,))]
    if source == 'all':
        catalogs.append(catalog.load('collector'))
    if as_json:
        rows = [
            {**asdict(metric), 'name': one.full_name(metric.name), 'tags': [*one.base_tags, *metric.tags]}
            for one in catalogs
            for metric in one.metrics
        ]
        print_json(rows)
    else:
        for one in catalogs:
            console.print(tables.catalog_table(one))


@app.command(name='verify')
def verify_command(
    source: SourceArgument,
    config: ConfigOption,
    everything: AllOption = False,
    coverage: Annotated[
        bool, typer.Option('--coverage', help='Also print which metrics are not compared, and why.')
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Recompute the figures through the vendors' own SDKs (slow, many requests) and compare them, metric by metric."""
    report: list[dict[str, Any]] = []
    agree = True
    for configured in _load(config, source):
        try:
            comparison = verifying.compare(configured)
        except ImportError as error:
            fail(f'{error.name} is missing: pip install "datadog-metta-checks[verify]"', EXIT_USAGE)
        if comparison is None:
            agree = False
            continue
        agree = agree and not comparison.different
        report.append(comparison.document())
        if not as_json:
            verifying.show(comparison, everything=everything, covered=coverage)
    if as_json:
        print_json(report)
    if not agree:
        raise typer.Exit(EXIT_FAILED)


def _load(config: Path, source: str) -> list[Configured]:
    try:
        return load(config, source)
    except ConfigurationFileError as error:
        fail(str(error), EXIT_USAGE)


def _push(collected: list[Collected]) -> None:
    from .push import PushError, push

    try:
        number = push(collected)
    except PushError as error:
        fail(f'not sent: {error}', EXIT_PUSH)
    say(errors, f'sent {number} series to Datadog')


if __name__ == '__main__':
    app()

"""`metta-checks verify`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from .. import verifying
from ..arguments import (
    SETTINGS,
    AllOption,
    ConfigOption,
    JsonOption,
    SourceArgument,
    load_or_exit,
)
from ..documents import document
from ..examples import epilog
from ..exit_codes import EXIT_DIFFERENT, EXIT_FAILED, EXIT_USAGE
from ..options import grouped
from ..terminal import fail, print_json

app = typer.Typer(**SETTINGS)


@dataclass(frozen=True, slots=True)
class Display:
    """Form and extent of the output."""

    everything: AllOption = False
    coverage: Annotated[
        bool, typer.Option('--coverage', help='Also print which metrics are not compared, and why.')
    ] = False
    as_json: JsonOption = False


@app.command(epilog=epilog('verify'))
@grouped
def verify(
    source: SourceArgument = 'all',
    config: ConfigOption = None,
    *,
    free: Annotated[
        bool, typer.Option('--free', help='Leave out the figures for which the service bills requests.')
    ] = False,
    interval: Annotated[
        int | None,
        typer.Option(min=1, help='Read SkyPilot and W&B twice, this many seconds apart, and compare changes, too.'),
    ] = None,
    display: Display,
) -> None:
    """Recompute the figures through the vendors' own SDKs (slow, many requests) and compare them.

    Prints first what a service will bill for its requests, as AWS does for CloudWatch and Cost Explorer.
    """
    report: list[dict[str, Any]] = []
    code = 0
    for configured in load_or_exit(config, source):
        try:
            if free:
                configured = verifying.free_of_charge(configured)
            else:
                verifying.announce_charges(configured)
            comparison = verifying.compare(configured, verifying.Pause(interval) if interval else None)
        except ImportError as error:
            fail(f'{error.name} is missing: pip install "datadog-metta-checks[verify]"', EXIT_USAGE)
        if comparison is None:
            code = EXIT_FAILED
            continue
        if comparison.different:
            code = code or EXIT_DIFFERENT
        report.append(comparison.document())
        if not display.as_json:
            verifying.show(comparison, everything=display.everything, covered=display.coverage)
    if display.as_json:
        print_json(document('verify', report))
    if code:
        raise typer.Exit(code)

"""`metta-checks verify`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .. import verifying
from ..arguments import (
    EXIT_FAILED,
    EXIT_USAGE,
    SETTINGS,
    AllOption,
    ConfigOption,
    JsonOption,
    SourceArgument,
    load_or_exit,
)
from ..terminal import fail, print_json

app = typer.Typer(**SETTINGS)


@app.command()
def verify(
    source: SourceArgument = 'all',
    config: ConfigOption = None,
    everything: AllOption = False,
    coverage: Annotated[
        bool, typer.Option('--coverage', help='Also print which metrics are not compared, and why.')
    ] = False,
    free: Annotated[
        bool, typer.Option('--free', help='Leave out the figures for which the service bills requests.')
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Recompute the figures through the vendors' own SDKs (slow, many requests) and compare them.

    Prints first what a service will bill for its requests, as AWS does for CloudWatch and Cost Explorer.
    """
    report: list[dict[str, Any]] = []
    agree = True
    for configured in load_or_exit(config, source):
        try:
            if free:
                configured = verifying.free_of_charge(configured)
            else:
                verifying.announce_charges(configured)
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

"""`metta-checks doctor`."""

from __future__ import annotations

import typer

from ..arguments import SETTINGS, ConfigOption, JsonOption, SourceArgument, load_or_exit
from ..diagnosing import diagnose, show_report, totals
from ..documents import document
from ..examples import epilog
from ..exit_codes import EXIT_FAILED
from ..terminal import print_json, say
from ..versions import versions

app = typer.Typer(**SETTINGS)


@app.command(epilog=epilog('doctor'))
def doctor(source: SourceArgument = 'all', config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check each service: connection, credentials, permissions, rate limit and clock. Say what to do."""
    report = diagnose(load_or_exit(config, source))
    if as_json:
        print_json(document('doctor', (one.document() for one in report), totals(report)))
    else:
        say(versions(), 'dim')
        show_report(report)
    if any(one.failed for one in report):
        raise typer.Exit(EXIT_FAILED)

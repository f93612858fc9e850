"""`metta-checks collect`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import tables
from ..arguments import (
    SETTINGS,
    AllOption,
    ConfigOption,
    JsonOption,
    SourceArgument,
    load_or_exit,
)
from ..collecting import Collected, Runner, failed
from ..documents import document
from ..examples import epilog
from ..exit_codes import EXIT_FAILED, EXIT_USAGE
from ..options import grouped
from ..outputs import check_file, writing
from ..terminal import fail, print_json, progress, say, show

if TYPE_CHECKING:
    from ..push import Sender

app = typer.Typer(**SETTINGS)


@dataclass(frozen=True, slots=True)
class Display:
    """Form and extent of the output."""

    as_json: JsonOption = False
    everything: AllOption = False


@app.command(epilog=epilog('collect'))
@grouped
def collect(
    source: SourceArgument = 'all',
    config: ConfigOption = None,
    repeat: Annotated[int, typer.Option(min=1, help='Number of refreshes; the first one is cold.')] = 1,
    *,
    display: Display,
    output: Annotated[
        Path | None, typer.Option(help='Also write the collected data to this file, as with --json.')
    ] = None,
    push: Annotated[
        bool, typer.Option('--push/--dry-run', help='Send to Datadog (DD_API_KEY, DD_SITE); default: only print.')
    ] = False,
) -> None:
    """Read the sources once and print the data that would be sent."""
    if output is not None:
        check_file(output)
    configured = load_or_exit(config, source)
    send = _sender() if push else None
    runners = [Runner(one) for one in configured]
    rounds = [_collected(runners, number, repeat) for number in range(repeat)]
    last = rounds[-1]
    found = document('collect', (one.document(number) for number, some in enumerate(rounds, 1) for one in some))
    if output is not None:
        with writing(output):
            output.write_text(json.dumps(found, indent=1), encoding='utf-8')
    if display.as_json:
        print_json(found)
    else:
        _show_collected(runners, rounds, everything=display.everything)
    _show_problems(last)
    if send is not None:
        _push(send, last)
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
    """Print a summary of every round, then the headline figures of the last one, or all."""
    for number, collected in enumerate(rounds):
        title = ''
        if len(rounds) > 1:
            title = 'first, cold refresh' if number == 0 else f'refresh {number + 1}, warm'
        show(tables.summary_listing(collected, title))
    listing = tables.points_listing if everything else tables.headlines_listing
    for runner, one in zip(runners, rounds[-1], strict=True):
        show(listing(one, runner.instance_tags))
    series = sum(one.series for one in rounds[-1])
    if series and not everything:
        say(f'{series:,} series in all; --all shows every one', 'dim')


def _show_problems(collected: list[Collected]) -> None:
    for one in collected:
        for line in (*((one.error,) if one.error else ()), *one.warnings):
            say(line, 'red' if line == one.error else 'yellow')


def _sender() -> Sender:
    """Return the connection to Datadog. Exits when the key is missing or refused, before anything is read."""
    from ..push import PushError, Sender

    try:
        sender = Sender()
        sender.check_key()
    except PushError as error:
        fail(f'not sent: {error}', EXIT_USAGE)
    return sender


def _push(sender: Sender, collected: list[Collected]) -> None:
    from ..push import PushError

    try:
        number = sender.push(collected)
    except PushError as error:
        fail(f'not sent: {error}', EXIT_FAILED)
    say(f'sent {number} series to Datadog')

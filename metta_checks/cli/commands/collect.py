"""`metta-checks collect`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from .. import tables
from ..arguments import (
    EXIT_FAILED,
    EXIT_PUSH,
    SETTINGS,
    AllOption,
    ConfigOption,
    JsonOption,
    SourceArgument,
    load_or_exit,
)
from ..collecting import Collected, Runner, failed
from ..options import grouped
from ..outputs import check_file, writing
from ..terminal import console, errors, fail, print_json, progress, say

app = typer.Typer(**SETTINGS)


@dataclass(frozen=True, slots=True)
class Display:
    """Form and extent of the output."""

    as_json: JsonOption = False
    everything: AllOption = False


@app.command()
@grouped
def collect(
    source: SourceArgument = 'all',
    config: ConfigOption = None,
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
    runners = [Runner(configured) for configured in load_or_exit(config, source)]
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


def _push(collected: list[Collected]) -> None:
    from ..push import PushError, push

    try:
        number = push(collected)
    except PushError as error:
        fail(f'not sent: {error}', EXIT_PUSH)
    say(errors, f'sent {number} series to Datadog')

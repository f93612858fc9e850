"""Options that several commands share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer
from typer.testing import CliRunner

from metta_checks.cli.options import grouped

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@dataclass(frozen=True)
class Place:
    """Two options, one with a default."""

    country: Annotated[str, typer.Option('--country', '-c')] = 'NL'
    city: Annotated[str | None, typer.Option('--city')] = None


@app.command()
@grouped
def visit(
    who: Annotated[str, typer.Argument()], *, place: Place, times: Annotated[int, typer.Option('--times')] = 1
) -> None:
    """Visit a place."""
    typer.echo(f'{who}: {place} {times}')


def test_a_command_gets_the_object():
    answer = CliRunner().invoke(app, ['ada', '-c', 'BE', '--city', 'Gent', '--times', '2'])
    assert answer.output == "ada: Place(country='BE', city='Gent') 2\n"


def test_the_defaults_are_those_of_the_fields():
    answer = CliRunner().invoke(app, ['ada'])
    assert answer.output == "ada: Place(country='NL', city=None) 1\n"


def test_help_lists_the_options_in_their_place():
    answer = CliRunner().invoke(app, ['--help'])
    assert 'Visit a place.' in answer.output
    order = [answer.output.index(name) for name in ('--country', '--city', '--times')]
    assert order == sorted(order)


def test_an_argument_stays_required():
    answer = CliRunner().invoke(app, ['--city', 'Gent'])
    assert answer.exit_code == 2

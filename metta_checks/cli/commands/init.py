"""`metta-checks init`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from metta_checks.check import SOURCES, source_class

from ..arguments import SETTINGS, JsonOption, a_source, completed
from ..configuration import load
from ..diagnosing import diagnose, show_report, totals
from ..documents import document
from ..examples import epilog
from ..exit_codes import EXIT_FAILED, EXIT_USAGE
from ..options import grouped
from ..outputs import writing
from ..setup import example_file, fill, target
from ..setup.form import Choice, Form, MissingOption, is_secret, secret_from
from ..terminal import fail, print_json, say

app = typer.Typer(**SETTINGS)

NEXT = """\
Next:
  metta-checks collect {source}{config}   see the figures
  metta-checks verify {source}{config}    compare them with the vendor's own SDK
  Then copy the file to conf.d/metta_checks.d on the host of the Agent, readable by dd-agent, and restart the Agent."""


def a_source_or_none(value: str) -> str:
    """Return the name of a source; empty for none. Raises BadParameter for another text, and for `all`."""
    if value == 'all':
        raise typer.BadParameter('one file is written at a time; name a source')
    return a_source(value) if value else value


@dataclass(frozen=True, slots=True)
class Answers:
    """Options that are given on the command line."""

    settings: Annotated[
        list[str] | None, typer.Option('--set', metavar='OPTION=VALUE', help='An option, in YAML; repeatable.')
    ] = None
    secrets: Annotated[
        list[str] | None,
        typer.Option(
            '--secret',
            metavar='OPTION=NAME',
            help='A token or key: the NAME of an environment variable that holds it, or a reference such as '
            'ENC[name;key]; repeatable.',
        ),
    ] = None
    env: Annotated[str, typer.Option('--env', help='The environment, for the tag `env` of all series.')] = 'production'
    no_input: Annotated[bool, typer.Option('--no-input', help='Ask nothing; what is missing is an error.')] = False


@app.command(epilog=epilog('init'))
@grouped
def init(
    source: Annotated[
        str,
        typer.Argument(
            metavar='SOURCE',
            callback=a_source_or_none,
            autocompletion=completed(*SOURCES),
            help=', '.join(SOURCES),
        ),
    ] = '',
    config: Annotated[
        Path | None,
        typer.Option('--config', '-c', help='The folder to write to; default: $METTA_CHECKS_CONF, else ./conf.d.'),
    ] = None,
    *,
    answers: Answers,
    force: Annotated[bool, typer.Option('--force', help='Replace an existing file.')] = False,
    as_json: JsonOption = False,
) -> None:
    """Write the configuration of a source: ask for what it needs, offer the choices, and check it."""
    asks = not answers.no_input
    try:
        if not source:
            source = _asked_source(ask=asks)
        path = target.target(config, source)
        if path.exists() and not force:
            _require_consent(path, ask=asks)
        form = Form(_given(source, answers), asks=asks)
        fill(source, form)
        if not form.has('tags'):
            form.values['tags'] = [f'env:{answers.env}']
    except MissingOption as error:
        fail(str(error), EXIT_USAGE)
    with writing(path):
        target.write(path, example_file.filled(example_file.example(source), form.values))
    say(f'written: {path} (mode 0600; it explains the other options)')
    report = diagnose(load(path, source))
    if as_json:
        print_json(document('init', ({'file': str(path), **one.document()} for one in report), totals(report)))
    else:
        show_report(report)
    if any(one.failed for one in report):
        say(f'correct {path}, then run: metta-checks doctor {source}{_option(config)}', 'red')
        raise typer.Exit(EXIT_FAILED)
    if not as_json:
        for line in NEXT.format(source=source, config=_option(config)).splitlines():
            say(line)


def _option(config: Path | None) -> str:
    return f' -c {config}' if config is not None else ''


def _asked_source(*, ask: bool) -> str:
    """Return the source that the user names. Raises MissingOption when nobody may be asked."""
    if not ask:
        raise MissingOption(f'name a source: {", ".join(SOURCES)}')
    form = Form({}, asks=True)
    form.choose('source', 'Source', lambda: [Choice(name) for name in SOURCES])
    return a_source_or_none(form.values['source'])


def _require_consent(path: Path, *, ask: bool) -> None:
    """Exit unless the user wants to replace a file."""
    if not (ask and typer.confirm(f'{path} exists. Replace it?', err=True)):
        fail(f'{path} exists; --force replaces it', EXIT_USAGE)


def _given(source: str, answers: Answers) -> dict[str, Any]:
    """Return the options on the command line. Raises MissingOption for one that cannot be read."""
    known = source_class(source).SECRET_OPTIONS
    given: dict[str, Any] = {}
    for option, text in _pairs('--set', answers.settings):
        if is_secret(option, known):
            raise MissingOption(f'--set {option}: others can see the command line; use --secret {option}=NAME')
        try:
            given[option] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise MissingOption(f'--set {option}: the value is not valid YAML') from error
    given.update({option: secret_from(option, origin) for option, origin in _pairs('--secret', answers.secrets)})
    return given


def _pairs(flag: str, settings: list[str] | None) -> Iterator[tuple[str, str]]:
    for setting in settings or ():
        option, equals, value = setting.partition('=')
        if not (equals and option.isidentifier() and value):
            raise MissingOption(f'{flag}: expected OPTION=VALUE')
        yield option, value

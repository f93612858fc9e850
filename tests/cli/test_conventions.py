"""Conventions of all commands: exit codes, JSON and output come from one place each."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.core import TyperGroup

import metta_checks.cli
from metta_checks.cli import exit_codes

from .commands import every

FOLDER = Path(metta_checks.cli.__file__).parent
FILES = sorted(FOLDER.rglob('*.py'))
CODES = {name for name in vars(exit_codes) if name.startswith('EXIT_')}
# Functions that end a command, and the position of the exit code among their arguments.
ENDINGS = {'fail': 1, 'typer.Exit': 0, 'sys.exit': 0, 'Exit': 0, 'exit': 0, 'SystemExit': 0}
# A variable that holds one of the codes.
VARIABLE = 'code'
# Modules that may print: the one for all, and one that prints before any other is imported.
PRINTING = {'terminal.py', 'main.py'}
# A text for another program, which no terminal may change.
VERBATIM = {'typer.echo(export.together(good, style), nl=False)'}


def calls(text: str) -> Iterator[ast.Call]:
    return (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))


def faults_of_codes(text: str) -> list[str]:
    """Return the expressions that stand for an exit code, and are not one of the shared names."""
    found = []
    for call in calls(text):
        position = ENDINGS.get(ast.unparse(call.func))
        if position is not None and len(call.args) > position:
            code = call.args[position]
            parts = [code.body, code.orelse] if isinstance(code, ast.IfExp) else [code]
            found += [part for part in map(ast.unparse, parts) if part not in {*CODES, VARIABLE, '0'}]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and node.value.value != 0:
            found += [ast.unparse(node) for target in node.targets if 'exit' in ast.unparse(target).lower()]
            found += [ast.unparse(node) for target in node.targets if ast.unparse(target) == VARIABLE]
    return found


def faults_of_json(text: str) -> list[str]:
    """Return the values that are printed as JSON without the shape of all commands."""
    printed = [call.args[0] for call in calls(text) if ast.unparse(call.func).endswith('print_json')]
    return [ast.unparse(value) for value in printed if not (isinstance(value, ast.Call) and _is_shaped(value))]


def _is_shaped(call: ast.Call) -> bool:
    # SARIF is a standard with a shape of its own.
    return ast.unparse(call.func).endswith(('document', 'sarif'))


def faults_of_output(text: str) -> list[str]:
    """Return the calls that print without the functions of terminal.py."""
    direct = ('print', 'typer.echo', 'click.echo', 'console.print', 'errors.print', 'sys.stdout.write')
    return [ast.unparse(call) for call in calls(text) if ast.unparse(call.func) in direct]


@pytest.mark.parametrize('file', FILES, ids=lambda file: str(file.relative_to(FOLDER)))
def test_commands_share_exit_codes_json_and_output(file):
    text = file.read_text(encoding='utf-8')
    if file.name != 'exit_codes.py':
        assert faults_of_codes(text) == []
    # A variable that is assigned `document(...)`, because it is also written to a file.
    assert set(faults_of_json(text)) <= {'found'}
    if file.name not in PRINTING:
        assert set(faults_of_output(text)) <= VERBATIM


@pytest.mark.parametrize(
    ('find', 'text'),
    [
        (faults_of_codes, 'raise typer.Exit(4)'),
        (faults_of_codes, 'sys.exit(1)'),
        (faults_of_codes, "fail('message', 1)"),
        (faults_of_codes, 'raise typer.Exit(EXIT_OTHER if failed else 0)'),
        (faults_of_codes, 'EXIT_OTHER = 4'),
        (faults_of_codes, 'code = 4'),
        (faults_of_json, 'print_json([1])'),
        (faults_of_json, "print_json({'rows': []})"),
        (faults_of_output, 'print(1)'),
        (faults_of_output, 'console.print(table)'),
    ],
)
def test_other_ways_are_found(find, text):
    assert find(text)


def test_every_command_prints_json():
    for words, command in every():
        if not isinstance(command, TyperGroup):
            assert any('--json' in parameter.opts for parameter in command.params), words

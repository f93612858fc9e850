"""The help of the commands, and the time that it takes."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from metta_checks.cli.main import COMMANDS, app, command

# Libraries that take a tenth of a second or more to import, and packages of this project that import them.
SLOW = (
    'boto3',
    'datadog_checks.base.utils.http',
    'requests',
    'rich',
    'metta_checks.core.source',
    'metta_checks.as_code',
)


@pytest.mark.parametrize('name', COMMANDS)
def test_the_help_of_all_repeats_that_of_each(name):
    found = command(name)
    assert found.name == name
    assert COMMANDS[name] == inspect.cleandoc(found.help or '').partition('\n\n')[0]


@pytest.mark.parametrize('option', ['-h', '--help'])
@pytest.mark.parametrize('words', [(), ('collect',), ('assets',), ('assets', 'plan')])
def test_every_command_explains_itself(words, option):
    answer = CliRunner().invoke(app, [*words, option])
    assert answer.exit_code == 0
    assert 'Usage:' in answer.stdout


def test_an_unknown_command_is_a_wrong_command_line():
    answer = CliRunner().invoke(app, ['colect'])
    assert answer.exit_code == 2
    assert "No such command 'colect'. Did you mean collect?" in answer.output
    answer = CliRunner().invoke(app, ['assets', 'pla'])
    assert answer.exit_code == 2
    assert "No such command 'pla'. Did you mean plan?" in answer.output


@pytest.mark.parametrize(
    ('typed', 'expected'),
    [
        ('col', 'collect'),
        ('collect g', 'github'),
        ('init k', 'kubernetes'),
        ('metrics coll', 'collector'),
        ('verify --cov', '--coverage'),
        ('assets prev', 'preview'),
        ('assets push --not', '--notify'),
    ],
)
def test_the_shell_completes_commands_options_and_sources(typed, expected):
    assert completions(typed) == [expected]


@pytest.mark.parametrize(('typed', 'expected'), [('colect ', 'collect'), ('assets pla ', 'plan')])
def test_the_shell_completes_behind_an_unknown_command(typed, expected):
    assert expected in completions(typed)


def completions(typed: str) -> list[str]:
    variables = {
        '_METTA_CHECKS_COMPLETE': 'complete_bash',
        'COMP_WORDS': f'metta-checks {typed}',
        'COMP_CWORD': str(len(typed.split(' '))),
    }
    answer = CliRunner().invoke(app, [], prog_name='metta-checks', env=variables)
    assert answer.exit_code == 0, answer.exception
    return answer.output.split()


def test_the_help_imports_no_command():
    code = f"""
import sys
from metta_checks.cli.main import app
try:
    app(['--help'])
except SystemExit:
    print([name for name in {SLOW!r} if name in sys.modules])
"""
    answer = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines()[-1] == '[]', answer.stdout

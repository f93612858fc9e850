"""docs/command-line.md agrees with the code: the commands, the exit codes and the shape of the JSON."""

from __future__ import annotations

import json
import re

from metta_checks.cli import exit_codes
from metta_checks.cli.documents import document
from metta_checks.cli.main import COMMANDS

from . import pages

PAGE = 'docs/command-line.md'


def rows(title: str) -> list[list[str]]:
    """The cells of the rows of the first table after a heading."""
    text = (pages.ROOT / PAGE).read_text(encoding='utf-8').partition(f'# {title}')[2]
    table = text[text.index('| --- |') :].partition('\n\n')[0]
    return [[cell.strip() for cell in line.strip('| ').split(' | ')] for line in table.splitlines()[1:]]


def test_every_command_is_described():
    assert [name.strip('`') for name, _ in rows('The command line')] == list(COMMANDS)


def test_every_exit_code_is_described():
    codes = {value for name, value in vars(exit_codes).items() if name.startswith('EXIT_')}
    assert {int(code) for code, _ in rows('Exit codes')} == {0, *codes}


def test_no_other_page_describes_exit_codes():
    for name in pages.names():
        if name != PAGE:
            assert not re.search(r'\| exit code', (pages.ROOT / name).read_text(encoding='utf-8')), name


def test_the_shape_of_the_documents():
    [fence] = [fence for fence in pages.fences(PAGE) if fence.language == 'json']
    assert json.loads(fence.text) == document('doctor', [])
    assert [name.strip('`') for name, _ in rows('Output')] == list(document('doctor', []))

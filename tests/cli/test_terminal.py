"""Texts of services and files on a terminal: they are shown, and never obeyed by it."""

from __future__ import annotations

import io
import json
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
import yaml
from rich.console import Console
from typer.testing import CliRunner, Result
from werkzeug.wrappers import Request, Response

from metta_checks.as_code import export
from metta_checks.as_code.asset import Asset
from metta_checks.cli import tables, terminal
from metta_checks.cli.collecting import Collected
from metta_checks.cli.main import app
from metta_checks.core.diagnosis import Finding
from metta_checks.core.points import Point
from metta_checks.core.tags import format_tags
from metta_checks.core.text import one_line, printable
from metta_checks.verify import FigurePair
from sandbox import Clock, Organization, Running, Service
from sandbox.__main__ import write_configuration
from tests.as_code.documents import dashboard, three, write
from tests.as_code.fake_datadog import API_KEY, APP_KEY, FakeDatadog

# Clears the screen (ESC, and CSI as a C1 control), rings, reverses the direction of writing, deletes, begins a line,
# and has the form of rich's markup.
EVIL = 'x\x1b[2J\x9b2J\x07\u202ey\x7f\u2028z\u2066[/] [red]'


def controls(text: str) -> set[str]:
    """The characters of a text that a terminal obeys, line feeds excepted."""
    return {
        one
        for one in text
        if one != '\n' and (unicodedata.category(one) in ('Cc', 'Zl', 'Zp') or unicodedata.bidirectional(one) in BIDI)
    }


BIDI = {'LRE', 'RLE', 'LRO', 'RLO', 'PDF', 'LRI', 'RLI', 'FSI', 'PDI'}


def test_the_example_is_one():
    assert len(controls(EVIL)) == 7


def test_every_control_character_is_replaced():
    every = ''.join(map(chr, range(0xD800)))
    assert controls(printable(every)) == set()
    assert '\n' not in printable(every)
    for mark in '\u061c\u200e\u200f\u206a\u206f':
        assert printable(f'a{mark}b') == 'a b'
    # Other scripts, joined emoji and half a surrogate pair.
    for text in ('caf\u00e9', '\u05e9\u05dc\u05d5\u05dd', '\U0001f469\u200d\U0001f52c', 'a  b'):
        assert printable(text) == text
    assert printable('\ud800') == '?'


def test_tags_have_none():
    [tag] = format_tags({'workflow': EVIL})
    assert tag == 'workflow:x_2j_2j_y_z_/_red'
    assert one_line(EVIL) == 'x [2J 2J y z [/] [red]'


@pytest.fixture
def shown(monkeypatch) -> io.StringIO:
    """Everything that goes to both consoles, which take it for a terminal without colors."""
    output = io.StringIO()
    for name in ('console', 'errors'):
        monkeypatch.setattr(terminal, name, Console(file=output, width=200, force_terminal=True, color_system=None))
    return output


def test_tables(shown):
    point = Point(f'metta.{EVIL}', 'gauge', 1.0, (f'workflow:{EVIL}',))
    collected = Collected('github', EVIL, '', 1.0, 1, 1, EVIL, (EVIL,), 'ok', EVIL, (point,), ())
    listings = (
        tables.points_listing(collected, ()),
        tables.headlines_listing(collected, ()),
        tables.summary_listing([collected], EVIL),
        tables.findings_listing(EVIL, [Finding(EVIL, 'fail', EVIL, EVIL)]),
        tables.comparison_listing(EVIL, [FigurePair(EVIL, (EVIL,), 1, 2)], everything=True),
        tables.left_out_listing(EVIL, {EVIL: EVIL}),
    )
    for listing in listings:
        terminal.show(listing)
        assert controls(''.join(listing.lines()).replace('\t', '')) == set()
    assert '[/] [red]' in shown.getvalue()
    assert controls(shown.getvalue()) == set()


def test_lines(shown):
    with terminal.progress(EVIL):
        pass
    assert '[/] [red]' in shown.getvalue()
    shown.truncate(0)
    terminal.say(f'  {EVIL}', 'bold')
    with pytest.raises(typer.Exit):
        terminal.fail(EVIL, 1)
    line = 'x [2J 2J  y  z [/] [red]'
    assert shown.getvalue().lstrip('\0') == f'  {line}\n{line}\n'


@pytest.mark.parametrize('style', export.FORMATS)
def test_exports_have_the_same_content_in_another_notation(style):
    asset = Asset('dashboard', 'test', dashboard(EVIL, description=f'{EVIL}\n\ud800'))
    text = export.export(asset, style)
    assert controls(text) == set()
    text.encode()
    documents = {
        'json': lambda: json.loads(text),
        'jsonnet': lambda: json.loads(
            pytest.importorskip('_gojsonnet').evaluate_snippet('x', text.replace('\\ud800', ''))
        ),
        'ddgr': lambda: json.loads(yaml.safe_load(text)['spec']['jsonSpec']),
        'terraform': lambda: json.loads(text[text.index('<<EOT') + 5 : text.index('\nEOT')]),
    }
    assert documents[style]()['title'] == EVIL


class Hostile(Service):
    """A service that refuses everything with control characters in its reason."""

    name = 'github'

    def answer(self, request: Request) -> Response:
        return self.json({'message': EVIL}, 403)


def run(*arguments: str) -> Result:
    answer = CliRunner().invoke(app, list(arguments))
    # Tabs separate the values of a row.
    assert controls(answer.output.replace('\t', '')) == set()
    assert answer.exception is None or isinstance(answer.exception, SystemExit), answer.exception
    return answer


@pytest.mark.integration
@pytest.mark.parametrize('command', ['collect', 'doctor'])
@pytest.mark.parametrize('form', [[], ['--json']])
def test_a_service_that_refuses(command, form, tmp_path):
    with Running(Hostile(Organization(), Clock())) as service:
        instance = {
            'source': 'github',
            'api_url': service.url,
            'token': 'a-long-token',
            'repositories': ['metta-ai/infra'],
        }
        configuration = write_configuration(tmp_path, {'github': instance})
        assert run(command, 'github', '--config', str(configuration), *form).exit_code == 1


@pytest.fixture
def datadog(monkeypatch, tmp_path: Path) -> Iterator[FakeDatadog]:
    """An organization with an object whose title and author have control characters."""
    write(tmp_path / 'assets', [Asset('dashboard', 'test', dashboard(EVIL)), *three()[:2]])
    monkeypatch.chdir(tmp_path)
    service = FakeDatadog()
    with Running(service):
        monkeypatch.delenv('DD_SITE', raising=False)
        for name, value in (('DD_API_KEY', API_KEY), ('DD_APP_KEY', APP_KEY), ('DD_URL', service.url)):
            monkeypatch.setenv(name, value)
        run('assets', 'push', '--yes')
        service.dashboards[f'{EVIL[:3]}-id'] = {**dashboard(EVIL), 'id': f'{EVIL[:3]}-id', 'description': EVIL}
        yield service


@pytest.mark.integration
@pytest.mark.parametrize('form', [[], ['--json']])
@pytest.mark.parametrize(
    'command',
    [
        ['plan'], ['push', '--yes'], ['list', '--all'], ['list', '--local'], ['pull', '--all'],
        ['pull', '--into', 'assets'], ['export'], ['export', '--live', '--format', 'jsonnet'],
        ['delete', 'dashboard/test'],
    ],
    ids=' '.join,
)  # fmt: skip
def test_assets_of_datadog(datadog: FakeDatadog, command, form):
    for dashboard_ in datadog.dashboards.values():
        dashboard_['title'] = f'{EVIL} changed'
    assert run('assets', *command, *form).output


@pytest.mark.integration
@pytest.mark.parametrize('form', ['text', 'json', 'sarif'])
def test_lint_of_such_a_file(tmp_path: Path, form):
    write(tmp_path, [Asset('dashboard', 'test', dashboard(EVIL))])
    assert 'x' in run('assets', 'lint', '--assets', str(tmp_path), '--format', form).output

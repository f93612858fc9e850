"""`metta-checks assets` against Datadog on loopback: what it asks, says and leaves alone."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from metta_checks.as_code.asset import Asset, load
from metta_checks.cli.assets import app
from metta_checks.cli.documents import SCHEMA_VERSION
from sandbox import Running
from tests.as_code.documents import dashboard, monitor, slo, three, write
from tests.as_code.fake_datadog import API_KEY, APP_KEY, FakeDatadog

pytestmark = pytest.mark.integration


@pytest.fixture
def datadog(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeDatadog]:
    """An empty organization that the environment names, and a checkout with three assets as working directory."""
    write(tmp_path / 'assets', three())
    monkeypatch.chdir(tmp_path)
    service = FakeDatadog()
    with Running(service):
        monkeypatch.delenv('DD_SITE', raising=False)
        for name, value in (('DD_API_KEY', API_KEY), ('DD_APP_KEY', APP_KEY), ('DD_URL', service.url)):
            monkeypatch.setenv(name, value)
        yield service


def run(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == code, result.output
    for key in (API_KEY, APP_KEY):
        # Not even the beginning of a key.
        assert key[:3] not in result.output
    return result


def documents(*arguments: str, code: int = 0) -> dict[str, Any]:
    document = json.loads(run(*arguments, '--json', code=code).stdout)
    assert list(document) == ['schema_version', 'command', 'summary', 'results']
    assert (document['schema_version'], document['command']) == (SCHEMA_VERSION, f'assets {arguments[0]}')
    return document


def results(*arguments: str, code: int = 0) -> list[dict[str, Any]]:
    return documents(*arguments, code=code)['results']


def stored(datadog: FakeDatadog) -> list[int]:
    return [len(store) for store in (datadog.slos, datadog.monitors, datadog.dashboards)]


def writes(datadog: FakeDatadog) -> list[str]:
    return [
        f'{entry.method} {entry.path}'
        for entry in datadog.log
        if entry.method != 'GET' and not entry.path.endswith('validate')
    ]


# Plan.


@pytest.mark.parametrize('command', ['plan', 'diff'])
def test_plan_says_what_and_exits_3(command: str, datadog: FakeDatadog) -> None:
    output = run(command, code=3).output
    assert 'create\tdashboard/test\tMetta Test\n' in output
    assert '3 to create, 0 to update, 0 unchanged, 0 to prune; not of namespace default: none' in output
    assert writes(datadog) == []


def test_plan_shows_old_and_new(datadog: FakeDatadog) -> None:
    run('push', '--yes')
    (identifier,) = datadog.monitors
    datadog.monitors[identifier]['priority'] = 1
    output = run('plan', code=3).stdout
    assert f'update\tmonitor/stale_prs_high\tStale PR count is above 50\t{identifier}\n' in output
    assert 'change\tmonitor/stale_prs_high\tpriority: 1 -> 3\n' in output
    (found,) = [one for one in results('plan', code=3) if one['action'] == 'update']
    assert found['changes'] == [{'path': 'priority', 'old': 1, 'new': 3}]


def test_plan_of_some(datadog: FakeDatadog) -> None:
    assert [one['key'] for one in results('plan', 'stale*', code=3)] == ['stale_prs', 'stale_prs_high']
    assert "no asset is called 'nothing'" in run('plan', 'nothing', code=2).stderr


def test_plan_with_an_invalid_monitor_fails(datadog: FakeDatadog) -> None:
    write(Path('assets'), [Asset('monitor', 'bad', monitor(query='nonsense'))])
    assert 'parameter "query" is invalid' in run('plan', code=1).stdout


def test_text_from_datadog_cannot_steer_the_terminal(datadog: FakeDatadog) -> None:
    run('push', '--yes')
    (found,) = datadog.dashboards.values()
    found['title'] = '[red]A[/red]\x1b[2J'
    for output in (run('plan', code=3).stdout, run('list').stdout):
        assert '\x1b' not in output
    assert '[red]A[/red]' in run('list').stdout


# Push.


def test_push_without_a_terminal_is_a_dry_run(datadog: FakeDatadog) -> None:
    result = run('push', code=3)
    assert 'dry run, nothing was changed; use --yes to apply 3 changes' in result.stderr
    assert documents('push', code=3)['summary']['dry_run'] is True
    assert writes(datadog) == []


def test_push_twice(datadog: FakeDatadog) -> None:
    output = run('push', '--yes').output
    assert '3 done' in output
    assert stored(datadog) == [1, 1, 1]
    assert '0 to create, 0 to update, 3 unchanged' in run('push', '--yes').stderr
    assert documents('plan')['summary']['same'] == 3
    assert stored(datadog) == [1, 1, 1]
    assert len(writes(datadog)) == 3


def test_push_names_what_failed_and_does_the_rest(datadog: FakeDatadog) -> None:
    datadog.faults.add('status', status=400, body='{"errors": ["no"]}', method='POST', path='/api/v1/slo', times=1)
    output = run('push', '--yes', code=1).output
    assert 'error\tslo/stale_prs\tPOST /api/v1/slo: HTTP 400: no' in output
    assert '2 done, 1 failed: slo/stale_prs' in output
    datadog.faults.add('status', status=400, body='{"errors": ["no"]}', method='POST', path='/api/v1/slo', times=1)
    done = results('push', '--yes', code=1)
    assert {one['key']: one['error'][-2:] for one in done if 'error' in one} == {'stale_prs': 'no'}
    run('push', '--yes')
    assert stored(datadog) == [1, 1, 1]


def test_push_adopts_by_id(datadog: FakeDatadog) -> None:
    run('push', '--yes', '--namespace', 'other')
    (identifier,) = datadog.dashboards
    datadog.dashboards[identifier]['description'] = 'Made by hand.'
    output = run('push', '--yes', 'test', code=1).output
    assert f'push --adopt dashboard/test={identifier}' in output
    assert len(datadog.dashboards) == 1
    run('push', '--yes', 'test', '--adopt', f'test={identifier}')
    assert list(datadog.dashboards) == [identifier]
    assert 'expected KEY=ID' in run('push', '--adopt', 'test', code=2).stderr


def test_push_creates_another_of_the_same_title_on_request(datadog: FakeDatadog) -> None:
    run('push', '--yes')
    for found in datadog.slos.values():
        found['description'] = ''
    run('push', '--yes', code=1)
    run('push', '--yes', '--new', 'slo/stale_prs')
    assert len(datadog.slos) == 2


def test_push_sends_metadata_on_request(datadog: FakeDatadog) -> None:
    run('push', '--yes')
    assert datadog.metrics == {}
    assert 'metadata of' in run('push', '--metadata', code=0).stderr
    assert datadog.metrics == {}
    output = run('push', '--yes', '--metadata').output
    assert f'metadata of {len(datadog.metrics)} metrics sent, 0 failed' in output
    assert datadog.metrics['metta.github.prs.open']['description']


def on_a_terminal(answers: str, *arguments: str) -> tuple[int, str]:
    """Run the command with a terminal as its standard input, answer, and return exit code and output."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, '-c', 'from metta_checks.cli.assets import remote; remote.app()', *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, 'PYTHONPATH': str(Path(__file__).parents[2])},
    )
    os.close(theirs)
    os.write(ours, answers.encode())
    output = b''
    while process.poll() is None or select.select([ours], [], [], 0.1)[0]:
        if select.select([ours], [], [], 0.1)[0]:
            try:
                output += os.read(ours, 65536)
            except OSError:
                break
    os.close(ours)
    return process.wait(timeout=60), output.decode()


def test_push_asks_on_a_terminal(datadog: FakeDatadog) -> None:
    code, output = on_a_terminal('n\n', 'push')
    assert (code, stored(datadog)) == (3, [0, 0, 0])
    assert 'Apply 3 changes? [y/N]' in output
    code, output = on_a_terminal('y\n', 'push')
    assert (code, stored(datadog)) == (0, [1, 1, 1]), output


def test_push_asks_about_an_object_with_the_same_title(datadog: FakeDatadog) -> None:
    run('push', '--yes')
    (found,) = datadog.dashboards.values()
    found['description'] = 'Made by hand.'
    code, output = on_a_terminal('n\n', 'push')
    assert code == 1
    assert f"Adopt dashboard {found['id']} ('Metta Test') as dashboard/test?" in output
    code, _ = on_a_terminal('y\ny\n', 'push')
    assert (code, list(datadog.dashboards)) == (0, [found['id']])
    run('plan')


# Pull.


def test_pull_writes_into_a_folder_of_its_own(datadog: FakeDatadog) -> None:
    run('push', '--yes')
    before = {path: path.read_bytes() for path in Path('assets').rglob('*.json')}
    (found,) = datadog.dashboards.values()
    found['title'] = 'Edited'
    assert '3 objects, 3 files written to pulled' in run('pull').stderr
    assert json.loads(Path('pulled/dashboards/test.json').read_text())['title'] == 'Edited'
    assert {path: path.read_bytes() for path in Path('assets').rglob('*.json')} == before
    for output in ('assets', './assets/', 'assets/sub'):
        assert 'holds the source' in run('pull', '--output', output, code=2).stderr
    assert {path: path.read_bytes() for path in Path('assets').rglob('*.json')} == before


def test_pull_into_shows_asks_and_makes_the_plan_empty(datadog: FakeDatadog) -> None:
    run('push', '--yes')
    (found,) = datadog.dashboards.values()
    found['title'] = 'Edited'
    result = run('pull', '--into', 'assets', code=3)
    assert 'change\tdashboard/test\ttitle: "Metta Test" -> "Edited"\n' in result.stdout
    assert 'dry run' in result.stderr
    assert load(Path('assets'))[2].title == 'Metta Test'
    files = [one['file'] for one in results('pull', '--into', 'assets', '--yes') if 'file' in one]
    assert files == ['assets/dashboards/test.json']
    run('plan')
    assert '0 files written' in run('pull', '--into', 'assets', '--yes').stderr


def test_pull_of_everything_only_when_told(datadog: FakeDatadog) -> None:
    run('push', '--yes')
    run('push', '--yes', '--namespace', 'other')
    assert len(results('pull')) == 3
    assert len(results('pull', '--all', '--output', 'all')) == 6
    assert 'cannot be combined' in run('pull', '--all', 'test', code=2).stderr
    assert 'is called nothing' in run('pull', 'nothing', code=2).stderr


# Export.


@pytest.mark.parametrize(
    ('style', 'suffix'), [('json', 'json'), ('jsonnet', 'jsonnet'), ('ddgr', 'yaml'), ('terraform', 'tf')]
)
def test_export_needs_no_network(
    style: str, suffix: str, datadog: FakeDatadog, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ('DD_API_KEY', 'DD_APP_KEY', 'DD_URL'):
        monkeypatch.delenv(name)
    assert 'Metta Test' in run('export', '--format', style, 'test').stdout
    run('export', '--format', style, '--output', 'out')
    assert sorted(path.as_posix() for path in Path('out').rglob('*.*')) == [
        f'out/dashboards/test.{suffix}',
        f'out/monitors/stale_prs_high.{suffix}',
        f'out/slos/stale_prs.{suffix}',
    ]
    assert [one['key'] for one in results('export', '--format', style) if one['text']] == [one.key for one in three()]
    assert datadog.log == []


def test_export_of_what_is_live(datadog: FakeDatadog) -> None:
    run('push', '--yes')
    (found,) = datadog.dashboards.values()
    found['title'] = 'Edited'
    answer = json.loads(run('export', '--live', 'test').stdout)
    assert answer['title'] == 'Edited'
    assert 'author_handle' not in answer
    assert 'use one of: json, jsonnet, ddgr, terraform' in run('export', '--format', 'xml', code=2).stderr


# List, delete, prune.


def test_list(datadog: FakeDatadog, monkeypatch: pytest.MonkeyPatch) -> None:
    run('push', '--yes')
    run('push', '--yes', '--namespace', 'other', 'test')
    assert [one['key'] for one in results('list')] == ['stale_prs', 'stale_prs_high', 'test']
    (first, *_) = results('list')
    assert first['id'] in datadog.slos
    assert first['modified']
    assert [one['namespace'] for one in results('list', '--namespace', 'other')] == ['other']
    assert len(results('list', '--all')) == 4
    header, *lines = run('list').stdout.splitlines()
    assert header == 'namespace\tkind\tkey\tid\ttitle\tmodified'
    shown = [line.split('\t')[:3] for line in lines]
    assert ['default', 'monitor', 'stale_prs_high'] in shown
    run('delete', '--yes', *(key for _, _, key in shown))
    assert results('list') == []
    datadog.log.clear()
    monkeypatch.delenv('DD_API_KEY')
    assert results('list', '--local')[2] == {'kind': 'dashboard', 'key': 'test', 'title': 'Metta Test'}
    assert 'slo\tstale_prs\t' in run('list', '--local').stdout
    assert datadog.log == []


def test_delete(datadog: FakeDatadog) -> None:
    run('push', '--yes')
    result = run('delete', 'stale_prs', code=3)
    assert 'dry run' in result.stderr
    assert stored(datadog) == [1, 1, 1]
    run('delete', 'stale_prs', '--yes')
    assert stored(datadog) == [0, 1, 1]
    assert 'is called stale_prs' in run('delete', 'stale_prs', '--yes', code=2).stderr
    assert (Path('assets') / 'slos' / 'stale_prs.json').exists()


def test_delete_leaves_alone_what_others_manage_unless_forced(datadog: FakeDatadog) -> None:
    run('push', '--yes', '--namespace', 'other')
    (identifier,) = datadog.dashboards
    assert 'is called test' in run('delete', 'test', '--yes', code=2).stderr
    assert 'managed as other/test; --force' in run('delete', identifier, '--yes', code=2).stderr
    assert stored(datadog) == [1, 1, 1]
    run('delete', identifier, '--yes', '--force')
    assert stored(datadog) == [1, 1, 0]


def test_delete_names_what_failed(datadog: FakeDatadog) -> None:
    run('push', '--yes')
    datadog.faults.add('status', status=409, body='{"errors": ["in use"]}', method='DELETE', path='*/monitor/*')
    output = run('delete', '*', '--yes', code=1).output
    assert '2 deleted, 1 failed: monitor/stale_prs_high' in output
    assert 'in use' in output


def test_prune_deletes_only_what_left_the_source_of_this_namespace(datadog: FakeDatadog) -> None:
    write(Path('more'), [*three(), Asset('slo', 'old', slo(name='Old')), Asset('dashboard', 'old', dashboard('Old'))])
    run('push', '--yes', '--assets', 'more')
    run('push', '--yes', '--assets', 'more', '--namespace', 'other')
    by_hand = 'by-han-d00'
    datadog.dashboards[by_hand] = {'id': by_hand, 'title': 'By hand', 'description': '', 'widgets': []}
    assert 'no longer in the source files; `assets prune` deletes it' in run('plan', code=3).stdout

    result = run('prune', code=3)
    assert 'default\tslo\told\t' in result.stdout
    assert 'Metta Test' not in result.stdout
    assert 'dry run' in result.stderr
    assert stored(datadog) == [4, 2, 5]

    assert {(one['kind'], one['action']) for one in results('prune', '--yes')} == {
        ('dashboard', 'delete'),
        ('slo', 'delete'),
    }
    assert stored(datadog) == [3, 2, 4]
    assert by_hand in datadog.dashboards
    assert len(results('list', '--namespace', 'other')) == 5
    assert 'nothing to delete' in run('prune', '--yes').stderr
    run('plan')


def test_prune_from_an_empty_directory_is_refused(datadog: FakeDatadog) -> None:
    run('push', '--yes')
    write(Path('empty'), [])
    assert 'holds no assets' in run('prune', '--yes', '--assets', 'empty', code=2).stderr
    assert stored(datadog) == [1, 1, 1]


# Keys and places.


@pytest.mark.parametrize('name', ['DD_API_KEY', 'DD_APP_KEY'])
def test_a_missing_key(name: str, datadog: FakeDatadog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(name)
    assert f'set {name} (and DD_SITE, unless it is datadoghq.com)' in run('plan', code=2).stderr


def test_a_wrong_key_is_one_line_without_the_key(datadog: FakeDatadog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('DD_APP_KEY', 'hidden-and-wrong')
    result = run('plan', code=2)
    assert 'hidden' not in result.output
    assert result.stderr.count('\n') == 1
    assert 'check that DD_API_KEY and DD_APP_KEY' in result.stderr


def test_a_wrong_site(datadog: FakeDatadog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv('DD_URL')
    monkeypatch.setenv('DD_SITE', 'datadog.example')
    assert "DD_SITE is 'datadog.example', which is not a Datadog site" in run('plan', code=2).stderr


def test_a_secret_that_is_not_there(datadog: FakeDatadog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('DD_API_KEY', 'ENC[metta/datadog;api_key]')
    monkeypatch.setenv('AWS_EC2_METADATA_DISABLED', 'true')
    monkeypatch.setenv('AWS_DEFAULT_REGION', 'us-east-1')
    monkeypatch.setenv('AWS_CONFIG_FILE', '/dev/null')
    monkeypatch.setenv('AWS_SHARED_CREDENTIALS_FILE', '/dev/null')
    for name in ('AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_PROFILE', 'AWS_SESSION_TOKEN'):
        monkeypatch.delenv(name, raising=False)
    assert 'DD_API_KEY: ENC[metta/datadog]: AWS Secrets Manager gave no such secret' in run('plan', code=2).stderr


def test_keys_from_the_secrets_manager(datadog: FakeDatadog, monkeypatch: pytest.MonkeyPatch) -> None:
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer('127.0.0.1', port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        for name, value in (
            ('AWS_ENDPOINT_URL', f'http://{host}:{port}'),
            ('AWS_DEFAULT_REGION', 'us-east-1'),
            ('AWS_ACCESS_KEY_ID', 'test'),
            ('AWS_SECRET_ACCESS_KEY', 'test'),
        ):
            monkeypatch.setenv(name, value)
        secret = json.dumps({'api': API_KEY, 'app': APP_KEY})
        boto3.client('secretsmanager').create_secret(Name='metta/datadog', SecretString=secret)
        monkeypatch.setenv('DD_API_KEY', 'ENC[metta/datadog;api]')
        monkeypatch.setenv('DD_APP_KEY', 'ENC[metta/datadog;app]')
        assert documents('plan', code=3)['summary']['create'] == 3
    finally:
        server.stop()


# Scenarios of the first system.


def test_there_is_no_command_that_cleans_files_away() -> None:
    names = {command.name or getattr(command.callback, '__name__', '') for command in app.registered_commands}
    assert {'plan', 'diff', 'push', 'pull', 'export', 'list', 'delete', 'prune'} <= names
    assert 'clean' not in names


def test_the_difference_is_to_datadog_and_not_to_git(datadog: FakeDatadog) -> None:
    # No repository here, and an edit of a file after a push is a difference.
    run('push', '--yes')
    run('diff')
    write(Path('assets'), [Asset('dashboard', 'test', dashboard(title='Edited'))])
    assert 'change\tdashboard/test\ttitle: "Metta Test" -> "Edited"\n' in run('diff', code=3).stdout


def test_another_folder_finds_its_own_assets(datadog: FakeDatadog, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path.cwd()
    (root / 'elsewhere').mkdir()
    monkeypatch.chdir(root / 'elsewhere')
    assert len(results('list', '--local', '--assets', str(root / 'assets'))) == 3
    assert 'is not a directory' in run('plan', '--assets', 'nowhere', code=2).stderr

"""Files that the commands write: inside the chosen folder only, and refused before the work when they cannot be."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result
from werkzeug.wrappers import Request, Response

from metta_checks.as_code import canonical, export, files, merge
from metta_checks.as_code.asset import Asset, AssetError
from metta_checks.as_code.build import build, write
from metta_checks.cli.main import app
from sandbox import Running
from sandbox.__main__ import write_configuration
from tests.as_code import documents
from tests.as_code.documents import dashboard, three
from tests.as_code.fake_datadog import API_KEY, APP_KEY, FakeDatadog

pytestmark = pytest.mark.integration


def run(*arguments: str, code: int) -> Result:
    answer = CliRunner().invoke(app, list(arguments))
    assert answer.exception is None or isinstance(answer.exception, SystemExit), answer.exception
    assert answer.exit_code == code, answer.output
    return answer


@pytest.fixture
def datadog(monkeypatch, tmp_path: Path) -> Iterator[FakeDatadog]:
    """An empty organization that the environment names; the working directory is empty."""
    (tmp_path / 'here').mkdir()
    monkeypatch.chdir(tmp_path / 'here')
    service = FakeDatadog()
    with Running(service):
        monkeypatch.delenv('DD_SITE', raising=False)
        for name, value in (('DD_API_KEY', API_KEY), ('DD_APP_KEY', APP_KEY), ('DD_URL', service.url)):
            monkeypatch.setenv(name, value)
        yield service


def below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob('*') if not path.is_dir())


# Names.


class WholeDashboards(FakeDatadog):
    """Lists dashboards with their widgets, so that no id has to be part of a path."""

    def answer(self, request: Request) -> Response:
        if request.path == '/api/v1/dashboard':
            return self.json({'dashboards': list(self.dashboards.values())})
        return super().answer(request)


@pytest.mark.parametrize('identifier', ['../../../../up', '/etc/up', 'a/b', '..', 'x' * 4000, 'nul\0', 'back\\slash'])
def test_an_id_of_datadog_names_no_other_folder(datadog, monkeypatch, tmp_path: Path, identifier: str) -> None:
    service = WholeDashboards()
    with Running(service):
        monkeypatch.setenv('DD_URL', service.url)
        # Two dashboards of one title: the key of the second one contains its id.
        for name in ('first', identifier):
            service.dashboards[name] = {**dashboard('Same'), 'id': name}
        run('assets', 'pull', '--all', code=0)
    written = below(tmp_path)
    assert len(written) == 2
    for path in written:
        assert path.startswith('here/pulled/dashboards/same')
        assert len(path.rpartition('/')[2]) <= 255


def test_a_long_key_is_shortened(datadog: FakeDatadog) -> None:
    keys = ['k' * 300, 'k' * 299 + 'x']
    for key in keys:
        datadog.dashboards[key[-3:]] = {
            **dashboard('Long'), 'id': key[-3:], 'description': f'managed by metta-checks: default/{key}'
        }  # fmt: skip
    run('assets', 'pull', code=0)
    names = below(Path('pulled'))
    assert len(names) == 2
    assert all(name.startswith('dashboards/kkk') for name in names)


@pytest.mark.parametrize('text', ['../up', 'a b', '', '.', '-x', 'a' * 201, 'caf\u00e9', 'a\0b'])
def test_foreign_text_becomes_a_key(text):
    key = files.file_key(text)
    assert files.check_key(key) == key
    assert files.file_key(key) == key
    assert key != files.file_key(f'{text}?')
    with pytest.raises(AssetError, match='use 1 to 200 letters'):
        files.check_key(text)


@pytest.mark.parametrize('key', ['../../up', '/tmp/up', 'a/b', 'a\\\\b', '', '.hidden', 'k' * 300])
def test_a_key_of_jsonnet_names_no_other_folder(tmp_path: Path, key: str) -> None:
    source = tmp_path / 'dashboards'
    source.mkdir()
    (source / 'slos.jsonnet').write_text(f"function(env='') {{ '{key}': {{ name: 'x' }} }}")
    answer = run('assets', 'build', '--source', str(source), '--out', str(tmp_path / 'deep' / 'out'), code=1)
    assert 'slos.jsonnet: key ' in answer.stderr.replace('\n', '')
    assert below(tmp_path) == ['dashboards/slos.jsonnet']


@pytest.mark.parametrize('name', ['../x', '/x', 'a//x', './x', 'a/../x', '', 'a\0', 'a\\b'])
def test_names_that_leave_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(AssetError, match='not the name of a file'):
        files.write(tmp_path, name, b'')
    assert below(tmp_path) == []


# Symbolic links.


@pytest.mark.parametrize('link', ['slos', 'slos/stale_prs.json'])
def test_a_symbolic_link_is_not_followed(tmp_path: Path, link: str) -> None:
    outside, out = tmp_path / 'outside', tmp_path / 'out'
    outside.mkdir()
    (outside / 'stale_prs.json').write_text('mine')
    (out / link).parent.mkdir(parents=True)
    (out / link).symlink_to(outside if link == 'slos' else outside / 'stale_prs.json')
    with pytest.raises(AssetError, match='symbolic link'):
        files.write(out, 'slos/stale_prs.json', b'theirs')
    with pytest.raises(AssetError, match='symbolic link'):
        files.remove(out, 'slos/stale_prs.json')
    assert (outside / 'stale_prs.json').read_text() == 'mine'


def test_what_is_left_over_behind_a_link_stays(tmp_path: Path) -> None:
    source, outside = tmp_path / 'dashboards', tmp_path / 'outside'
    source.mkdir()
    outside.mkdir()
    (source / 'x.jsonnet').write_text("{ title: 'x' }")
    (outside / 'mine.json').write_text('{}')
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'slos').symlink_to(outside)
    with pytest.raises(AssetError, match='symbolic link'):
        write(build(source), tmp_path / 'out')
    assert (outside / 'mine.json').exists()


def test_pull_goes_on_after_a_link(datadog: FakeDatadog, tmp_path: Path) -> None:
    documents.write(Path('assets'), three())
    run('assets', 'push', '--yes', code=0)
    Path('pulled/slos').mkdir(parents=True)
    Path('pulled/slos/stale_prs.json').symlink_to(tmp_path / 'outside')
    answer = run('assets', 'pull', code=1)
    assert 'slos/stale_prs.json: is a symbolic link, which is not followed; remove it' in answer.stderr
    assert below(Path('pulled')) == ['dashboards/test.json', 'monitors/stale_prs_high.json', 'slos/stale_prs.json']
    assert not (tmp_path / 'outside').exists()


# Objects of another form.


def test_pull_goes_on_after_a_bad_object(datadog: FakeDatadog) -> None:
    documents.write(Path('assets'), three())
    run('assets', 'push', '--yes', code=0)
    (bad,) = datadog.dashboards.values()
    bad['widgets'] = [7, {'definition': 'text'}, ['x']]
    bad['template_variables'] = 7
    answer = run('assets', 'pull', code=1)
    assert 'error\tdashboard/test\tnot the form of a dashboard' in answer.stdout
    assert below(Path('pulled')) == ['monitors/stale_prs_high.json', 'slos/stale_prs.json']
    assert json.loads(run('assets', 'pull', '--json', code=1).stdout)['results'][2]['error']


def variants(node: object) -> Iterator[object]:
    """The document with each list or object in it replaced by another kind of value."""
    yield from ({}, {'a': {'b': 1}}, [], [7], 7, 'x', None, True)
    if isinstance(node, dict | list):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            for one in variants(value):
                changed = dict(node) if isinstance(node, dict) else list(node)
                changed[key] = one
                yield changed


@pytest.mark.parametrize('asset', three(), ids=lambda one: one.kind)
def test_every_other_form_is_a_typed_error(asset: Asset) -> None:
    number = 0
    for body in variants(asset.body):
        if isinstance(body, dict):
            number += 1
            document = {**asset.document, 'definition': body} if asset.kind == 'monitor' else body
            changed = Asset(asset.kind, asset.key, document)
            for style in export.FORMATS:
                with suppress(AssetError):
                    export.export(changed, style)
            with suppress(AssetError):
                merge.merge(asset.kind, asset.body, body)
    assert number > 50


@pytest.mark.parametrize('key', ['widgets', 'template_variables', 'tags'])
def test_an_object_in_place_of_a_list(key: str) -> None:
    with pytest.raises(AssetError, match=f'{key}: expected a list'):
        canonical.canonical('dashboard', {**dashboard(), key: {'a': 1}})


# Paths that cannot be written.


def obstacles(tmp_path: Path) -> dict[str, Path]:
    (tmp_path / 'file').write_text('')
    (tmp_path / 'loop').symlink_to(tmp_path / 'loop')
    return {
        'a file': tmp_path / 'file' / 'x',
        'a loop': tmp_path / 'loop' / 'x',
        'too long': tmp_path / ('n' * 300),
        'not a real file system': Path('/proc/nowhere'),
    }


@pytest.mark.parametrize('obstacle', ['a file', 'a loop', 'too long', 'not a real file system'])
@pytest.mark.parametrize(
    'command',
    [
        ['collect', 'github', '--config', 'conf', '--output'],
        ['assets', 'build', '--source', 'source', '--out'],
        ['assets', 'preview', '--record', 'recording.jsonl', '--out'],
        ['assets', 'pull', '--output'],
        ['assets', 'export', '--output'],
    ],
    ids=lambda words: ' '.join(words[:2]),
)
def test_an_output_that_cannot_be_written_is_one_line_before_the_work(datadog, serve, tmp_path, command, obstacle):
    github = serve('github', history=10)
    write_configuration(Path('conf'), {'github': {**github.instance(), 'repositories': ['metta-ai/infra']}})
    documents.write(Path('assets'), three())
    Path('source').mkdir()
    Path('source/x.jsonnet').write_text("{ title: 'x' }")
    Path('recording.jsonl').write_text('{"time": 1, "name": "a", "type": "gauge", "value": 1, "tags": []}\n')
    path = obstacles(tmp_path)[obstacle]
    before = len(github.log), len(datadog.log)
    answer = run(*command, str(path), code=2)
    said = answer.stderr.splitlines()
    assert len(said) == 1
    assert said[0].startswith(f'{path}: cannot be written: ')
    assert (len(github.log), len(datadog.log)) == before


def test_a_directory_is_not_a_file_to_write(serve, tmp_path):
    github = serve('github', history=10)
    configuration = write_configuration(tmp_path, {'github': github.instance()})
    answer = run('collect', 'github', '--config', str(configuration), '--output', str(tmp_path), code=2)
    assert answer.stderr == f'{tmp_path}: cannot be written: {os.strerror(21)}\n'
    assert github.log == []


@pytest.mark.parametrize('content', [b'\xff', b'[' * 100_000, b'{"a":', b'[]', None])
def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / 'slos' / 'x.json'
    path.parent.mkdir()
    path.mkdir() if content is None else path.write_bytes(content)
    (tmp_path / 'dashboards').mkdir()
    for command in ('lint', 'export'):
        answer = run('assets', command, '--assets', str(tmp_path), code=2)
        assert answer.stderr.startswith(f'{path}: ')
        assert answer.stderr.count('\n') == 1


# Aliases.


LEVELS = 40
ALIASES = {
    'itself': 'instances: &a [*a]',
    'itself in a mapping': 'instances:\n- &a {source: github, token: x, repositories: *a}',
    'a chain': 'a0: &a0 [x, x]\n'
    + ''.join(f'a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n' for n in range(1, LEVELS))
    + f'instances: [{{source: github, token: x, repositories: *a{LEVELS - 1}}}]',
    'a chain of mappings': 'a0: &a0 {x: x}\n'
    + ''.join(f'a{n}: &a{n} {{x: *a{n - 1}, y: *a{n - 1}}}\n' for n in range(1, LEVELS))
    + f'instances: [{{source: github, token: x, repositories: *a{LEVELS - 1}}}]',
    'a chain of merges': 'a0: &a0 {x: x}\n'
    + ''.join(f'a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n' for n in range(1, LEVELS))
    + f'instances: [{{source: github, token: x, repositories: [], <<: *a{LEVELS - 1}}}]',
}


@pytest.mark.parametrize('kind', ALIASES)
def test_aliases_are_bounded(tmp_path: Path, kind: str) -> None:
    (tmp_path / 'github.yaml').write_text(ALIASES[kind])
    answer = run('collect', 'github', '--config', str(tmp_path), code=1)
    assert answer.stderr.startswith(f'{tmp_path / "github.yaml"}: ')
    assert answer.stderr.count('\n') == 1


def test_honest_aliases_are_read(serve, tmp_path: Path) -> None:
    url = serve('github', history=10).url
    (tmp_path / 'github.yaml').write_text(
        f'common: &common {{source: github, api_url: "{url}", token: wrong}}\n'
        'instances:\n- {<<: *common, repositories: &list [o/r]}\n- {<<: *common, repositories: *list}\n'
    )
    assert run('collect', 'github', '--config', str(tmp_path), code=1).stderr.count('HTTP 401') > 0

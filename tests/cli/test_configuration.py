"""The command line reads the Agent's own files, and says in one line what is wrong with one."""

from __future__ import annotations

import json
from pathlib import Path

import boto3
import pytest
import requests
from moto.server import ThreadedMotoServer

from metta_checks.check import SOURCES
from metta_checks.cli import locations
from metta_checks.cli.configuration import ConfigurationFileError, load
from metta_checks.cli.placeholders import unreplaced

EXAMPLES = Path(__file__).resolve().parent.parent.parent / 'conf.d' / 'metta_checks.d'
# Their examples can be used as they are.
WITHOUT_PLACEHOLDERS = {'ec2', 'kubernetes'}
HANDLE = 'metta/github;token'
GITHUB = 'init_config:\n  timeout: 5\ninstances:\n  - {source: github, token: "ENC[metta/github;token]"}\n'


@pytest.fixture
def conf_d(tmp_path) -> Path:
    directory = tmp_path / 'metta_checks.d'
    directory.mkdir()
    (directory / 'asana.yaml').write_text('instances:\n  - {source: asana}\n  - {source: asana, workspace_gid: "1"}\n')
    (directory / 'github.yaml.example').write_text('instances: [{source: github}]\n')
    return directory


@pytest.fixture
def secrets(monkeypatch):
    server = ThreadedMotoServer(ip_address='127.0.0.1', port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    settings = {
        'AWS_ENDPOINT_URL': f'http://{host}:{port}',
        'AWS_ACCESS_KEY_ID': 'test',
        'AWS_SECRET_ACCESS_KEY': 'test',
        'AWS_DEFAULT_REGION': 'us-east-1',
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    # Moto keeps its state per process.
    requests.post(f'http://{host}:{port}/moto-api/reset', timeout=10)
    client = boto3.client('secretsmanager')
    client.create_secret(Name='metta/github', SecretString=json.dumps({'token': 'from-the-vault'}))
    client.create_secret(Name='metta/plain', SecretString='plain-text')
    yield
    server.stop()


def test_reads_a_conf_d_as_the_agent_does(conf_d):
    found = load(conf_d.parent, 'all')
    assert [(one.source, one.instance.get('workspace_gid')) for one in found] == [('asana', None), ('asana', '1')]
    assert load(conf_d, 'asana') == found
    assert load(conf_d / 'asana.yaml', 'all') == found


def test_resolves_secrets_as_the_agent_does(conf_d, secrets):
    (conf_d / 'github.yaml').write_text(GITHUB)
    [github] = load(conf_d, 'github')
    assert github.instance['token'] == 'from-the-vault'
    assert github.init_config == {'timeout': 5}
    (conf_d / 'github.yaml').write_text(GITHUB.replace('metta/github;token', 'metta/plain'))
    assert load(conf_d, 'github')[0].instance['token'] == 'plain-text'


@pytest.mark.parametrize(
    ('handle', 'words'),
    [('metta/nowhere', 'no such secret (ResourceNotFoundException)'), ('metta/github;key', 'has no field key')],
)
def test_unknown_secrets_are_named_and_the_others_go_on(conf_d, secrets, handle, words):
    (conf_d / 'github.yaml').write_text(GITHUB + GITHUB.partition('instances:\n')[2].replace(HANDLE, handle))
    good, bad = load(conf_d, 'github')
    assert (good.error, good.instance['token']) == ('', 'from-the-vault')
    assert bad.error.startswith(f'{conf_d / "github.yaml"}: ')
    assert words in bad.error
    assert 'from-the-vault' not in bad.error


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('instances: [', 'not valid YAML in line'),
        ('instances: 3', 'expected a list of instances'),
        ('- a', 'expected a list of instances'),
        ('', 'expected a list of instances'),
        ('instances: [{source: gitlab}]', "option `source` is 'gitlab'; it must be one of: asana"),
        ('instances: [{source: githbu}]', 'did you mean github?'),
        ('instances: [{}]', 'option `source` is missing'),
        (b'\xff\xfe\x00', 'cannot be read'),
    ],
)
def test_faulty_files_are_named_and_the_others_go_on(conf_d, text, words):
    file = conf_d / 'broken.yaml'
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    first, second, broken = load(conf_d, 'all')
    assert (first.error, second.error) == ('', '')
    assert broken.error.startswith(f'{file}: ')
    assert words in broken.error
    assert '\n' not in broken.error


def test_a_broken_file_concerns_the_source_after_which_it_is_named(conf_d):
    (conf_d / 'ec2.yaml').write_text('instances: [')
    (conf_d / 'other.yaml').write_text('instances: [')
    assert [one.file.name for one in load(conf_d, 'ec2')] == ['ec2.yaml', 'other.yaml']
    assert [one.file.name for one in load(conf_d, 'asana')] == ['asana.yaml', 'asana.yaml', 'other.yaml']


@pytest.mark.parametrize('source', sorted(SOURCES))
def test_an_unedited_example_is_recognized(source):
    [configured] = load(EXAMPLES / f'{source}.yaml.example', 'all')
    if source in WITHOUT_PLACEHOLDERS:
        assert configured.error == ''
    else:
        assert 'still hold the placeholders of the example' in configured.error


@pytest.mark.parametrize(
    ('value', 'is_placeholder'),
    [
        ('ENC[<SECRET_NAME>]', True),
        ('https://<SKYPILOT_API_SERVER>', True),
        (['my-org/my-repository'], True),
        ({'reader': {'type': '<READER_TYPE>'}}, True),
        ('^<[a-z]+>$', False),
        ('my-org/my-repo', False),
        (7, False),
    ],
)
def test_placeholders(value, is_placeholder):
    assert unreplaced({'source': 'github', 'option': value}) == (['option'] if is_placeholder else [])


def test_nothing_to_read_is_said(conf_d, tmp_path):
    with pytest.raises(ConfigurationFileError, match='no instance with `source: ec2`'):
        load(conf_d, 'ec2')
    with pytest.raises(ConfigurationFileError, match='no such file'):
        load(tmp_path / 'nowhere', 'all')
    (conf_d / 'asana.yaml').unlink()
    with pytest.raises(ConfigurationFileError, match='metta-checks init'):
        load(conf_d, 'all')


class TestFind:
    """The configuration that is used when none is named."""

    @pytest.fixture(autouse=True)
    def _elsewhere(self, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(locations, 'AGENT_FOLDERS', {'': str(tmp_path / 'agent')})

    def write(self, folder: Path) -> Path:
        (folder / 'metta_checks.d').mkdir(parents=True)
        (folder / 'metta_checks.d' / 'asana.yaml').write_text('instances: [{source: asana}]')
        return folder

    def test_the_order_is_variable_folder_agent(self, tmp_path):
        agent = self.write(tmp_path / 'agent')
        assert locations.find({}) == agent
        self.write(tmp_path / 'conf.d')
        assert locations.find({}) == Path('conf.d')
        # Even one that does not exist: the user named it.
        assert locations.find({'METTA_CHECKS_CONF': 'named'}) == Path('named')

    def test_a_folder_with_examples_only_is_passed_over(self, tmp_path):
        (tmp_path / 'conf.d' / 'metta_checks.d').mkdir(parents=True)
        (tmp_path / 'conf.d' / 'metta_checks.d' / 'asana.yaml.example').touch()
        agent = self.write(tmp_path / 'agent')
        assert locations.find({}) == agent

    def test_files_of_other_checks_are_not_read(self, tmp_path):
        (tmp_path / 'agent').mkdir()
        (tmp_path / 'agent' / 'other.yaml').write_text('instances: [{}]')
        with pytest.raises(ConfigurationFileError, match='no configuration in '):
            locations.find({})

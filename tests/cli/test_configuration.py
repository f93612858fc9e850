"""The command line reads the Agent's own files, and says in one line what is wrong with one."""

from __future__ import annotations

import json
from pathlib import Path

import boto3
import pytest
import requests
from moto.server import ThreadedMotoServer

from metta_checks.cli.configuration import ConfigurationFileError, load

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
def test_unknown_secrets_are_named(conf_d, secrets, handle, words):
    (conf_d / 'github.yaml').write_text(GITHUB.replace('metta/github;token', handle))
    with pytest.raises(ConfigurationFileError) as caught:
        load(conf_d, 'github')
    assert words in str(caught.value)
    assert 'from-the-vault' not in str(caught.value)


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('instances: [', 'not valid YAML in line'),
        ('instances: 3', 'expected a list of instances'),
        ('- a', 'expected a list of instances'),
        ('', 'expected a list of instances'),
        ('instances: [{source: gitlab}]', "option `source` is 'gitlab'; it must be one of: asana"),
        ('instances: [{}]', 'option `source` is missing'),
        (b'\xff\xfe\x00', 'cannot be read'),
    ],
)
def test_faulty_files_are_named(conf_d, text, words):
    file = conf_d / 'broken.yaml'
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigurationFileError) as caught:
        load(conf_d, 'all')
    assert str(caught.value).startswith(str(file))
    assert words in str(caught.value)
    assert '\n' not in str(caught.value)


def test_nothing_to_read_is_said(conf_d, tmp_path):
    with pytest.raises(ConfigurationFileError, match='no instance with `source: ec2`'):
        load(conf_d, 'ec2')
    with pytest.raises(ConfigurationFileError, match='no such file'):
        load(tmp_path / 'nowhere', 'all')
    (conf_d / 'asana.yaml').unlink()
    with pytest.raises(ConfigurationFileError, match='copy the'):
        load(conf_d, 'all')

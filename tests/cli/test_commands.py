"""The commands as a user types them, in processes of their own, on the sandbox."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml

from metta_checks.check import SOURCES
from sandbox.__main__ import write_configuration
from tests.security.planted import Evidence
from tests.security.watching import ENOUGH, secrets_of
from tests.seed_names import BY_SOURCE


def metta_checks(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    # The command that the package installs, without relying on PATH.
    command = [sys.executable, '-m', 'metta_checks.cli.main', *arguments]
    answer = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **environment}, timeout=500
    )
    said = [('output', answer.stdout), ('errors', answer.stderr)]
    assert Evidence(configured_secrets(arguments), said, ENOUGH).leaks() == []
    return answer


def configured_secrets(arguments: Iterable[str]) -> dict[str, str]:
    """The secrets in the files of the folder that the arguments name."""
    folders = [Path(argument) for argument in arguments if Path(argument).is_dir()]
    files = [file for folder in folders for file in folder.glob('*.yaml')]
    documents = [yaml.safe_load(file.read_text(encoding='utf-8')) for file in files]
    instances = [one for document in documents if isinstance(document, dict) for one in document.get('instances') or ()]
    return {
        f'{one.get("source")} {name}': secret
        for one in instances
        if isinstance(one, dict)
        for name, secret in secrets_of(one).items()
    }


@pytest.fixture
def github(serve):
    return serve('github', history=300)


@pytest.fixture
def conf_d(tmp_path, github):
    instance = {**github.instance(), 'repositories': ['metta-ai/infra']}
    return write_configuration(tmp_path, {'github': instance})


def change(conf_d, **options) -> None:
    """Rewrite the one file with some options changed."""
    document = yaml.safe_load((conf_d / 'github.yaml').read_text())
    document['instances'][0].update(options)
    (conf_d / 'github.yaml').write_text(yaml.safe_dump(document))


def test_what_is_installed():
    answer = metta_checks('--version')
    assert answer.returncode == 0
    assert re.fullmatch(
        r'datadog-metta-checks \d+\.\d+\.\d+, datadog-checks-base \d+\.\d+\.\d+, Python 3\.\d+\.\d+\n', answer.stdout
    )


@pytest.mark.integration
class TestCollect:
    def test_shows_a_table_and_a_summary(self, conf_d):
        answer = metta_checks('collect', 'github', '--config', str(conf_d))
        assert answer.returncode == 0, answer.stderr
        assert 'metta.github.prs.open' in answer.stdout
        assert 'repo:metta-ai/infra' in answer.stdout
        assert 'Summary' in answer.stdout
        assert 'metta.collector' not in answer.stdout

    def test_json_and_output_say_the_same(self, conf_d, tmp_path):
        recording = tmp_path / 'recording.json'
        answer = metta_checks('collect', 'all', '-c', str(conf_d), '--json', '--output', str(recording))
        [collected] = json.loads(answer.stdout)
        assert json.loads(recording.read_text()) == [collected]
        assert collected['status'] == 'ok'
        assert {'name': 'metta.github.prs.open', 'type': 'gauge'}.items() <= next(
            point.items() for point in collected['points'] if point['name'] == 'metta.github.prs.open'
        )
        assert collected['requests'] > 0

    def test_repeats_are_warm(self, conf_d):
        answer = metta_checks('collect', 'github', '-c', str(conf_d), '--repeat', '2', '--json')
        [[cold], [warm]] = json.loads(answer.stdout)
        assert warm['requests'] < cold['requests']

    def test_a_refused_token_is_one_line_and_exit_1(self, conf_d):
        change(conf_d, token='wrong-secret-token')
        answer = metta_checks('collect', 'github', '-c', str(conf_d))
        assert answer.returncode == 1
        assert 'HTTP 401' in answer.stderr
        assert 'check option `token`' in answer.stderr
        assert 'Traceback' not in answer.stderr
        assert 'wrong-secret-token' not in answer.stdout + answer.stderr

    def test_an_unknown_repository_is_named_and_costs_nobody_else_anything(self, conf_d):
        change(conf_d, repositories=['metta-ai/infra', 'metta-ai/nowhere'])
        answer = metta_checks('collect', 'github', '-c', str(conf_d))
        assert answer.returncode == 0
        assert 'metta-ai/nowhere' in answer.stderr
        assert 'metta.github.prs.open' in answer.stdout

    @pytest.mark.parametrize(
        ('options', 'words'),
        [
            ({'token': None}, 'set option `token`'),
            ({'repositories': ['nonsense']}, 'not of the form owner/name'),
            ({'refresh_interval': 'often'}, 'option `refresh_interval`'),
            ({'hotfix_patterns': ['(']}, 'not a regular expression'),
        ],
    )
    def test_a_wrong_option_is_one_line(self, conf_d, options, words):
        change(conf_d, **options)
        answer = metta_checks('collect', 'github', '-c', str(conf_d))
        assert answer.returncode == 1
        assert words in answer.stderr.replace('\n', ' ')
        assert 'Traceback' not in answer.stderr

    def test_push_without_a_key_is_exit_3(self, conf_d):
        answer = metta_checks('collect', 'github', '-c', str(conf_d), '--push', DD_API_KEY='')
        assert answer.returncode == 3
        assert 'set DD_API_KEY' in answer.stderr


@pytest.mark.integration
class TestDoctor:
    def test_all_well(self, conf_d):
        answer = metta_checks('doctor', 'github', '-c', str(conf_d))
        assert answer.returncode == 0, answer.stdout
        assert 'credentials' in answer.stdout
        assert 'rate limit' in answer.stdout

    def test_says_what_to_do(self, conf_d):
        change(conf_d, token='wrong-secret-token')
        answer = metta_checks('doctor', 'github', '-c', str(conf_d), '--json')
        assert answer.returncode == 1
        [report] = json.loads(answer.stdout)
        assert any('HTTP 401' in finding['message'] for finding in report['findings'])


@pytest.mark.integration
class TestVerify:
    def test_agrees(self, conf_d):
        answer = metta_checks('verify', 'github', '-c', str(conf_d), '--json')
        assert answer.returncode == 0, answer.stdout + answer.stderr
        [report] = json.loads(answer.stdout)
        assert len(report['figures']) >= 25
        assert all(figure['agrees'] for figure in report['figures'])
        assert report['requests']['theirs'] > report['requests']['ours']

    @pytest.mark.timeout(600)
    def test_every_source_agrees_with_its_vendors_sdk(self, tmp_path, serve):
        instances = {source: serve(source).instance() for source in SOURCES}
        # The large repository alone takes PyGithub 1,600 requests; it has a test of its own.
        instances['github'] = {**instances['github'], 'repositories': ['metta-ai/infra']}
        conf_d = write_configuration(tmp_path, instances)
        answer = metta_checks('verify', 'all', '-c', str(conf_d), '--json')
        assert answer.returncode == 0, answer.stdout + answer.stderr
        report = json.loads(answer.stdout)
        assert len(report) == len(SOURCES)
        compared = {figure['name'] for one in report for figure in one['figures'] if figure['agrees']}
        assert {name for names in BY_SOURCE.values() for name in names} <= compared


class TestMetrics:
    def test_shows_the_catalog(self):
        answer = metta_checks('metrics', 'github')
        assert answer.returncode == 0
        assert 'prs.cycle_time_hours' in answer.stdout

    def test_json(self):
        rows = json.loads(metta_checks('metrics', '--json').stdout)
        names = {row['name'] for row in rows}
        assert {'metta.github.prs.open', 'metta.collector.up'} <= names


class TestUsage:
    def test_unknown_source(self):
        answer = metta_checks('collect', 'gitlab', '-c', '.')
        assert answer.returncode == 2
        assert 'use one of' in answer.stderr

    def test_unknown_directory(self, tmp_path):
        answer = metta_checks('collect', 'all', '-c', str(tmp_path / 'nowhere'))
        assert answer.returncode == 2
        assert 'no such file or directory' in answer.stderr.replace('\n', ' ')

    def test_help_lists_the_commands(self):
        answer = metta_checks('--help')
        for command in ('collect', 'doctor', 'metrics', 'verify'):
            assert command in answer.stdout

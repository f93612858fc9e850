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
from metta_checks.cli.documents import SCHEMA_VERSION
from metta_checks.cli.headlines import HEADLINES
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


def results(answer: subprocess.CompletedProcess[str], command: str) -> list[dict]:
    """The results in the JSON of a command, which has the shape of all commands."""
    document = json.loads(answer.stdout)
    assert list(document) == ['schema_version', 'command', 'summary', 'results']
    assert (document['schema_version'], document['command']) == (SCHEMA_VERSION, command)
    return document['results']


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
    def test_shows_a_summary_and_headlines(self, conf_d):
        answer = metta_checks('collect', 'github', '--config', str(conf_d))
        assert answer.returncode == 0, answer.stderr
        first, second, *figures = answer.stdout.splitlines()
        assert first.split('\t') == ['instance', 'status', 'series', 'requests', 'KiB', 'seconds', 'errors']
        assert second.split('\t')[:2] == ['github (metta-ai/infra)', 'ok']
        assert 'github (metta-ai/infra)\tmetta.github.prs.open\torg:metta-ai repo:metta-ai/infra\t5' in figures
        assert len(figures) == len(HEADLINES['github'])
        assert '--all shows every one' in answer.stderr

    def test_all_shows_every_series_and_the_self_metrics(self, conf_d):
        answer = metta_checks('collect', 'github', '--config', str(conf_d), '--all')
        lines = answer.stdout.splitlines()
        series = int(lines[1].split('\t')[2])
        assert sum('\tmetta.github.' in line for line in lines) == series
        assert sum('\tmetta.collector.up\t' in line for line in lines) == 1

    def test_json_and_output_say_the_same(self, conf_d, tmp_path):
        recording = tmp_path / 'recording.json'
        answer = metta_checks('collect', 'all', '-c', str(conf_d), '--json', '--output', str(recording))
        document = json.loads(answer.stdout)
        assert json.loads(recording.read_text()) == document
        [collected] = document['results']
        assert (collected['instance'], collected['refresh']) == ('github (metta-ai/infra)', 1)
        assert collected['status'] == 'ok'
        assert {'name': 'metta.github.prs.open', 'type': 'gauge'}.items() <= next(
            point.items() for point in collected['points'] if point['name'] == 'metta.github.prs.open'
        )
        assert collected['requests'] > 0

    def test_repeats_are_warm(self, conf_d):
        answer = metta_checks('collect', 'github', '-c', str(conf_d), '--repeat', '2', '--json')
        cold, warm = results(answer, 'collect')
        assert (cold['refresh'], warm['refresh']) == (1, 2)
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

    def test_push_without_a_key_reads_nothing(self, conf_d, github):
        answer = metta_checks('collect', 'github', '-c', str(conf_d), '--push', DD_API_KEY='')
        assert answer.returncode == 2
        assert 'set DD_API_KEY' in answer.stderr
        assert github.log == []

    def test_the_other_sources_go_on(self, conf_d):
        (conf_d / 'asana.yaml').write_text('instances: [3]')
        answer = metta_checks('collect', '-c', str(conf_d))
        assert answer.returncode == 1
        assert 'asana.yaml: expected a list of instances' in answer.stderr
        assert 'metta.github.prs.open' in answer.stdout

    def test_a_misspelled_option_is_a_warning(self, conf_d):
        change(conf_d, requird_workflows=['tests'])
        answer = metta_checks('collect', '-c', str(conf_d))
        assert answer.returncode == 0
        assert 'there is no option `requird_workflows`; did you mean `required_workflows`?' in answer.stderr
        # Said once, and not in the words of the toolkit's log.
        assert answer.stderr.count('requird_workflows') == 1


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
        [report] = results(answer, 'doctor')
        assert (report['source'], report['instance']) == ('github', 'github (metta-ai/infra)')
        [refused] = [finding for finding in report['findings'] if finding['status'] == 'fail']
        assert refused['id'] == 'github.auth'
        assert 'HTTP 401' in refused['message']
        assert json.loads(answer.stdout)['summary'] == {'instance': 1, 'failure': 1, 'warning': 0}


@pytest.mark.integration
class TestVerify:
    def test_agrees(self, conf_d):
        answer = metta_checks('verify', 'github', '-c', str(conf_d), '--json')
        assert answer.returncode == 0, answer.stdout + answer.stderr
        [report] = results(answer, 'verify')
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
        report = results(answer, 'verify')
        assert len(report) == len(SOURCES)
        compared = {figure['name'] for one in report for figure in one['figures'] if figure['agrees']}
        assert {name for names in BY_SOURCE.values() for name in names} <= compared


class TestMetrics:
    def test_shows_full_names(self):
        answer = metta_checks('metrics', 'github')
        assert answer.returncode == 0
        names = [line.split('\t')[0] for line in answer.stdout.splitlines()[1:]]
        assert 'metta.github.prs.cycle_time_hours' in names
        assert all(name.startswith('metta.github.') for name in names)

    def test_knows_the_self_metrics(self):
        assert 'metta.collector.up\t' in metta_checks('metrics', 'collector').stdout

    @pytest.mark.parametrize('filters', [('usd', 'ec2'), ('*.cost.*', 'ec2'), ('ec2', 'COST', 'usd')])
    def test_filters(self, filters):
        lines = metta_checks('metrics', *filters).stdout.splitlines()[1:]
        assert lines
        words = [word.strip('*.').lower() for word in filters]
        assert all(word in line for word in words for line in lines)
        assert all(line.startswith('metta.ec2.') for line in lines)

    def test_nothing_matches(self):
        answer = metta_checks('metrics', 'ec2', 'gitlab')
        assert answer.returncode == 2
        assert answer.stderr == 'no metric matches gitlab\n'

    def test_json(self):
        rows = results(metta_checks('metrics', '--json'), 'metrics')
        names = {row['name'] for row in rows}
        assert {'metta.github.prs.open', 'metta.collector.up'} <= names
        assert {'github', 'collector'} <= {row['source'] for row in rows}


class TestUsage:
    def test_unknown_source(self):
        answer = metta_checks('collect', 'gitlab', '-c', '.')
        assert answer.returncode == 2
        assert 'use one of' in answer.stderr

    def test_a_misspelled_source(self):
        answer = metta_checks('collect', 'githbu', '-c', '.')
        assert answer.returncode == 2
        assert 'did you mean github?' in answer.stderr

    def test_the_configuration_is_found(self, tmp_path):
        answer = metta_checks('doctor', METTA_CHECKS_CONF=str(tmp_path))
        assert answer.returncode == 2
        assert answer.stderr.startswith(f'configuration: {tmp_path}\n{tmp_path}: no *.yaml file')

    def test_unknown_directory(self, tmp_path):
        answer = metta_checks('collect', 'all', '-c', str(tmp_path / 'nowhere'))
        assert answer.returncode == 2
        assert 'no such file or directory' in answer.stderr.replace('\n', ' ')

    def test_help_lists_the_commands(self):
        answer = metta_checks('--help')
        for command in ('collect', 'doctor', 'metrics', 'verify'):
            assert command in answer.stdout

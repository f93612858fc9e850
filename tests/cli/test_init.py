"""`metta-checks init`: from nothing to a file that `doctor` finds nothing wrong with, for each source."""

from __future__ import annotations

import json
import os
import pty
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from metta_checks.check import SOURCES
from metta_checks.cli.configuration import load
from metta_checks.cli.main import app
from metta_checks.cli.placeholders import unreplaced
from metta_checks.cli.setup import example_file, target
from metta_checks.cli.setup.form import Choice, Form, MissingOption, NoAnswer, secret_from
from metta_checks.testing import Readable
from tests.security import hostile

# Small services; the size does not matter.
SIZES: dict[str, dict[str, Any]] = {'github': {'history': 10}, 'ec2': {'scale': 0.05}, 'kubernetes': {'scale': 0.05}}
# Options of the sandbox's instance that have a default or a choice in each source.
LEFT_OUT = {
    'asana': {'workspace_gid', 'timezone'},
    'github': {'required_workflows'},
    'kubernetes': {'prices', 'per_deployment', 'per_namespace', 'per_workload', 'cluster_idle'},
    'wandb': {'summary_metrics', 'run_types', 'prices', 'entity'},
}
SECRETS = {
    'asana': 'access_token',
    'ec2': 'secret_access_key',
    'github': 'token',
    'kubernetes': 'token',
    'skypilot': 'token',
    'wandb': 'api_key',
}


def init(*arguments: str, answers: str = '', code: int = 0, variables: dict[str, str] | None = None) -> Result:
    answer = CliRunner().invoke(app, ['init', *arguments], input=answers, env=variables)
    assert answer.exit_code == code, answer.output
    return answer


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('METTA_CHECKS_CONF', raising=False)
    # No configuration of the developer's own is among the choices.
    monkeypatch.setenv('HOME', str(tmp_path))
    for name in ('KUBECONFIG', 'SKYPILOT_API_SERVER_ENDPOINT', 'AWS_PROFILE', 'AWS_DEFAULT_REGION'):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / 'conf.d' / 'metta_checks.d'


def flags(service: Readable) -> tuple[list[str], dict[str, str]]:
    """The options that a user gives for a service of the sandbox, and the environment that holds the secret."""
    instance = service.instance()
    source = instance.pop('source')
    secret = SECRETS[source]
    arguments = [f'--secret={secret}=THE_SECRET']
    for option, value in instance.items():
        if option not in {secret, *LEFT_OUT.get(source, ())}:
            arguments.append(f'--set={option}={json.dumps(value)}')
    return [source, '--no-input', *arguments], {'THE_SECRET': instance[secret]}


@pytest.mark.integration
@pytest.mark.parametrize('source', sorted(SOURCES))
def test_one_command_leads_to_a_green_doctor(serve, folder, source):
    service = serve(source, **SIZES.get(source, {}))
    arguments, environment = flags(service)
    answer = init(*arguments, '--json', variables=environment)
    [result] = json.loads(answer.stdout)['results']
    assert {finding['status'] for finding in result['findings']} == {'ok'}
    file = folder / f'{source}.yaml'
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in folder.iterdir()] == [file.name]
    [configured] = load(file, source)
    expected = {key: value for key, value in service.instance().items() if key not in LEFT_OUT.get(source, set())}
    assert {**configured.instance, **expected} == configured.instance
    assert configured.instance['tags'] == ['env:production']
    # The explanations of all options are those of the example.
    comments = [line for line in example_file.example(source).splitlines() if line.lstrip().startswith('##')]
    assert [line for line in file.read_text().splitlines() if line.lstrip().startswith('##')] == comments
    # The secret is in the file, and nowhere else.
    assert environment['THE_SECRET'] not in answer.output


@pytest.mark.integration
class TestQuestions:
    def test_github(self, serve, folder):
        github = serve('github', history=10)
        answers = '\n'.join(['github', github.url, github.token, '', 'metta-ai/infra', ''])
        answer = init('--env', 'staging', answers=answers)
        assert '1  metta-ai' in answer.stderr
        assert 'metta-ai/infra' in answer.stderr
        assert 'metta-checks collect github' in answer.stderr
        [configured] = load(folder, 'github')
        expected = {'api_url': github.url, 'repositories': ['metta-ai/infra'], 'tags': ['env:staging']}
        assert {**configured.instance, **expected} == configured.instance
        assert configured.instance['token'] == github.token
        assert github.token not in answer.output

    def test_github_organization(self, serve, folder):
        github = serve('github', history=10)
        init(
            'github',
            '--set',
            f'api_url={github.url}',
            '--secret',
            'token=T',
            answers='1\n',
            variables={'T': github.token},
        )
        [configured] = load(folder, 'github')
        assert configured.instance['organization'] == 'metta-ai'
        assert 'repositories' not in configured.instance

    def test_github_app_lists_what_it_is_installed_for(self, serve, folder):
        github = serve('github', history=10)
        app = github.app_instance()
        arguments = ['github', '--set', f'api_url={github.url}', '--set', f'app_id={app["app_id"]}']
        answers = '\n'.join([str(app['app_installation_id']), '$KEY', '', '1', ''])
        answer = init(*arguments, answers=answers, variables={'KEY': app['app_private_key']})
        assert '1  metta-ai\n' in answer.stderr
        assert '1  metta-ai/metta\n' in answer.stderr
        [configured] = load(folder, 'github')
        expected = {'app_id': app['app_id'], 'app_installation_id': str(app['app_installation_id'])}
        assert {**configured.instance, **expected, 'repositories': ['metta-ai/metta']} == configured.instance
        assert configured.instance['app_private_key'] == app['app_private_key'].strip()
        assert 'PRIVATE KEY' not in answer.output

    def test_asana_shows_names(self, serve, folder):
        asana = serve('asana')
        url = f'--set=api_url={asana.instance()["api_url"]}'
        answer = init('asana', url, answers=f'{asana.access_token}\n1\n1\n')
        assert '1198000000000001  ' in answer.stderr
        [configured] = load(folder, 'asana')
        assert configured.instance['workspace_gid'] == '1198000000000001'
        # Projects with "bug" in their name come first.
        assert configured.instance['bugs_project_gid'] == asana.instance()['bugs_project_gid']

    def test_wandb(self, serve, folder):
        wandb = serve('wandb')
        answers = '\n'.join([wandb.url, '$KEY', '1', '1, metta-evals', ''])
        init('wandb', answers=answers, variables={'KEY': wandb.instance()['api_key']})
        [configured] = load(folder, 'wandb')
        assert configured.instance['entity'] == 'metta-ai'
        assert configured.instance['projects'] == ['metta', 'metta-evals']

    def test_regions_of_ec2(self, serve, folder):
        ec2 = serve('ec2', scale=0.05)
        arguments, environment = flags(ec2)
        arguments = [one for one in arguments if one != '--no-input' and not one.startswith('--set=regions')]
        answer = init(*arguments, answers='us-east-1,us-west-2\n', variables=environment)
        assert '  us-east-1\n' in answer.stderr
        assert load(folder, 'ec2')[0].instance['regions'] == ['us-east-1', 'us-west-2']

    def test_contexts_of_kubernetes(self, serve, folder, tmp_path):
        kubernetes = serve('kubernetes', scale=0.05)
        instance = kubernetes.instance()
        path = tmp_path / 'kubeconfig'
        cluster = {'name': 'c', 'cluster': {'server': instance['api_server_url']}}
        user = {'name': 'u', 'user': {'token': instance['token']}}
        context = {'name': 'prod', 'context': {'cluster': 'c', 'user': 'u'}}
        document = {'apiVersion': 'v1', 'kind': 'Config', 'clusters': [cluster], 'users': [user], 'contexts': [context]}
        path.write_text(yaml.safe_dump(document))
        answer = init('kubernetes', answers='1\n\n', variables={'KUBECONFIG': str(path)})
        assert '1  prod  c' in answer.stderr
        [configured] = load(folder, 'kubernetes')
        expected = {'kubeconfig': str(path), 'context': 'prod', 'cluster_name': 'prod'}
        assert {**configured.instance, **expected} == configured.instance

    def test_the_server_that_skypilot_knows(self, serve, folder):
        skypilot = serve('skypilot')
        secret = skypilot.instance()['token']
        init('skypilot', answers=f'\n{secret}\n', variables={'SKYPILOT_API_SERVER_ENDPOINT': skypilot.url})
        assert load(folder, 'skypilot')[0].instance['api_server_url'] == skypilot.url

    @pytest.mark.timeout(60)
    def test_a_secret_is_not_shown_on_a_terminal(self, serve, folder):
        skypilot = serve('skypilot')
        secret = skypilot.instance()['token']
        lines = iter([f'{skypilot.url}\n', f'{secret}\n'])
        shown = bytearray()

        def answer(descriptor: int) -> bytes:
            data = os.read(descriptor, 1024)
            shown.extend(data)
            # Each question ends with a colon and a space.
            if shown.endswith(b': '):
                os.write(descriptor, next(lines, '\n').encode())
            return data

        code = 'from metta_checks.cli.main import app; app(["init", "skypilot"])'
        # The child takes this folder and environment over.
        assert os.waitstatus_to_exitcode(pty.spawn([sys.executable, '-c', code], answer)) == 0, shown.decode()
        assert skypilot.url.encode() in shown
        assert secret.encode() not in shown
        assert load(folder, 'skypilot')[0].instance['token'] == secret


class TestRefused:
    """Nothing is written."""

    @pytest.fixture(autouse=True)
    def _nothing_is_written(self, folder):
        yield
        assert not folder.exists()

    @pytest.mark.parametrize(
        ('arguments', 'words'),
        [
            (['--no-input'], 'name a source: asana, ec2, github'),
            (['gitlab'], 'use one of'),
            (['github', '--no-input'], 'option `token` is needed: --secret token=NAME'),
            (['github', '--set', 'token=abc'], 'others can see the command line; use --secret token=NAME'),
            (['wandb', '--set', 'api_key=abc'], 'use --secret api_key=NAME'),
            (['skypilot', '--set', 'password=abc'], 'use --secret password=NAME'),
            (['github', '--secret', 'token=ghp-abc'], 'give the name of a variable, or a reference'),
            (['github', '--secret', 'token=NOT_SET'], 'the variable NOT_SET is not set'),
            (['github', '--set', 'repositories=[a'], 'not valid YAML'),
            (['github', '--set', 'repositories'], 'expected OPTION=VALUE'),
        ],
    )
    def test_a_wrong_command_line_is_one_line(self, arguments, words):
        answer = init(*arguments, code=2)
        assert words in answer.stderr
        assert 'Traceback' not in answer.output
        assert 'abc' not in answer.output

    def test_a_service_that_does_not_answer_is_said(self):
        answer = init(
            'wandb',
            '--no-input',
            '--set',
            'api_url=http://127.0.0.1:9',
            '--secret',
            'api_key=K',
            code=2,
            variables={'K': 'k' * 40},
        )
        assert 'the choices are not known: POST /graphql at 127.0.0.1:9: no connection' in answer.stderr
        assert 'option `entity` is needed' in answer.stderr
        assert 'k' * 8 not in answer.output

    def test_no_answer_on_the_terminal(self):
        assert 'no answer, nothing was done' in init('skypilot', answers='', code=2).stderr


@pytest.mark.integration
class TestService:
    def test_a_refused_token_is_said_before_the_choices(self, serve, folder):
        asana = serve('asana')
        url = f'--set=api_url={asana.instance()["api_url"]}'
        answer = init('asana', '--no-input', url, '--secret=access_token=T', code=2, variables={'T': 'wrong-token'})
        assert 'answered HTTP 401: the credentials were not accepted: Not Authorized' in answer.stderr
        assert not folder.exists()

    def test_several_choices_are_named(self, serve, folder):
        wandb = serve('wandb')
        url = f'--set=api_url={wandb.url}'
        answer = init(
            'wandb', '--no-input', url, '--secret=api_key=K', code=2, variables={'K': wandb.instance()['api_key']}
        )
        assert "option `projects` is needed: --set 'projects=[VALUE]'" in answer.stderr
        assert 'the service offers: metta, metta-evals' in answer.stderr

    def test_an_existing_file_is_not_replaced_unasked(self, serve, folder):
        arguments, environment = flags(serve('skypilot'))
        folder.mkdir(parents=True)
        file = folder / 'skypilot.yaml'
        file.write_text('instances: []')
        assert '--force replaces it' in init(*arguments, code=2, variables=environment).stderr
        assert file.read_text() == 'instances: []'
        init(*arguments, '--force', variables=environment)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert len(load(file, 'skypilot')) == 1

    def test_a_reference_stays_in_the_file(self, serve, folder):
        arguments, _ = flags(serve('skypilot'))
        arguments[2] = '--secret=token=ENC[skypilot/api-token;token]'
        names = ('AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_DEFAULT_REGION')
        nobody = {'AWS_ENDPOINT_URL': 'http://127.0.0.1:9', 'AWS_MAX_ATTEMPTS': '1'}
        answer = init(*arguments, code=1, variables=nobody | dict.fromkeys(names, 'x'))
        assert 'AWS Secrets Manager gave no such secret' in answer.output
        assert 'correct conf.d/metta_checks.d/skypilot.yaml' in answer.stderr.replace('\n', '')
        document = yaml.safe_load((folder / 'skypilot.yaml').read_text())
        assert document['instances'][0]['token'] == 'ENC[skypilot/api-token;token]'


@pytest.mark.integration
@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ('behavior', 'words'),
    [
        (hostile.endless, 'answered more than 64 MiB'),
        (hostile.bomb(2**30), 'answered more than 64 MiB'),
        (hostile.redirect, 'a redirect to 127.0.0.1'),
        (hostile.not_json, 'not JSON'),
        (hostile.fine_but_wrong, 'the service answers in another shape than documented'),
    ],
)
def test_answers_to_questions_are_bounded(folder, behavior, words):
    secret = '2/1199/a-long-token'
    with hostile.serving(behavior) as server:
        address = f'--set=api_url={server.url}'
        answer = init('asana', '--no-input', address, '--secret=access_token=T', code=2, variables={'T': secret})
    assert words in answer.stderr
    assert 'option `workspace_gid` is needed' in answer.stderr
    assert len(answer.stderr) < 1000
    assert secret not in answer.output
    assert [path for _, path in server.asked] == ['/users/me?opt_fields=workspaces.name']
    assert not folder.exists()


class TestForm:
    def test_a_choice_by_number_by_name_or_by_hand(self, monkeypatch):
        choices = [Choice('12', 'Bugs'), Choice('34', 'Work')]
        for typed, expected in (('2', '34'), ('Bugs', '12'), ('34', '34'), ('99', '99'), ('9', '9')):
            monkeypatch.setattr('typer.prompt', lambda *_, answer=typed, **__: answer)
            form = Form({}, asks=True)
            form.choose('project', 'Project', lambda: choices)
            assert form.values == {'project': expected}

    def test_the_only_choice_is_taken_without_a_question(self):
        form = Form({}, asks=False)
        form.choose('one', 'One', lambda: [Choice('a')])
        form.choose('list', 'List', lambda: [Choice('a')], several=True)
        form.choose('optional', 'Optional', lambda: [Choice('a')], optional=True)
        form.choose('default', 'Default', lambda: [Choice('a'), Choice('b')], several=True, default=['b'])
        assert form.values == {'one': 'a', 'list': ['a'], 'default': ['b']}

    def test_given_options_are_not_asked_for(self):
        def find() -> list[Choice]:
            raise AssertionError('asked')

        form = Form({'one': 'x'}, asks=True)
        form.choose('one', 'One', find)
        form.text('one', 'One')
        form.secret('one', 'One')
        assert form.values == {'one': 'x'}

    def test_choices_that_cannot_be_listed_can_be_typed(self, monkeypatch):
        def find() -> list[Choice]:
            raise NoAnswer('down')

        monkeypatch.setattr('typer.prompt', lambda *_, **__: 'typed')
        form = Form({}, asks=True)
        form.choose('one', 'One', find)
        assert form.values == {'one': 'typed'}
        with pytest.raises(MissingOption):
            Form({}, asks=False).choose('one', 'One', find)

    def test_secrets_are_never_values_of_the_command_line(self, monkeypatch):
        monkeypatch.setenv('NAME', 'value')
        assert secret_from('token', 'NAME') == 'value'
        assert secret_from('token', 'ENC[a;b]') == 'ENC[a;b]'
        for literal in ('ghp_abc-def', 'two words', '2/119:abc', ''):
            with pytest.raises(MissingOption):
                secret_from('token', literal)


class TestFile:
    @pytest.mark.parametrize('source', sorted(SOURCES))
    def test_an_example_without_answers_has_no_placeholders(self, source):
        document = yaml.safe_load(example_file.filled(example_file.example(source), {}))
        assert unreplaced(document['instances'][0]) == []

    @pytest.mark.parametrize(
        'value', ['a: b', '# x', 'ENC[a;b]', 'é', "it's", '12', 'line\nline', {'a': [1, {'b': 2}]}]
    )
    @pytest.mark.parametrize('option', ['token', 'tags', 'new_option'])
    def test_every_value_is_read_as_it_was_given(self, option, value):
        text = example_file.filled(example_file.example('github'), {option: value, 'max_requests': 5})
        [instance] = yaml.safe_load(text)['instances']
        assert (instance['source'], instance[option], instance['max_requests']) == ('github', value, 5)

    def test_places(self, tmp_path):
        assert target.target(None, 'asana', {}) == Path('conf.d/metta_checks.d/asana.yaml')
        assert target.target(None, 'asana', {'METTA_CHECKS_CONF': '/x'}) == Path('/x/metta_checks.d/asana.yaml')
        assert target.target(Path('x/metta_checks.d'), 'asana', {}) == Path('x/metta_checks.d/asana.yaml')
        assert target.target(Path('x/mine.yaml'), 'asana', {}) == Path('x/mine.yaml')

    def test_a_file_is_written_whole_or_not_at_all(self, tmp_path, monkeypatch):
        path = tmp_path / 'x.yaml'
        path.write_text('before')
        with monkeypatch.context() as patch:
            patch.setattr(os, 'replace', lambda *_: (_ for _ in ()).throw(OSError(28, 'No space left on device')))
            with pytest.raises(OSError, match='No space'):
                target.write(path, 'after')
        assert [one.name for one in tmp_path.iterdir()] == ['x.yaml']
        assert path.read_text() == 'before'

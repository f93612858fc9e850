"""The workflow: GitHub's schema, rights, pins, order, events; the targets and files that it calls exist."""

from __future__ import annotations

import copy
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator

import pytest
import yaml
from typer.testing import CliRunner

from metta_checks.cli.main import app

from .documents import DEPLOY, ENVIRONMENTS, ROOT, document, policy, text, versions

WORKFLOW = 'workflows/deploy.yml'
JOBS = ['test', 'coverage', 'validate', 'wheel', 'image', 'staging', 'production', 'assets', 'nightly', 'drift']
NIGHTLY_TARGETS = ['chaos', 'explore', 'fuzz', 'audit']
# Permissions that a step of this form needs beyond reading the repository.
RIGHTS = {
    r'aws-actions/configure-aws-credentials@': ('id-token', 'write'),
    r'\bdocker login\b': ('packages', 'write'),
    r'actions/checkout@': ('contents', 'read'),
}


def workflow():
    return document(WORKFLOW)


def jobs():
    return workflow()['jobs']


def needs(job) -> list[str]:
    return [job['needs']] if isinstance(job.get('needs'), str) else job.get('needs', [])


def scripts():
    """Every run line with the name of its job."""
    return [(name, step['run']) for name, job in jobs().items() for step in job['steps'] if 'run' in step]


def needed(name: str) -> set[str]:
    """Return the jobs that must succeed before a job, direct and indirect."""
    direct = set(needs(jobs()[name]))
    return direct.union(*map(needed, direct))


# The only conditions of a job that this file can judge. Any other, such as `always()`, fails the tests.
CONDITION = re.compile(r"github\.(event_name|ref) (==|!=) '([^']+)'")


def started(event: str, ref: str) -> set[str]:
    """Return the jobs that run for an event: their condition holds, and every job that they need runs."""
    github = {'event_name': event, 'ref': ref}
    running: set[str] = set()
    for name, job in jobs().items():
        holds = True
        if 'if' in job:
            condition = CONDITION.fullmatch(job['if'])
            assert condition, job['if']
            variable, operator, value = condition.groups()
            holds = (github[variable] == value) == (operator == '==')
        if holds and running.issuperset(needs(job)):
            running.add(name)
    return running


def writing() -> Iterator[str]:
    """Yield the jobs that change something outside: the registry, a cluster or Datadog."""
    for name, job in jobs().items():
        script = ' '.join(step.get('run', '') for step in job['steps'])
        pushes = re.search(r'docker push|kubectl apply|helm (upgrade|rollback)|assets (push|delete)', script)
        if pushes or 'write' in job['permissions'].values():
            yield name


def validate(path):
    command = [sys.executable, '-m', 'check_jsonschema', '--builtin-schema', 'vendor.github-workflows', str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_what_github_runs_is_the_template():
    assert (ROOT / '.github' / 'workflows' / 'ci.yml').read_bytes() == (DEPLOY / WORKFLOW).read_bytes()


def test_the_schema_of_github():
    done = validate(DEPLOY / WORKFLOW)
    assert done.returncode == 0, done.stdout


def test_the_schema_would_find_a_mistake(tmp_path):
    wrong = copy.deepcopy(workflow())
    wrong['jobs']['test']['run-on'] = wrong['jobs']['test'].pop('runs-on')
    file = tmp_path / 'workflow.yml'
    file.write_text(yaml.safe_dump(wrong))
    assert validate(file).returncode == 1


def test_the_order_of_the_jobs():
    assert list(jobs()) == JOBS
    assert {name: needs(job) for name, job in jobs().items()} == {
        'test': [],
        'coverage': [],
        'validate': [],
        'wheel': ['test', 'validate'],
        'image': ['wheel'],
        'staging': ['image'],
        'production': ['image', 'staging'],
        'assets': ['production'],
        'nightly': [],
        'drift': [],
    }


def test_every_supported_python_is_tested():
    pyproject = tomllib.loads((ROOT / 'pyproject.toml').read_text(encoding='utf-8'))
    prefix = 'Programming Language :: Python :: '
    supported = [line.removeprefix(prefix) for line in pyproject['project']['classifiers'] if line.startswith(prefix)]
    test = jobs()['test']
    assert test['strategy']['matrix']['python'] == supported == ['3.11', '3.12', '3.13']
    assert test['strategy']['fail-fast'] is False
    [python] = [step['with'] for step in test['steps'] if step.get('uses', '').startswith('actions/setup-python@')]
    assert python == {'python-version': '${{ matrix.python }}'}
    assert ('test', 'make test') in scripts()


def test_coverage_is_measured_with_every_change():
    assert ('coverage', 'make coverage') in scripts()
    assert 'coverage' in started('pull_request', 'refs/pull/1/merge')
    assert 'coverage' in started('push', 'refs/heads/main')


def test_nothing_is_released_without_the_tests():
    assert set(writing()) == {'image', 'staging', 'production', 'assets'}
    for name in writing():
        assert needed(name) >= {'test', 'validate', 'wheel'}, name


def test_events_start_their_jobs():
    change = {'test', 'coverage', 'validate', 'wheel'}
    assert started('pull_request', 'refs/pull/1/merge') == change
    assert started('push', 'refs/tags/v1.0.0') == change | {'image'}
    assert started('push', 'refs/heads/main') == set(JOBS) - {'nightly', 'drift'}
    assert started('schedule', 'refs/heads/main') == {'nightly', 'drift'}


def test_a_nightly_run_deploys_nothing():
    night = started('schedule', 'refs/heads/main')
    assert night.isdisjoint(writing())
    for name in night:
        assert jobs()[name]['permissions'] == {'contents': 'read'}
        assert jobs()[name].get('environment', 'drift') == 'drift'


def test_the_night_looks_for_faults_and_vulnerabilities():
    assert len(workflow()[True]['schedule']) == 1
    nightly = jobs()['nightly']
    assert nightly['strategy'] == {'fail-fast': False, 'matrix': {'target': NIGHTLY_TARGETS}}
    [run] = [step for step in nightly['steps'] if 'run' in step]
    assert run == {'env': {'TARGET': '${{ matrix.target }}'}, 'run': 'make "$TARGET"'}


def test_only_main_is_deployed_one_at_a_time():
    groups = set()
    for name in (*ENVIRONMENTS, 'assets'):
        job = jobs()[name]
        assert job['if'] == "github.ref == 'refs/heads/main'"
        assert job['environment'] == ('production' if name == 'assets' else name)
        assert job['concurrency']['cancel-in-progress'] is False
        groups.add(job['concurrency']['group'])
    assert len(groups) == 3
    # A pull request, also one from elsewhere, gets no further than the wheel.
    assert jobs()['image']['if'] == "github.event_name == 'push'"
    assert 'pull_request_target' not in text(WORKFLOW)


def rights(job) -> dict[str, str]:
    steps = ' '.join(f'{step.get("uses", "")} {step.get("run", "")}' for step in job['steps'])
    return dict(right for pattern, right in RIGHTS.items() if re.search(pattern, steps))


@pytest.mark.parametrize('name', JOBS)
def test_a_job_has_the_rights_it_needs_and_no_more(name):
    assert jobs()[name]['permissions'] == rights(jobs()[name])


def test_nothing_has_rights_by_default_and_no_cloud_key_lives_long():
    assert workflow()['permissions'] == {}
    assert not re.search(r'AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY)|aws-access-key', text(WORKFLOW))
    for job in jobs().values():
        for step in job['steps']:
            if step.get('uses', '').startswith('actions/checkout@'):
                assert step['with']['persist-credentials'] is False


def test_actions_are_pinned_by_commit_and_say_which_release_it_is():
    used = re.findall(r'uses: (\S+)(.*)', text(WORKFLOW))
    assert len(used) > 10
    for reference, comment in used:
        assert re.fullmatch(r'[\w.-]+/[\w.-]+@[0-9a-f]{40}', reference), reference
        assert re.fullmatch(r' # v\d+\.\d+\.\d+', comment), reference
    # One commit of an action, everywhere.
    assert len({reference for reference, _ in used}) == len({reference.split('@')[0] for reference, _ in used})


def test_the_pinned_versions_are_read_and_not_written():
    for version in versions().values():
        assert version not in text(WORKFLOW)
    for name, script in scripts():
        for variable in versions():
            if f'${variable}' in script.replace('{', ''):
                assert '. deploy/versions.env' in script, name


def test_make_targets_and_files_exist():
    makefile = (ROOT / 'Makefile').read_text(encoding='utf-8')
    targets = {target for _, script in scripts() for target in re.findall(r'\bmake ([a-z0-9-]+)', script)}
    assert targets == {'test', 'coverage', 'docs', 'validate', 'e2e', 'build', 'test-wheel', 'venv'}
    for target in (*targets, *NIGHTLY_TARGETS):
        assert re.search(rf'^{target}:', makefile, re.MULTILINE), target
    files = {path for _, script in scripts() for path in re.findall(r'(?:tests/)?deploy/[\w./*$-]+', script)}
    assert 'deploy/helm/values.yaml' in files
    for path in files:
        assert list(ROOT.glob(path.replace('$environment', '*'))), path


def test_the_command_lines_are_taken():
    called = {tuple(line.split()) for _, script in scripts() for line in re.findall(r'metta-checks ([a-z -]+)', script)}
    assert called == {('assets', 'plan'), ('assets', 'push', '--yes')}
    for words in called:
        # Parsed up to --help, which comes after an option is refused.
        done = CliRunner().invoke(app, [*words, '--help'])
        assert done.exit_code == 0, done.output
    assert CliRunner().invoke(app, ['assets', 'push', '--yess', '--help']).exit_code == 2


def test_every_environment_is_deployed_with_its_overlay_and_judged():
    for environment in ENVIRONMENTS:
        script = '\n'.join(step['run'] for step in jobs()[environment]['steps'] if 'run' in step)
        other = next(one for one in ENVIRONMENTS if one != environment)
        assert f'values-{other}' not in script
        assert script.count(f'-f deploy/helm/values.yaml -f deploy/helm/values-{environment}.yaml') == 2
        assert f'deploy/verify.py --env {environment} --values deploy/helm/values-{environment}.yaml' in script
        # By digest: what was tried is what runs.
        assert script.count('--set "clusterChecksRunner.image.digest=$DIGEST"') == 2
        assert 'helm rollback datadog' in script
        assert 'kubectl apply -f deploy/helm/rbac.yaml' in script


def test_what_differs_between_the_environments_is_their_name():
    staging, production = (yaml.safe_dump(jobs()[name]['steps']) for name in ENVIRONMENTS)
    assert staging.replace('staging', 'production') == production


def test_scripts_are_scripts():
    for name, script in scripts():
        plain = re.sub(r'\$\{\{.*?\}\}', 'value', script)
        done = subprocess.run(['bash', '-n', '-c', plain], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f'{name}: {done.stderr}'
        # Text from outside belongs in a variable, not in the script.
        assert '${{' not in script, name


def test_shellcheck_has_nothing_to_say():
    if not shutil.which('shellcheck'):
        pytest.skip('shellcheck is not installed (Debian package shellcheck)')
    for name, script in scripts():
        # SC1091, SC2154: the versions are not read here. GitHub runs a script with -e.
        command = ['shellcheck', '--shell=bash', '--exclude=SC1091,SC2154', '-']
        done = subprocess.run(command, input=f'set -e\n{script}', capture_output=True, text=True, check=False)
        assert done.stdout == '', name
    done = subprocess.run(['shellcheck', DEPLOY / 'docker' / 'smoke.sh'], capture_output=True, text=True, check=False)
    assert done.stdout == ''


def documented(kind: str) -> set[str]:
    """The names in the table of docs/deployment.md that says what the repository must be given."""
    page = (ROOT / 'docs' / 'deployment.md').read_text(encoding='utf-8')
    return set(re.findall(rf'^\| {kind} \| `([A-Z_]+)` \|', page, re.MULTILINE))


@pytest.mark.parametrize(('kind', 'context'), [('variable', 'vars'), ('secret', 'secrets')])
def test_what_the_repository_must_be_given_is_documented(kind, context):
    used = set(re.findall(rf'\b{context}\.([A-Z_]+)', text(WORKFLOW))) - {'GITHUB_TOKEN'}
    assert used == documented(kind)


def test_the_role_of_the_workflow_may_do_what_the_workflow_does():
    called = {command for _, script in scripts() for command in re.findall(r'\baws ([a-z]+ [a-z-]+)', script)}
    assert called == {'eks update-kubeconfig'}
    [statement] = policy('ci-deploy')['Statement']
    # All that `aws eks update-kubeconfig` asks AWS for.
    assert statement['Action'] == ['eks:DescribeCluster']
    assert statement['Resource'].endswith(':cluster/main')
    [trust] = policy('trust-policy-ci')['Statement']
    assert trust['Action'] == 'sts:AssumeRoleWithWebIdentity'
    assert trust['Principal']['Federated'].endswith(':oidc-provider/token.actions.githubusercontent.com')
    assert trust['Condition'] == {
        'StringEquals': {
            'token.actions.githubusercontent.com:sub': 'repo:example-org/metta-checks:environment:production',
            'token.actions.githubusercontent.com:aud': 'sts.amazonaws.com',
        }
    }

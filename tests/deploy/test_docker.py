"""The Dockerfile, as far as it can be judged without building it."""

from __future__ import annotations

import os
import re
import shlex
import subprocess

import pytest

from metta_checks.check import SOURCES

from .documents import text, versions

DOCKERFILE = 'docker/Dockerfile'
WHEEL = 'datadog_metta_checks-1.2.3-py3-none-any.whl'


def instructions() -> list[tuple[str, str]]:
    """The instructions with their arguments, continued lines joined, comments left out."""
    lines = [line for line in text(DOCKERFILE).splitlines() if not line.lstrip().startswith('#')]
    joined = re.sub(r'\\\n\s*', '', '\n'.join(lines))
    return [(name, argument) for name, argument in re.findall(r'^\s*(\S+)\s+(.*)$', joined, re.MULTILINE)]


def script() -> str:
    [command] = [argument for name, argument in instructions() if name == 'RUN']
    return command


def test_the_base_is_the_pinned_agent_and_an_argument():
    assert [name for name, _ in instructions()] == ['ARG', 'ARG', 'ARG', 'FROM', 'ARG', 'COPY', 'RUN']
    arguments = dict(argument.split('=', 1) for name, argument in instructions() if name == 'ARG')
    assert arguments['AGENT_IMAGE'] == 'registry.datadoghq.com/agent'
    assert arguments['AGENT_VERSION'] == versions()['AGENT_VERSION']
    assert dict(instructions())['FROM'] == '${AGENT_IMAGE}:${AGENT_VERSION}${AGENT_DIGEST:+@${AGENT_DIGEST}}'


def test_one_wheel_and_nothing_else_goes_in():
    assert dict(instructions())['COPY'] == '${WHEEL} /wheels/'
    ignored = [line for line in text(f'{DOCKERFILE}.dockerignore').splitlines() if not line.startswith('#')]
    assert ignored == ['*', '!dist/*.whl']


def test_the_wheel_is_installed_as_the_agent_demands():
    words = shlex.split(script())
    install = words.index('install')
    assert words[install - 2 : install + 3] == ['agent', 'integration', 'install', '-r', '-w']
    # No package index, no credentials, no configuration.
    assert not re.search(r'\bpip\b|https?://|ENC\[|DD_', script())


@pytest.fixture
def image(tmp_path):
    """The RUN line on a file system of its own, with stand-ins for the Agent's two programs."""
    for directory in ('wheels', 'bin', 'conf.d/metta_checks.d', 'embedded'):
        (tmp_path / directory).mkdir(parents=True)
    said = tmp_path / 'said'
    for name, path in (('agent', tmp_path / 'bin' / 'agent'), ('python', tmp_path / 'embedded' / 'python')):
        path.write_text(f'#!/bin/sh\necho {name} "$@" >> {said}\nexit "${{FAIL_{name}:-0}}"\n')
        path.chmod(0o755)
    command = (
        script()
        .replace('/wheels', str(tmp_path / 'wheels'))
        .replace('/opt/datadog-agent/embedded/bin/python', str(tmp_path / 'embedded' / 'python'))
        .replace('/etc/datadog-agent/conf.d', str(tmp_path / 'conf.d'))
    )

    def build(*wheels: str, active: str = '', **environment: str) -> tuple[int, list[str], str]:
        for wheel in wheels:
            (tmp_path / 'wheels' / wheel).touch()
        for source in SOURCES:
            (tmp_path / 'conf.d' / 'metta_checks.d' / f'{source}.yaml.example').touch()
        if active:
            (tmp_path / 'conf.d' / 'metta_checks.d' / active).touch()
        path = f'{tmp_path / "bin"}{os.pathsep}{os.environ["PATH"]}'
        # Command line under which Docker runs it.
        done = subprocess.run(
            ['/bin/sh', '-c', command],
            env={'PATH': path, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, said.read_text().splitlines() if said.exists() else [], done.stderr

    return build


def test_the_run_line_installs_and_imports(image, tmp_path):
    code, said, errors = image(WHEEL)
    assert (code, errors) == (0, '')
    assert said == [
        f'agent integration install -r -w {tmp_path}/wheels/{WHEEL}',
        'python -c from datadog_checks.metta_checks import MettaChecks',
    ]
    assert not (tmp_path / 'wheels').exists()


def test_two_wheels_are_refused_in_words(image):
    code, said, errors = image(WHEEL, WHEEL.replace('1.2.3', '1.2.2'))
    assert code == 1
    assert said == []
    assert 'exactly one wheel is expected' in errors


@pytest.mark.parametrize(
    'how', [{'FAIL_agent': '1'}, {'FAIL_python': '1'}, {'active': 'github.yaml'}], ids=['agent', 'python', 'active']
)
def test_what_fails_fails_the_build(image, how):
    code, _, _ = image(WHEEL, **how)
    assert code != 0


def test_the_import_is_one_that_the_package_offers():
    [statement] = re.findall(r'-c "([^"]+)"', script())
    exec(compile(statement, DOCKERFILE, 'exec'), {})

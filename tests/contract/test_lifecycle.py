"""`ddev env test` from beginning to end, with a stand-in for Docker: what is mounted, installed, asked, in which order.

The end-to-end test itself is run too, against the sandbox; only the Agent's image is not the real one (`make e2e`).
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tools.ddev import CHECK, Repository, Unavailable, kept_repository
from tools.pythons import interpreter

from . import docker_standin
from .docker_standin import CONF_D, mounts, values
from .environments import agent_environment

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]
CONTAINER = f'dd_{CHECK}_e2e'
IMAGE = 'registry.example.com/agent:7.81.1'
VERSION = '3.13'


@dataclass(frozen=True)
class Lifecycle:
    """The result of one `ddev env test`."""

    place: Repository
    exit_code: int
    output: str
    calls: list[list[str]]


@pytest.fixture(scope='module')
def lifecycle(tmp_path_factory) -> Iterator[Lifecycle]:
    executable = interpreter(VERSION)
    if executable is None:
        pytest.skip(f'Python {VERSION} is not on this machine')
    agent = agent_environment(VERSION, 'agent-newest', executable)
    directory = tmp_path_factory.mktemp('docker')
    docker = directory / 'docker'
    docker.write_text(f'#!/bin/sh\nexec {shlex.join([agent.python, docker_standin.__file__])} "$@"\n', encoding='utf-8')
    docker.chmod(0o755)
    try:
        with kept_repository() as place:
            variables = {
                **place.variables,
                'PATH': f'{directory}{os.pathsep}{place.variables["PATH"]}',
                'DDEV_E2E_AGENT': IMAGE,
                docker_standin.DIRECTORY: str(directory),
            }
            answer = subprocess.run(
                place.end_to_end,
                cwd=place.parent,
                env=variables,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            yield Lifecycle(place, answer.returncode, answer.stdout, docker_standin.calls(directory))
    except Unavailable as error:
        pytest.skip(str(error))


def test_the_check_is_tested_in_the_container(lifecycle):
    assert lifecycle.exit_code == 0, lifecycle.output
    assert '1 passed' in lifecycle.output


def test_commands_come_in_order(lifecycle):
    shown = [' '.join(call[:2] if call[0] != 'exec' else call[2:5]) for call in lifecycle.calls]
    assert shown == [
        f'pull {IMAGE}',
        'run -d',
        '/opt/datadog-agent/embedded/bin/python3 -m pip',
        f'restart {CONTAINER}',
        f'agent check {CHECK}',
        'stop -t',
        f'rm {CONTAINER}',
    ], lifecycle.output


def test_the_container_sees_the_host_the_configuration_and_the_project(lifecycle):
    [run] = [call for call in lifecycle.calls if call[0] == 'run']
    assert values(run, '--name') == [CONTAINER]
    assert run[-1] == IMAGE
    # The sandbox listens on the host's loopback.
    assert values(run, '--network') == ['host']
    inside = mounts(run)
    assert inside[f'/home/{CHECK}'] == str(lifecycle.place.parent / CHECK)
    assert f'{CONF_D}/{CHECK}.d' in inside


def test_the_project_is_installed_from_its_mount(lifecycle):
    [install] = [call for call in lifecycle.calls if 'pip' in call]
    assert install[0:2] == ['exec', CONTAINER]
    assert install[-2:] == ['-e', f'/home/{CHECK}[deps]']


def test_the_check_runs_twice_with_machine_readable_output(lifecycle):
    [check] = [call for call in lifecycle.calls if call[2:4] == ['agent', 'check']]
    assert {'--json', '--check-rate'} <= set(check)


def test_the_sandbox_is_gone(lifecycle):
    listing = subprocess.run(['ps', '-eo', 'args'], capture_output=True, text=True, check=True).stdout
    assert str(lifecycle.place.parent) not in listing

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.ddev import copy_project
from tools.pythons import interpreter

from .environments import CONSTRAINTS, VERSIONS, Environment, agent_environment


def pytest_collection_modifyitems(items):
    """One worker builds the wheel and the environments; the others have enough to do."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.xdist_group('contract'))
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope='session')
def distributions(tmp_path_factory) -> dict[str, Path]:
    """The wheel built from the tree, the sdist, and the wheel built from that sdist."""
    directory = tmp_path_factory.mktemp('dist')
    tree = directory / 'tree'
    copy_project(tree)

    def build(source: Path, kind: str, out: str) -> Path:
        command = [
            sys.executable,
            '-m',
            'build',
            '--no-isolation',
            f'--{kind}',
            '--outdir',
            str(directory / out),
            str(source),
        ]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        assert answer.returncode == 0, answer.stdout + answer.stderr
        return next((directory / out).iterdir())

    sdist = build(tree, 'sdist', 'sdist')
    shutil.unpack_archive(sdist, directory / 'unpacked', filter='data')
    unpacked = next((directory / 'unpacked').iterdir())
    return {'wheel': build(tree, 'wheel', 'wheel'), 'sdist': sdist, 'again': build(unpacked, 'wheel', 'again')}


@pytest.fixture(scope='session', params=[(version, pins) for version in VERSIONS for pins in CONSTRAINTS], ids=str)
def agent(request, distributions) -> Environment:
    """An Agent's environment with the wheel installed as the Agent installs it."""
    version, constraints = request.param
    executable = interpreter(version)
    if executable is None:
        pytest.skip(f'Python {version} is not on this machine')
    environment = agent_environment(version, constraints, executable)
    wheel = str(distributions['wheel'])
    environment.pip('install', '--no-deps', '--no-index', '--force-reinstall', wheel)
    return environment

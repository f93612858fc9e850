"""The environment of `ddev env`: the sandbox on loopback, which the Agent's container reaches on the host's network.

Setting up, testing and tearing down are three processes: the sandbox outlives the first; its number and its directory
are handed on as ddev hands on state.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from datadog_checks.dev.env import environment_run, get_state, save_state

from sandbox.__main__ import CONF_DIRECTORY

ROOT = Path(__file__).resolve().parent.parent
STATE = 'sandbox'
START_SECONDS = 120
STOP_SECONDS = 60


def start() -> dict[str, Any]:
    """Start the sandbox in a process of its own. Returns the check's configuration, an instance for each source."""
    directory = Path(tempfile.mkdtemp(prefix='metta-checks-e2e-'))
    log = directory / 'sandbox.log'
    with log.open('wb') as output:
        process = subprocess.Popen(
            [sys.executable, '-m', 'sandbox', '--run-clock', '--json', '--conf-dir', str(directory)],
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
            # Otherwise it ends with the terminal's session, and with this process.
            start_new_session=True,
        )
    save_state(STATE, {'pid': process.pid, 'directory': str(directory)})
    deadline = time.monotonic() + START_SECONDS
    # It prints the addresses once the configuration is written and every service answers.
    while not log.read_text(encoding='utf-8').endswith('}\n'):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f'the sandbox did not start: {log.read_text(encoding="utf-8")}')
        time.sleep(0.1)
    files = sorted((directory / CONF_DIRECTORY).glob('*.yaml'))
    documents = [yaml.safe_load(file.read_text(encoding='utf-8')) for file in files]
    instances = [instance for document in documents for instance in document['instances']]
    return {'init_config': {}, 'instances': [{**instance, 'empty_default_hostname': True} for instance in instances]}


def stop() -> None:
    """Stop the sandbox that `start` started, perhaps in another process, and remove its files."""
    state = get_state(STATE)
    if state is None:
        return
    os.kill(state['pid'], signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while _runs(state['pid']) and time.monotonic() < deadline:
        time.sleep(0.1)
    for file in sorted(Path(state['directory']).rglob('*'), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    Path(state['directory']).rmdir()


def _runs(pid: int) -> bool:
    # One that has ended and that nobody has waited for (`Z`) is still listed, as it may be in a container.
    listed = subprocess.run(['ps', '-o', 'stat=', '-p', str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(listed.strip()) and not listed.startswith('Z')


@pytest.fixture(scope='session')
def dd_environment() -> Iterator[dict[str, Any]]:
    """The environment that `ddev env start` starts, and the configuration for the Agent."""
    with environment_run(up=start, down=stop) as configuration:
        yield configuration

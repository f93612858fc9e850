"""The code produces every line that docs/troubleshooting.md quotes, and the page quotes every line produced here."""

from __future__ import annotations

import json
import os
import re
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import sandbox
from metta_checks.cli.configuration import ConfigurationFileError, load
from metta_checks.testing import Driver, Run
from sandbox import Running
from sandbox.__main__ import write_configuration
from tests.kubernetes.test_credentials import certificate  # noqa: F401

from . import pages
from .runner import placeholders

# The lines are produced once, for all tests.
pytestmark = [pytest.mark.integration, pytest.mark.xdist_group('troubleshooting')]

PAGE = 'docs/troubleshooting.md'
REFUSED = 'http://127.0.0.1:9'
DENIED = '<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>no</Message></Error></Errors></Response>'


def quoted() -> list[str]:
    """Return the lines that the page quotes, in order."""
    return [line for fence in pages.fences(PAGE) if fence.language == 'text' for line in fence.text.splitlines()]


def fitting(line: str) -> list[str]:
    """Return the quoted lines that match a real line."""
    bare = re.sub(r' \(and \d+ more\)$', '', line)
    return [quote for quote in quoted() if re.fullmatch(placeholders(quote), bare)]


def lines_of(run: Run) -> list[str]:
    """Return the lines that the status page shows for a run."""
    return [run.error] if run.error else run.warnings


# Small services, where the size does not matter.
SIZES: dict[str, dict[str, Any]] = {'github': {'history': 300}}
# Name -> (source, fault of the service or None, options that differ from the sandbox's own): a run with such lines.
RUNS: dict[str, tuple[str, dict[str, Any] | None, dict[str, Any]]] = {
    'option missing': ('wandb', None, {'entity': None}),
    'option of the wrong kind': ('github', None, {'refresh_interval': 'often'}),
    'a text for a list': ('github', None, {'required_workflows': 'tests'}),
    'no credentials': ('github', None, {'token': None}),
    'no secrets backend': ('asana', None, {'access_token': 'ENC[asana/access-token;token]'}),
    'github refuses': ('github', None, {'token': 'wrong'}),
    'asana refuses': ('asana', None, {'access_token': 'wrong'}),
    'wandb refuses': ('wandb', None, {'api_key': 'x' * 40}),
    'permission': ('skypilot', {'kind': 'status', 'status': 403}, {}),
    'policy': ('ec2', {'kind': 'status', 'status': 403, 'body': DENIED}, {}),
    'no such repository': ('github', None, {'repositories': ['metta-ai/nothing']}),
    'no such entity': ('wandb', None, {'entity': 'nobody'}),
    'nobody there': ('skypilot', None, {'api_server_url': REFUSED}),
    'proxy': ('skypilot', None, {'proxy': {'http': REFUSED}}),
    'login page': ('wandb', {'kind': 'not_json'}, {}),
    'other server': ('wandb', {'kind': 'status', 'status': 404}, {}),
    'redirect': ('asana', {'kind': 'status', 'status': 302, 'headers': {'Location': 'https://login.example/'}}, {}),
    'no answer': ('skypilot', {'kind': 'silent'}, {'read_timeout': 0.2}),
    'down': ('skypilot', {'kind': 'status', 'status': 503}, {}),
    'broken off': ('wandb', {'kind': 'truncate'}, {}),
    'metrics-server': ('kubernetes', {'kind': 'status', 'status': 404, 'path': '/apis/metrics.k8s.io/*'}, {}),
    'no such Bugs project': ('asana', None, {'bugs_project_gid': '12'}),
    'time is up': (
        'github',
        {'kind': 'slow', 'seconds': 10},
        {'refresh_timeout': 25, 'timeout': 30, 'repositories': ['metta-ai/infra']},
    ),
    'too many requests': ('github', None, {'max_requests': 3}),
    'too many repositories': ('github', None, {'max_repositories': 1}),
    'rate limit': ('asana', {'kind': 'status', 'status': 429, 'headers': {'Retry-After': '90'}}, {}),
    'secondary limit': ('github', {'kind': 'status', 'status': 429, 'headers': {'Retry-After': '90'}}, {}),
}


# Option missing, wrong file, ...: what the constructor says, by (instance, library that cannot be imported).
STARTS: dict[str, tuple[dict, str]] = {
    'no source': ({}, ''),
    'another source': ({'source': 'gitlab'}, ''),
    'no library': ({'source': 'ec2', 'regions': ['us-east-1']}, 'botocore'),
}
# Text of the file wandb.yaml, None for no file.
FILES = {
    'no file': None,
    'file of another source': 'instances: [{source: asana}]',
    'no YAML': 'instances:\n  - source: [wandb\n  - x: y',
    'no instances': 'instances: none',
    'file without a source': 'instances: [{}]',
    'an example': (pages.ROOT / 'conf.d/metta_checks.d/wandb.yaml.example').read_text(encoding='utf-8'),
    'no such secret': 'instances: [{source: wandb, api_key: "ENC[metta/wandb]"}]',
}
# Source, arguments of the command, library that cannot be imported.
COMMANDS = {
    'no key': ('skypilot', ('collect', 'skypilot', '--push'), ''),
    'no SDK': ('wandb', ('verify', 'wandb'), 'wandb'),
}
OTHERS = ('certificate', 'no folder', 'no configuration', 'misspelled option')
WITHOUT = 'import sys; sys.modules[sys.argv.pop(1)] = None; '
START = (
    WITHOUT + 'import json; from datadog_checks.metta_checks import MettaChecks; '
    "MettaChecks('metta_checks', {}, [json.loads(sys.argv[1])])"
)
COMMAND = WITHOUT + 'from metta_checks.cli.main import app; app()'


def read(source: str, fault: dict[str, Any] | None, options: dict[str, Any]) -> list[str]:
    with Running(sandbox.service(source, **SIZES.get(source, {}))) as service:
        if fault:
            service.faults.add(**fault)
        return lines_of(Driver.of(service, **options).run())


def untrusted(files: tuple[Path, Path]) -> list[str]:
    """Return the lines of a run against a self-signed certificate."""
    running = Running(sandbox.service('skypilot'))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    running._server.socket = context.wrap_socket(running._server.socket, server_side=True)
    with running as service:
        address = service.url.replace('http://', 'https://')
        return lines_of(Driver.of(service, api_server_url=address).run())


def process(code: str, missing: str, *arguments: str) -> list[str]:
    """Return the error output of a program that cannot import a library."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith('DD_')}
    done = subprocess.run(
        [sys.executable, '-c', code, missing or '_nothing', *arguments],
        capture_output=True,
        text=True,
        env={**environment, 'COLUMNS': '300'},
        check=False,
    )
    return done.stderr.splitlines()


def refused(path: Path) -> list[str]:
    """Return the errors of the command line for a folder."""
    try:
        return [one.error for one in load(path, 'wandb')]
    except ConfigurationFileError as error:
        return [str(error)]


@pytest.fixture(scope='module')
def produced(certificate, tmp_path_factory) -> dict[str, list[str]]:  # noqa: F811
    """Return the lines by the name of the situation."""
    lines = {name: read(*how) for name, how in RUNS.items()}
    lines['certificate'] = untrusted(certificate)
    for name, (instance, missing) in STARTS.items():
        # The last line of a traceback, without the class of the error.
        lines[name] = [process(START, missing, json.dumps(instance))[-1].partition(': ')[2]]
    with pytest.MonkeyPatch.context() as patch:
        for setting in ('AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_DEFAULT_REGION'):
            patch.setenv(setting, 'us-east-1')
        patch.setenv('AWS_ENDPOINT_URL', REFUSED)
        patch.setenv('AWS_MAX_ATTEMPTS', '1')
        for name, text in FILES.items():
            folder = tmp_path_factory.mktemp('conf')
            if text is not None:
                (folder / 'wandb.yaml').write_text(text, encoding='utf-8')
            lines[name] = refused(folder)
    lines['no folder'] = refused(tmp_path_factory.mktemp('conf') / 'nowhere')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp('conf'))
        lines['no configuration'] = process(COMMAND, '', 'doctor')
    check = Driver({'source': 'github', 'token': 'x', 'refresh_intervall': 60}).check
    lines['misspelled option'] = check.unknown_options()
    for name, (source, arguments, missing) in COMMANDS.items():
        with Running(sandbox.service(source)) as service:
            folder = write_configuration(tmp_path_factory.mktemp('conf'), {source: service.instance()})
            lines[name] = process(COMMAND, missing, *arguments, '--config', str(folder))
    return lines


@pytest.mark.parametrize('name', [*RUNS, *OTHERS, *STARTS, *FILES, *COMMANDS])
def test_what_is_said_is_quoted(produced, name):
    assert any(len(fitting(line)) == 1 for line in produced[name]), produced[name]


@pytest.mark.parametrize('quote', quoted())
def test_what_is_quoted_is_said(produced, quote):
    assert any(quote in fitting(line) for lines in produced.values() for line in lines)

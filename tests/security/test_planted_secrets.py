"""No secret is ever shown: not in what fails, not in what is logged about it, not in what is kept."""

from __future__ import annotations

import base64
import json
import logging
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from typer.main import get_command

from metta_checks.check import MettaChecks
from metta_checks.cli.main import app
from metta_checks.core.secrets import Scrubber
from metta_checks.core.source import CACHE_KEY
from metta_checks.testing import Agent, Driver

from . import hostile
from .instances import SECRETS, instance, source_of
from .planted import Evidence, plant

pytestmark = pytest.mark.integration

PROXY_PASSWORD = plant('prx')
URL_PASSWORD = plant('url')
HEADER = plant('hdr')
# The behavior of the server. A status repeats in its body everything that was sent.
SERVED = {
    '401': hostile.status(401),
    '403': hostile.status(403),
    '404': hostile.status(404),
    '400': hostile.status(400),
    '429': hostile.status(429, Retry_After='0'),
    '500': hostile.status(500),
    'errors_with_200': hostile.fine_but_wrong,
    'not_json': hostile.not_json,
    'redirect': hostile.redirect,
    'reset': hostile.reset,
    'truncated': hostile.truncated,
}
# Failures on the way to the server.
OTHER = ('unreachable', 'tls', 'wrong_scheme', 'proxy', 'password_in_url', 'headers', 'timeout')
# Made once: typer makes it again for every call of an app.
COMMAND = get_command(app)
COMMANDS = [[command, *form] for command in ('collect', 'doctor', 'verify') for form in ((), ('--json',))]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    # The AWS SDK waits between its attempts; what it says does not depend on how long.
    monkeypatch.setenv('AWS_MAX_ATTEMPTS', '1')
    monkeypatch.setattr('metta_checks.ec2.aws.ATTEMPTS', 1)


@contextmanager
def failing(name: str, failure: str, certificate: Any):
    """An instance that fails in this way, and the further secrets that it holds."""
    if failure in SERVED:
        with hostile.serving(SERVED[failure]) as server:
            yield instance(name, server.url), {}
        return
    with hostile.serving(hostile.status(401), certificate if failure == 'tls' else None) as server:
        place = server.url.partition('//')[2]
        match failure:
            case 'tls':
                yield instance(name, server.url), {}
            case 'wrong_scheme':
                yield instance(name, f'https://{place}'), {}
            case 'unreachable':
                yield instance(name, 'http://127.0.0.1:9'), {}
            case 'proxy':
                proxy = f'http://reader:{_quoted(PROXY_PASSWORD)}@127.0.0.1:9'
                proxies = {'http': proxy, 'https': proxy, 'no_proxy': []}
                yield instance(name, 'http://service.example', proxy=proxies), {'proxy': PROXY_PASSWORD}
            case 'password_in_url':
                url = f'http://reader:{_quoted(URL_PASSWORD)}@{place}'
                yield instance(name, url), {'url': URL_PASSWORD}
            case 'headers':
                options = {'headers': {'X-Extra': f'Bearer {HEADER}'}}
                yield instance(name, server.url, **options), {'headers': HEADER}
            case 'timeout':
                server.behavior = hostile.silent
                # No answer ever comes, so that this is enough on any machine.
                quick = {'read_timeout': 0.05, 'connect_timeout': 0.05} if name == 'ec2' else {'timeout': 0.05}
                yield instance(name, server.url, **quick), {}


def _quoted(text: str) -> str:
    return quote(text, safe='')


@dataclass(frozen=True)
class Shown:
    """All that is shown by the way: the log, the terminal, warnings of Python."""

    log: pytest.LogCaptureFixture
    terminal: pytest.CaptureFixture[str]
    python: pytest.WarningsRecorder

    def add_to(self, evidence: Evidence) -> None:
        """Keep it."""
        for record in self.log.records:
            evidence.add(f'log {record.name}', self.log.handler.format(record))
        out, err = self.terminal.readouterr()
        evidence.add('stdout', out)
        evidence.add('stderr', err)
        for warning in self.python:
            evidence.add('python warning', str(warning.message))


@pytest.fixture
def shown(caplog, capfd, recwarn) -> Shown:
    caplog.set_level(logging.DEBUG)
    return Shown(caplog, capfd, recwarn)


def run_check(evidence: Evidence, configured: dict[str, Any]) -> str:
    """Run the check twice and diagnose it, and keep what it shows. Returns its error."""
    driver = Driver(configured, agent=Agent())
    errors = []
    for _ in range(2):
        report = driver.execute()
        evidence.add('report', report)
        errors += [json.loads(report)[0]['message']] if report else []
    for warning in driver.check.get_warnings():
        evidence.add('warning', warning)
    submitted = driver.agent.take(driver.check)
    for point in submitted.points:
        evidence.add('tags', ' '.join(point.tags))
    for _, _, tags, message in submitted.service_checks:
        evidence.add('service check', f'{message} {tags}')
    for event in submitted.events:
        evidence.add('event', event)
    evidence.add('snapshot', driver.check.read_persistent_cache(CACHE_KEY))
    evidence.add('diagnose', driver.check.get_diagnoses())
    evidence.add('label', driver.check.label)
    return next(iter(errors), '')


def run_commands(evidence: Evidence, configured: dict[str, Any], path: Path) -> None:
    """Run the commands on the same instance, and keep what they raise; the terminal has the rest."""
    path.write_text(yaml.safe_dump({'init_config': {}, 'instances': [configured]}), encoding='utf-8')
    for command, *form in COMMANDS:
        try:
            COMMAND([command, configured['source'], '-c', str(path), *form])
        except SystemExit as end:
            evidence.add(f'{command} exit', repr(end))
        except Exception as error:
            evidence.add(f'{command} exception', repr(error))


# A second way to authenticate differs in what is sent, not in how things fail; and waiting takes its time.
FEW = ('401', '500', 'not_json', 'password_in_url')
CASES = [
    (name, failure)
    for name in SECRETS
    for failure in (FEW if '_' in name else (*SERVED, *OTHER))
    if failure != 'timeout' or name in ('asana', 'ec2', 'wandb')
]


@pytest.mark.parametrize(('name', 'failure'), CASES)
def test_a_failure_shows_no_secret(name, failure, certificate, tmp_path, shown):
    with failing(name, failure, certificate) as (configured, further):
        evidence = Evidence({**SECRETS[name], **further})
        error = run_check(evidence, configured)
        run_commands(evidence, configured, tmp_path / 'one.yaml')
    shown.add_to(evidence)
    assert evidence.leaks() == []
    # All commands came to an end of their own.
    assert [where for where, _ in evidence.said if where.endswith(' exit')] == [
        f'{command} exit' for command, *_ in COMMANDS
    ]
    # The failure did happen, and one line reports it.
    said = error or ' '.join(text for where, text in evidence.said if where in ('warning', 'service check'))
    assert said
    assert '\n' not in said
    assert source_of(name) in said


def test_a_token_of_a_kubeconfig_is_known_as_a_secret(tmp_path):
    token = plant('kcf').replace('"', '')
    with hostile.serving(hostile.status(500)) as server:
        document = {
            'current-context': 'one',
            'contexts': [{'name': 'one', 'context': {'cluster': 'one', 'user': 'one'}}],
            'clusters': [{'name': 'one', 'cluster': {'server': server.url}}],
            'users': [{'name': 'one', 'user': {'token': token}}],
        }
        path = tmp_path / 'kubeconfig'
        path.write_text(yaml.safe_dump(document), encoding='utf-8')
        check = MettaChecks('metta_checks', {}, [{'source': 'kubernetes', 'kubeconfig': str(path)}])
        check.run()
        assert server.asked
    assert token[:8] not in check.sanitize(f'server said {token}')


def test_the_search_finds_what_it_should():
    secret = plant('abc')
    for text in (
        f'x {secret[:8]}',
        base64.b64encode(f'api:{secret}'.encode()).decode(),
        base64.b64encode(f'user:{secret}'.encode()).decode(),
        base64.b64encode(f'u:{secret}'.encode()).decode(),
        _quoted(secret),
        json.dumps(secret),
    ):
        evidence = Evidence({'one': secret})
        evidence.add('here', text)
        assert evidence.leaks(), text
    evidence.add('here', 'zQ8abc-X')
    assert len(evidence.said) == 2


EVENT = {'msg_title': 'one', 'aggregation_key': 'one', 'alert_type': 'info', 'tags': []}
SHOWING = {
    'log of': lambda check, secret: check.log.error('sent %s', secret),
    'warnings': lambda check, secret: check.warning('sent %s', secret),
    'report': lambda check, secret: check.gauge('no.number', secret),
    'tags': lambda check, secret: check.gauge('one', 1, tags=[f'sent:{secret}']),
    'service check': lambda check, secret: check.service_check('metta.can_connect', 2, message=f'sent {secret}'),
    'event': lambda check, secret: check.event({**EVENT, 'msg_text': f'sent {secret}'}),
    'snapshot': lambda check, secret: check.write_persistent_cache(CACHE_KEY, f'{{"sent": "{secret}"}}'),
}


@pytest.mark.parametrize('where', SHOWING)
def test_what_any_test_shows_is_searched(where, monkeypatch, watched_runs):
    monkeypatch.setattr(Scrubber, 'scrub', lambda _, text: text)
    secret = plant('any').replace('"', '')
    check = MettaChecks('metta_checks', {}, [{**instance('skypilot', 'http://127.0.0.1:9'), 'token': secret}])
    monkeypatch.setattr(check, 'check', lambda _: SHOWING[where](check, secret))
    check.run()
    assert any(where in leak for leak in watched_runs.search())

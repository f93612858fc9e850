"""`metta-checks doctor` on a service that refuses: a stable id, the service's own reason, and advice that works."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import sandbox
from metta_checks.check import SOURCES, source_class
from metta_checks.cli.configuration import Configured
from metta_checks.cli.diagnosing import diagnose
from metta_checks.core import remedies
from metta_checks.core.errors import SourceError
from sandbox import Running, Service
from tests.cli.test_init import SIZES

from ..docs import pages

REASON = 'The gate keeper is on leave.'
# The option that holds the address of the service.
ADDRESSES = {
    'asana': 'api_url',
    'ec2': 'endpoint_url',
    'github': 'api_url',
    'kubernetes': 'api_server_url',
    'skypilot': 'api_server_url',
    'wandb': 'api_url',
}
# The body of a refusal, in the form of each service.
AWS = '<Response><Errors><Error><Code>{code}</Code><Message>{reason}</Message></Error></Errors></Response>'
BODIES: dict[str, Callable[[str], str]] = {
    'asana': lambda reason: json.dumps({'errors': [{'message': reason}]}),
    'ec2': lambda reason: AWS.format(code='UnauthorizedOperation', reason=reason),
    'github': lambda reason: json.dumps({'message': reason}),
    'kubernetes': lambda reason: json.dumps({'kind': 'Status', 'status': 'Failure', 'message': reason}),
    'skypilot': lambda reason: json.dumps({'detail': reason}),
    'wandb': lambda reason: json.dumps({'errors': [{'message': reason}]}),
}
# Status -> the reasons that may be the subject of the finding.
STATUSES = {
    401: {'auth'},
    403: {'permission', 'auth'},
    404: {'not_found'},
    429: {'rate_limit'},
    500: {'http_5xx'},
    503: {'http_5xx'},
}
SUBJECT = re.compile(r'[a-z0-9_]+[.][a-z0-9_]+')
# Words in backticks that are not options: commands that work where they are typed; scopes, and how a token begins.
COMMANDS = ('curl -v ', 'kubectl ', 'sky ', 'metta-checks ', 'datadog-agent ')
OTHERS = {'tasks:read', 'projects:read', 'sky_...'}


@pytest.fixture(scope='module')
def services() -> Iterator[dict[str, Service]]:
    """Start every service once. Each test removes its faults."""
    running = [Running(sandbox.service(source, **SIZES.get(source, {}))) for source in SOURCES]
    yield {one.service.name: one.start() for one in running}
    for one in running:
        one.stop()


def failed(instance: dict[str, Any], tmp_path) -> list[dict[str, Any]]:
    """Return the findings of `doctor` that need action, as its JSON has them."""
    [diagnosis] = diagnose([Configured(tmp_path / 'x.yaml', {}, instance)])
    return [one for one in diagnosis.document()['findings'] if one['status'] == 'fail']


def options(source: str) -> set[str]:
    """The options of a source, those that all sources share included."""
    spec = (pages.ROOT / 'conf.d' / 'metta_checks.d' / f'{source}.yaml.example').read_text(encoding='utf-8')
    return set(re.findall(r'@param (\w+)', spec))


def check(source: str, finding: dict[str, Any]) -> None:
    assert SUBJECT.fullmatch(finding['id'])
    assert finding['remedy']
    assert finding['remedy'] not in finding['message']
    assert '{' not in finding['remedy']
    for quoted in re.findall('`([^`]+)`', finding['remedy']):
        assert quoted in options(source) | OTHERS or quoted.startswith(COMMANDS), quoted


@pytest.mark.integration
@pytest.mark.parametrize('status', STATUSES)
@pytest.mark.parametrize('source', sorted(SOURCES))
def test_a_refusal(services, source, status, tmp_path):
    service = services[source]
    service.faults.add('status', status=status, body=BODIES[source](REASON))
    try:
        found = failed(service.instance(), tmp_path)
    finally:
        service.faults.clear()
    assert found
    for finding in found:
        check(source, finding)
        if finding['name'] in remedies.REMEDIES:
            # Nothing but the reason is known. AWS has no such answers with these codes.
            assert source == 'ec2' or finding['name'] in STATUSES[status]
    # At 429, the time to wait says more than the words of the service.
    if status != 429:
        assert any(REASON.rstrip('.') in finding['message'] for finding in found), found


@pytest.mark.integration
@pytest.mark.parametrize('source', sorted(SOURCES))
class TestConnection:
    def instance(self, service: Service, address: str) -> dict[str, Any]:
        return {**service.instance(), ADDRESSES[service.name]: address, 'read_timeout': 0.2}

    def test_no_such_host(self, services, source, tmp_path):
        [finding] = failed(self.instance(services[source], 'http://nowhere.invalid'), tmp_path)
        check(source, finding)
        assert finding['id'] == f'{source}.unreachable'

    def test_tls(self, services, source, tmp_path):
        address = services[source].url.replace('http://', 'https://')
        [finding] = failed(self.instance(services[source], address), tmp_path)
        check(source, finding)
        assert finding['id'] == f'{source}.tls'

    def test_no_answer(self, services, source, tmp_path):
        service = services[source]
        service.faults.add('silent')
        try:
            [finding] = failed(self.instance(service, service.url), tmp_path)
        finally:
            service.faults.clear()
        check(source, finding)
        assert finding['id'] == f'{source}.timeout'


@pytest.mark.parametrize('source', sorted(SOURCES))
@pytest.mark.parametrize('reason', [*remedies.REMEDIES, 'another'])
def test_every_reason_has_advice(source, reason):
    error = SourceError('it failed', reason=reason)
    health = source_class(source).HEALTH
    assert health
    advice = remedies.filled(remedies.remedy(error), source=source, url='https://example.com', health=health)
    check(source, {'id': f'{source}.{reason}', 'message': error.fact, 'remedy': advice})


def test_an_error_has_its_own_advice_first():
    error = SourceError('it failed', remedy='try this')
    assert str(error) == 'it failed; try this'
    assert remedies.remedy(error) == 'try this'


def test_the_address_in_the_advice_has_no_credentials(tmp_path):
    instance = {
        'source': 'skypilot', 'api_server_url': 'http://user:hidden@nowhere.invalid/sky', 'token': 'a-long-token'
    }  # fmt: skip
    [finding] = failed(instance, tmp_path)
    assert 'hidden' not in str(finding)
    check = source_class('skypilot')('metta_checks', {}, [instance])
    check.run_check_initializations()
    assert check.address() == 'http://nowhere.invalid/sky'


def test_a_wrong_option_has_advice(tmp_path):
    [finding] = failed({'source': 'skypilot', 'api_server_url': 'nonsense'}, tmp_path)
    assert (finding['id'], finding['remedy']) == ('skypilot.configuration', remedies.CONFIGURATION)

"""The targets of raw exchanges find planted defects, and a right answer is taken."""

from __future__ import annotations

import http.client
from unittest import mock

import pytest

from fuzz.target import Finding, timed
from fuzz.targets import all_targets
from fuzz.targets.exchanges import INTERIM, PLAIN
from metta_checks.core import body, connections
from metta_checks.core.address import Address
from metta_checks.core.budget import Budget

pytestmark = pytest.mark.integration

SOURCES = ('github', 'skypilot', 'asana', 'wandb', 'kubernetes', 'ec2')


def run(source, **changes):
    timed(all_targets()[f'exchange.{source}'], {**PLAIN, **changes})


@pytest.mark.parametrize('source', SOURCES)
@pytest.mark.parametrize('changes', [{}, {'framing': 'chunked'}, {'packed': 'gzip', 'encoding': 'gzip'}])
def test_a_right_answer_is_taken(source, changes):
    if source == 'ec2' and 'packed' in changes:
        pytest.skip('the SDK does not ask for compression')
    with mock.patch('fuzz.targets.exchanges.readable', side_effect=AssertionError('an error')):
        run(source, **changes)


@pytest.mark.parametrize('source', SOURCES)
def test_an_answer_to_another_request_is_found(source):
    with (
        mock.patch('fuzz.exchange.body', side_effect=lambda *_, **__: b'{"number": 7}' if source != 'ec2' else XML),
        pytest.raises(Finding, match='got the answer 7'),
    ):
        run(source)


XML = b'<R><GetAccessKeyInfoResult><Account>7</Account></GetAccessKeyInfoResult></R>'


def test_a_connection_that_is_one_answer_behind_is_found():
    with (
        mock.patch.object(connections.Answer, 'begin', http.client.HTTPResponse.begin),
        pytest.raises(Finding, match='the next request'),
    ):
        run('kubernetes', interim=[INTERIM[2]], pause=True)


def test_an_answer_of_another_host_is_found():
    join = Address.join
    with (
        mock.patch.object(Address, 'join', lambda self, path: path if '://' in path else join(self, path)),
        pytest.raises(Finding, match='got the answer -1'),
    ):
        run('github', status='HTTP/1.1 302 Found', location='http://localhost:PORT/poison', follow=True)


def test_an_error_without_a_type_is_found():
    with (
        mock.patch.object(Budget, 'receive', side_effect=ValueError('a header')),
        pytest.raises(ValueError, match='header'),
    ):
        run('asana')


def test_memory_without_a_bound_is_found():
    with (
        mock.patch.object(body, 'MAX_BODY_BYTES', 2**40),
        mock.patch('fuzz.targets.exchanges.MAX_MIB', 100.0),
        pytest.raises(Finding, match='MiB'),
    ):
        run('wandb', packed='bomb', encoding='gzip')

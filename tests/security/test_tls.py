"""TLS is verified unless somebody says otherwise, in every source."""

from __future__ import annotations

import json

import pytest

from metta_checks.check import MettaChecks

from . import hostile
from .instances import ADDRESS, instance

pytestmark = pytest.mark.integration


def run(configured):
    check = MettaChecks('metta_checks', {}, [configured])
    report = check.run()
    return json.loads(report)[0]['message'] if report else ''


@pytest.fixture
def server(certificate):
    with hostile.serving(hostile.status(401), certificate) as served:
        yield served


@pytest.mark.parametrize('source', ADDRESS)
def test_a_certificate_that_nobody_vouches_for_is_refused(source, server):
    error = run(instance(source, server.url))
    assert 'certificate' in error
    assert 'tls_ca_cert' in error
    # Nothing was sent: the credentials never left.
    assert server.asked == []


@pytest.mark.parametrize('source', ADDRESS)
def test_a_certificate_that_the_user_vouches_for_is_taken(source, server, certificate):
    error = run(instance(source, server.url, tls_ca_cert=str(certificate)))
    assert server.asked != []
    assert 'certificate' not in error


@pytest.mark.parametrize('source', ADDRESS)
def test_verification_can_be_switched_off(source, server):
    error = run(instance(source, server.url, tls_verify=False))
    assert server.asked != []
    assert 'certificate' not in error


@pytest.mark.parametrize('source', ADDRESS)
def test_a_switched_off_verification_is_said(source, server, caplog):
    run(instance(source, server.url, tls_verify=False))
    assert 'is not verified' in caplog.text


@pytest.mark.parametrize('source', ADDRESS)
def test_a_verified_connection_is_not_warned_of(source, server, certificate, caplog):
    run(instance(source, server.url, tls_ca_cert=str(certificate)))
    assert 'is not verified' not in caplog.text


@pytest.mark.parametrize('source', ADDRESS)
@pytest.mark.parametrize('option', ['tls_ca_cert', 'tls_cert', 'tls_private_key'])
def test_a_missing_file_is_named(source, server, option, tmp_path):
    path = tmp_path / 'missing.pem'
    error = run(instance(source, server.url, **{option: str(path)}))
    assert f'option `{option}`: the file {path} cannot be read: No such file or directory' in error
    assert server.asked == []


def test_a_file_that_appears_later_is_used(server, certificate, tmp_path):
    path = tmp_path / 'late.pem'
    check = MettaChecks('metta_checks', {}, [instance('asana', server.url, tls_ca_cert=str(path))])
    assert 'cannot be read' in check.run()
    path.write_bytes(certificate.read_bytes())
    assert 'certificate' not in check.run()
    assert server.asked != []


def test_an_answer_that_was_not_modified_is_not_called_a_redirect(certificate):
    with hostile.serving(hostile.status(304), certificate) as server:
        error = run(instance('asana', server.url, tls_ca_cert=str(certificate)))
    assert 'answered HTTP 304' in error
    assert 'redirect' not in error

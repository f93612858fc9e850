"""Credentials: kubeconfigs, exec plugins, the service account of a pod, tokens that change."""

from __future__ import annotations

import ssl
import sys
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from types import SimpleNamespace

import kubernetes
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from datadog_checks.base import AgentCheck
from kubernetes.config import incluster_config

import sandbox
from metta_checks.kubernetes.credentials import Kubeconfig
from metta_checks.testing import Driver
from sandbox import Running
from sandbox.kubernetes.service import READER_TOKEN, TOKEN

pytestmark = pytest.mark.integration

RUNNING = 'metta.kubernetes.pods.running'


@pytest.fixture
def service(serve):
    return serve('kubernetes', pods=100)


@pytest.fixture(scope='module')
def certificate(tmp_path_factory):
    """Return certificate file and key file of a self-signed certificate for 127.0.0.1."""
    directory = tmp_path_factory.mktemp('tls')
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, 'kubernetes')])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address('127.0.0.1'))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = directory / 'tls.crt', directory / 'tls.key'
    files[0].write_bytes(built.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


@pytest.fixture
def tls_service(certificate):
    running = Running(sandbox.service('kubernetes', pods=100))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    running._server.socket = context.wrap_socket(running._server.socket, server_side=True)
    with running as service:
        service.url = service.url.replace('http://', 'https://')
        yield service


def kubeconfig(path, server, user, *, cluster=None, name='prod'):
    path.write_text(
        yaml.safe_dump(
            {
                'apiVersion': 'v1',
                'kind': 'Config',
                'clusters': [{'name': 'c', 'cluster': {'server': server, **(cluster or {})}}],
                'users': [{'name': 'u', 'user': user}],
                'contexts': [
                    {'name': name, 'context': {'cluster': 'c', 'user': 'u'}},
                    {'name': 'other', 'context': {'cluster': 'c', 'user': 'u'}},
                ],
                'current-context': name,
            }
        )
    )
    return str(path)


def driver(service, **options):
    return Driver.of(service, **{'api_server_url': None, 'token': None, 'refresh_interval': 0, **options})


# Kubeconfig.


def test_a_kubeconfig_with_a_token(service, tmp_path):
    path = kubeconfig(tmp_path / 'config', service.url, {'token': TOKEN})
    for context in (None, 'other'):
        run = driver(service, kubeconfig=path, context=context).run()
        assert run.error == ''
        assert run.value(RUNNING) > 0


def test_an_exec_plugin_runs_again_when_its_token_has_expired(service, tmp_path):
    calls, plugin = tmp_path / 'calls', tmp_path / 'plugin.py'
    plugin.write_text(
        'import json, pathlib, sys\n'
        f'calls = pathlib.Path({str(calls)!r})\n'
        "calls.write_text((calls.read_text() if calls.exists() else '') + 'x')\n"
        "status = {'token': sys.argv[1], 'expirationTimestamp': sys.argv[2]}\n"
        "kind = {'apiVersion': 'client.authentication.k8s.io/v1', 'kind': 'ExecCredential'}\n"
        "print(json.dumps({**kind, 'status': status}))\n"
    )

    def user(expires):
        return {
            'exec': {
                'apiVersion': 'client.authentication.k8s.io/v1',
                'command': sys.executable,
                'args': [str(plugin), TOKEN, expires],
                'interactiveMode': 'Never',
            }
        }

    path = kubeconfig(tmp_path / 'config', service.url, user('2099-01-01T00:00:00Z'))
    lasting = driver(service, kubeconfig=path)
    assert lasting.run().error == ''
    assert lasting.run().error == ''
    assert calls.read_text() == 'x'
    calls.unlink()
    path = kubeconfig(tmp_path / 'config', service.url, user('2020-01-01T00:00:00Z'))
    assert driver(service, kubeconfig=path).run().error == ''
    assert len(calls.read_text()) > 1


@pytest.mark.parametrize('command', ['/no/such/plugin', 'false'])
def test_an_exec_plugin_that_fails(service, tmp_path, command):
    user = {'exec': {'apiVersion': 'client.authentication.k8s.io/v1', 'command': command, 'interactiveMode': 'Never'}}
    path = kubeconfig(tmp_path / 'config', 'https://127.0.0.1:1', user)
    run = driver(service, kubeconfig=path).run()
    assert f'kubeconfig {path} has no credentials for its current context' in run.error
    assert 'exec plugin' in run.error
    assert run.status == AgentCheck.CRITICAL


def test_a_local_proxy_needs_no_credentials(service, tmp_path):
    # Stands for `kubectl proxy`. Here the sandbox itself answers and refuses.
    path = kubeconfig(tmp_path / 'config', service.url, {})
    run = driver(service, kubeconfig=path).run()
    assert 'HTTP 401' in run.error


def test_a_token_that_was_replaced_in_the_file_is_read_after_a_refusal(service, tmp_path):
    path = kubeconfig(tmp_path / 'config', service.url, {'token': 'expired'})
    check = driver(service, kubeconfig=path)
    refused = check.run()
    assert 'the token is invalid' in refused.error
    assert refused.status == AgentCheck.CRITICAL
    kubeconfig(tmp_path / 'config', service.url, {'token': TOKEN})
    assert check.run().error == ''


def test_a_kubeconfig_that_vanished_after_a_refusal(service, tmp_path):
    path = kubeconfig(tmp_path / 'config', service.url, {'token': 'expired'})
    check = driver(service, kubeconfig=path)
    check.run()
    (tmp_path / 'config').unlink()
    run = check.run()
    assert f'kubeconfig {path}' in run.error
    assert run.status == AgentCheck.CRITICAL


def test_certificates_and_proxies_of_a_kubeconfig(tmp_path, certificate):
    cert, key = map(str, certificate)
    path = kubeconfig(
        tmp_path / 'config',
        'https://127.0.0.1:6443',
        {'client-certificate': cert, 'client-key': key},
        cluster={'certificate-authority': cert, 'proxy-url': 'http://proxy.example:3128'},
    )
    found = Kubeconfig(path, None)
    assert found.url == 'https://127.0.0.1:6443'
    assert found.headers() == {}
    expected: dict[str, object] = {'verify': cert, 'cert': (cert, key)}
    if int(kubernetes.__version__.partition('.')[0]) >= 36:
        # Older official clients do not support `proxy-url`; the documentation says to set option `proxy`.
        expected['proxies'] = {'http': 'http://proxy.example:3128', 'https': 'http://proxy.example:3128'}
    assert found.options == expected


def test_a_proxy_of_the_environment_is_left_to_the_http_wrapper(tmp_path, monkeypatch):
    monkeypatch.setenv('HTTPS_PROXY', 'http://proxy.example:3128')
    path = kubeconfig(
        tmp_path / 'config', 'https://127.0.0.1:1', {'token': 't'}, cluster={'insecure-skip-tls-verify': True}
    )
    found = Kubeconfig(path, None)
    assert found.options == {'verify': False}
    assert found.headers() == {'Authorization': 'Bearer t'}


@pytest.mark.parametrize(
    ('text', 'context', 'said'),
    [
        (None, None, 'No configuration found'),
        ('', None, 'file is empty'),
        ('{not yaml', None, 'is not YAML'),
        ('apiVersion: v1\nkind: Config\n', None, 'current-context'),
        ('good', 'absent', 'absent'),
        ('server name', None, '`tls-server-name`'),
    ],
)
def test_a_kubeconfig_that_cannot_be_used(service, tmp_path, text, context, said):
    path = tmp_path / 'config'
    if text in ('good', 'server name'):
        kubeconfig(
            path,
            'https://127.0.0.1:1',
            {'token': 'SECRET'},
            cluster={'tls-server-name': 'other.example'} if text == 'server name' else {},
        )
    elif text is not None:
        path.write_text(text)
    run = driver(service, kubeconfig=str(path), context=context).run()
    assert said in run.error
    assert str(path) in run.error
    assert '\n' not in run.error
    assert 'SECRET' not in run.error
    assert run.status == AgentCheck.CRITICAL


def test_an_unreadable_kubeconfig(service, tmp_path):
    (tmp_path / 'config').mkdir()
    assert 'config' in driver(service, kubeconfig=str(tmp_path / 'config')).run().error


# Combinations.


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        ({'api_server_url': 'https://h', 'kubeconfig': '/k'}, '`api_server_url` and `kubeconfig` exclude each other'),
        ({'api_server_url': 'https://h', 'context': 'c'}, '`api_server_url` and `context` exclude each other'),
        ({'api_server_url': '10.0.0.1:6443', 'token': 'TOKEN'}, 'must begin with https://'),
        ({'token': 'TOKEN', 'kubeconfig': '/k'}, '`token` needs `api_server_url`'),
        ({}, 'the check does not run in a pod with a service account'),
        ({'api_server_url': 'https://h', 'prices': {'cpu_core_hour': 1}}, 'memory_gib_hour'),
        ({'api_server_url': 'https://h', 'thresholds': {'high_restarts': -1}}, 'high_restarts'),
        ({'api_server_url': 'https://h', 'cluster_idle': True, 'collect_usage': False}, '`cluster_idle` needs'),
    ],
)
def test_configurations_that_make_no_sense(service, monkeypatch, options, said):
    monkeypatch.delenv('KUBERNETES_SERVICE_HOST', raising=False)
    run = driver(
        service, prices=options.pop('prices', None), cluster_idle=options.pop('cluster_idle', None), **options
    ).run()
    assert said in run.error
    assert '\n' not in run.error
    assert run.status == AgentCheck.CRITICAL
    assert service.log == []


# In a cluster.


@pytest.fixture
def service_account(tls_service, tmp_path, monkeypatch, certificate):
    token = tmp_path / 'token'
    token.write_text(TOKEN)
    host, _, port = tls_service.url.removeprefix('https://').partition(':')
    monkeypatch.setenv('KUBERNETES_SERVICE_HOST', host)
    monkeypatch.setenv('KUBERNETES_SERVICE_PORT', port)
    # The official client has a fixed path for the files of a service account, which does not exist here.
    monkeypatch.setattr(incluster_config, 'SERVICE_TOKEN_FILENAME', str(token))
    monkeypatch.setattr(incluster_config, 'SERVICE_CERT_FILENAME', str(certificate[0]))
    return token


def test_in_a_cluster_nothing_needs_to_be_configured(tls_service, service_account, monkeypatch):
    # The proxy for requests to Datadog is not used for the API server.
    monkeypatch.setenv('HTTPS_PROXY', 'http://127.0.0.1:1')
    run = driver(tls_service).run()
    assert run.error == ''
    assert run.value(RUNNING) > 0
    assert tls_service.connections == 1


def test_a_projected_token_is_read_again_after_a_refusal(tls_service, service_account):
    service_account.write_text('expired')
    check = driver(tls_service)
    assert 'the token is invalid' in check.run().error
    service_account.write_text(TOKEN)
    assert check.run().error == ''


def test_a_projected_token_is_read_again_when_it_is_due(tls_service, service_account, monkeypatch):
    # The official client reads the file once a minute, by its own clock.
    clock = SimpleNamespace(now=datetime.now)
    monkeypatch.setattr(incluster_config, 'datetime', SimpleNamespace(datetime=clock, timedelta=timedelta))
    check = driver(tls_service)
    assert check.run().error == ''
    service_account.write_text(READER_TOKEN)
    assert check.run().error == ''
    clock.now = lambda: datetime.now() + timedelta(seconds=61)
    assert 'HTTP 403' in check.run().error


def test_a_certificate_that_is_not_trusted(tls_service):
    run = driver(tls_service, api_server_url=tls_service.url, token=TOKEN).run()
    assert 'TLS' in run.error
    assert '`tls_ca_cert`' in run.error
    assert TOKEN not in run.error


def test_the_ca_of_the_http_options(tls_service, certificate):
    options = {'api_server_url': tls_service.url, 'token': TOKEN, 'tls_ca_cert': str(certificate[0])}
    assert driver(tls_service, **options).run().error == ''

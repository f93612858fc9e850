"""Refusals of AWS: what they say, and what to do about them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from datadog_checks.base import AgentCheck

from metta_checks.testing import Clock, Driver

from ..case import case

OFF = {'idle': {'source': 'off'}}
ROLE = 'arn:aws:iam::123456789012:role/agent'


@pytest.fixture
def in_pod(serve, monkeypatch, tmp_path):
    """Return the service, and a driver in a pod of EKS, whose service account has a role."""
    service = serve('ec2')
    token = tmp_path / 'token'
    token.write_text('identity-token-of-the-pod', encoding='utf-8')
    monkeypatch.setenv('AWS_ROLE_ARN', ROLE)
    monkeypatch.setenv('AWS_WEB_IDENTITY_TOKEN_FILE', str(token))
    monkeypatch.setenv('AWS_ENDPOINT_URL', service.instance()['endpoint_url'])
    monkeypatch.setenv('AWS_EC2_METADATA_DISABLED', 'true')
    for variable in ('AWS_SHARED_CREDENTIALS_FILE', 'AWS_CONFIG_FILE'):
        monkeypatch.setenv(variable, str(tmp_path / 'none'))
    for variable in ('AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_PROFILE'):
        monkeypatch.delenv(variable, raising=False)
    return service, Driver.of(service, access_key_id=None, secret_access_key=None, **OFF)


def refuse(service, status, code, message):
    """Answer every request as STS refuses one."""
    body = f'<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>'
    service.faults.add('status', status=status, body=body)


@case('G', 'https://github.com/sentry-kubernetes/charts/issues/514')
def test_a_service_account_that_may_not_assume_its_role(in_pod):
    """A service account that may not assume its role.

    The Agent runs in EKS, with a role for its service account. STS refuses `AssumeRoleWithWebIdentity` with
    AccessDenied, because the trust policy of the role names another namespace.

    Right: The error names `sts:AssumeRoleWithWebIdentity` and the trust policy. Nothing says to add an action of EC2 to
    an IAM policy.

    Unchanged: The service check is CRITICAL.
    """
    service, driver = in_pod
    refuse(service, 403, 'AccessDenied', 'Not authorized to perform sts:AssumeRoleWithWebIdentity')
    run = driver.run()
    assert run.status == AgentCheck.CRITICAL
    assert 'sts:AssumeRoleWithWebIdentity in us-east-1 was refused (AccessDenied: Not authorized' in run.error
    assert 'check the trust policy of the role in AWS_ROLE_ARN' in run.error
    assert 'IAM policy' not in run.error


@case('G', 'https://github.com/kubernetes-sigs/aws-load-balancer-controller/issues/2315')
def test_a_cluster_without_an_identity_provider(in_pod):
    """A cluster without an identity provider.

    STS refuses `AssumeRoleWithWebIdentity` with 400 and the code InvalidIdentityToken: the account has no OpenID
    Connect provider for the cluster.

    Right: The service check is CRITICAL with AWS's reason, since there are no credentials. The error says to check the
    identity provider.

    Unchanged: The identity token is not shown.
    """
    service, driver = in_pod
    refuse(service, 400, 'InvalidIdentityToken', 'No OpenIDConnect provider found in your account for https://oidc.x')
    run = driver.run()
    assert run.status == AgentCheck.CRITICAL
    assert run.errors()['instances', 'auth'] == 1
    assert 'No OpenIDConnect provider found in your account for https://oidc.x' in run.error
    assert 'check the identity provider of the cluster in IAM' in run.error
    assert 'identity-token-of-the-pod' not in str(run)


@case('G', 'https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html')
@pytest.mark.parametrize('code', ['OptInRequired', 'PendingVerification'])
def test_an_account_that_is_not_verified_yet(serve, code):
    """An account that is not verified yet.

    EC2 refuses every request of a new account with OptInRequired or PendingVerification, and says why.

    Right: The reason is `permission`, with AWS's own reason. Nothing says that the access key is wrong.

    Unchanged: No figure appears.
    """
    service = serve('ec2')
    for action in ('DescribeInstances', 'DescribeVolumes', 'DescribeSnapshots', 'DescribeAddresses'):
        service.fail(f'ec2:{action}', code, 401)
    run = Driver.of(service, **OFF).run()
    assert run.errors()['instances', 'permission'] == 1
    assert f'the account may not use this service yet ({code}: as told)' in (run.error or run.warnings[0])
    assert 'access_key_id' not in (run.error or run.warnings[0])
    assert run.value('metta.ec2.instances.total') is None


@case('G', 'https://github.com/convox/rack/issues/235')
@pytest.mark.parametrize(('minutes', 'direction'), [(-15, 'behind'), (15, 'ahead of')])
@pytest.mark.parametrize('code', ['SignatureDoesNotMatch', 'RequestExpired'])
def test_a_machine_whose_clock_is_wrong(serve, code, minutes, direction):
    """A machine whose clock is wrong.

    The clock of the Agent's machine is 15 minutes behind or ahead. AWS refuses requests that differ by more than 5
    minutes with the code that it also uses for wrong keys, and says the difference only in words.

    Right: The message names the clock and the difference, from the header `Date` of the answer, and no option. It has
    the code of AWS.

    Unchanged: With a right clock, the same code still points to the credentials.
    """
    service = serve('ec2', scale=0.05)
    service.fail('sts:GetCallerIdentity', code, 403)
    clock = Clock(service.clock.now() + timedelta(minutes=minutes))
    run = Driver(service.instance(), clock).run()
    assert f'({code}); the clock of this machine is 15 minutes {direction} that of AWS' in run.error
    assert 'access_key_id' not in run.error
    run = Driver.of(service).run()
    assert f'credentials {"have expired" if code == "RequestExpired" else "were not accepted"} ({code}' in run.error

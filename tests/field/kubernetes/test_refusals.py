"""Refusals and faults that concern a part of the lists."""

from __future__ import annotations

import json

import pytest
from datadog_checks.base import AgentCheck

from metta_checks.testing import Driver

from ..case import case
from .world import PLAIN, figures

PODS = '/api/v1/pods'
BOTH = {'namespaces': {'include': ['team-a', 'team-b']}, 'collect_nodes': False}


@case('E', 'https://kubernetes.io/docs/reference/access-authn-authz/rbac/')
def test_one_of_two_namespaces_is_forbidden(world):
    """One of two namespaces is forbidden.

    The instance reads the namespaces `team-a` and `team-b`. There is a Role in `team-a` only.

    Right: The figures of `team-a` are there: `pods.running` is 1, and `resources.cpu_waste_cores` is 3. The service
    check is WARNING and names `team-b` and the missing rule.

    Unchanged: No figure of `team-b` is shown.
    """
    for namespace in ('team-a', 'team-b'):
        world.pod('p', {'cpu': '4'}, namespace=namespace, uid=namespace)
        world.sample('p', {'main': ('1', '1Gi')}, namespace=namespace)
    world.service.forbidden_namespaces = {'team-b'}
    run = world.run(**BOTH)
    found = figures(run, 'pods.running', 'resources.cpu_waste_cores', 'deployments.zero_replicas')
    assert list(found.values()) == [1, 3, 0]
    assert run.status == AgentCheck.WARNING
    assert any('may not list pods in namespace team-b' in line for line in run.warnings)
    assert [tags for _, tags in run.values if 'kube_namespace:team-b' in tags] == []


@case('E', 'https://kubernetes.io/docs/reference/access-authn-authz/rbac/', guard=True)
def test_all_namespaces_are_forbidden(world):
    """All namespaces are forbidden.

    The instance reads the namespaces `team-a` and `team-b`, and there is a Role in neither.

    Right: No figure is there, and the service check is CRITICAL.

    Unchanged: The message names the missing rule.
    """
    world.service.forbidden_namespaces = {'team-a', 'team-b'}
    run = world.run(**BOTH)
    assert (run.names, run.status) == (set(), AgentCheck.CRITICAL)
    assert 'missing RBAC rule: apiGroups: [""], resources: ["pods"]' in run.message


@case('E', 'https://github.com/kubernetes-retired/dashboard/issues/8594')
def test_a_500_in_the_middle_of_a_list(serve):
    """A 500 in the middle of a list.

    The list of pods has two pages. The API server answers the request for the second one with HTTP 500 once, since
    its storage is changing its leader.

    Right: The same page is asked for once more, and all pods are counted. There is no warning.

    Unchanged: No page is read twice.
    """
    service = serve('kubernetes', pods=700)
    good = Driver.of(service, **PLAIN).run()
    service.log.clear()
    service.faults.add('status', status=500, path=PODS, after=1, times=1, body='{}')
    run = Driver.of(service, **PLAIN, refresh_interval=0).run()
    assert (run.error, run.warnings) == ('', [])
    assert run.value('metta.kubernetes.pods.running') == good.value('metta.kubernetes.pods.running')
    queries = [entry.query for entry in service.log if entry.path == PODS]
    assert (len(queries), queries[1]) == (3, queries[2])


@case('E', 'https://kubernetes.io/docs/concepts/cluster-administration/flow-control/')
@pytest.mark.parametrize('after', [0, 1])
def test_a_short_wait(serve, after):
    """An API server that asks for a second.

    Priority and Fairness answers a page with HTTP 429 and `Retry-After: 1`, once.

    Right: The check waits a second and asks once more. All pods are counted, and there is no warning.

    Unchanged: A wait longer than 10 seconds ends the refresh, as before.
    """
    service = serve('kubernetes', pods=700)
    start = service.clock.now()
    service.faults.add('status', status=429, path=PODS, after=after, times=1, headers={'Retry-After': '1'})
    run = Driver.of(service, **PLAIN).run()
    assert (run.error, run.warnings) == ('', [])
    assert run.value('metta.kubernetes.pods.running')
    assert (service.clock.now() - start).total_seconds() == 1


@case('E', 'https://kubernetes.io/docs/concepts/cluster-administration/flow-control/', guard=True)
def test_an_api_server_that_stays_busy(serve):
    """An API server that stays busy.

    Priority and Fairness answers each request for pods with HTTP 429 and `Retry-After: 1`.

    Right: After a few waits, the block fails with the reason `rate_limit`. Nothing is invented.

    Unchanged: The service check is not OK.
    """
    service = serve('kubernetes', pods=100)
    service.faults.add('status', status=429, path=PODS, headers={'Retry-After': '1'})
    run = Driver.of(service, **PLAIN).run()
    assert run.value('metta.kubernetes.pods.running') is None
    assert run.errors()['pods', 'rate_limit'] == 1
    assert run.status != AgentCheck.OK


@case('C')
@pytest.mark.parametrize(('pattern', 'warns'), [('taem-*', True), ('team-empty', False)])
def test_a_pattern_that_matches_nothing(world, pattern, warns):
    """A misspelled pattern.

    `namespaces.include` has `team-a`, and a pattern that matches no namespace with pods.

    Right: The service check is WARNING and names the pattern. A plain name is not named: an empty namespace is an
    ordinary thing.

    Unchanged: `pods.running` is 1, of `team-a`.
    """
    world.pod('p')
    run = world.run(collect_usage=False, namespaces={'include': ['team-a', pattern]})
    assert run.value('metta.kubernetes.pods.running') == 1
    message = f"option `namespaces`: '{pattern}' matches no namespace that has pods"
    assert (run.status == AgentCheck.WARNING, message in run.message) == (warns, warns)


@case('G', 'https://github.com/MicrosoftDocs/azure-docs/issues/67753', guard=True)
def test_the_reason_of_an_authorizer(world):
    """The reason of an authorizer.

    The cluster asks a service of the cloud about rights. The API server answers HTTP 403, and its message names the
    user and says what that service answered.

    Right: The error has this message, so that one sees whose rights are missing, and where.

    Unchanged: The error names the missing rule.
    """
    said = 'pods is forbidden: User "0a1b" cannot list resource "pods": the cloud has no role assignment for this user'
    body = json.dumps({'kind': 'Status', 'status': 'Failure', 'message': said, 'reason': 'Forbidden', 'code': 403})
    world.service.faults.add('status', status=403, body=body, path=PODS)
    run = world.run(collect_usage=False)
    assert f'(HTTP 403): {said}' in run.message
    assert 'missing RBAC rule: apiGroups: [""], resources: ["pods"]' in run.message


@case('G', 'https://github.com/rancher/rancher/issues/13525', guard=True)
def test_a_proxy_that_wants_credentials_of_its_own(world):
    """A proxy that wants credentials of its own.

    A management server stands before the API server. It refuses a token of a service account with HTTP 401 and a
    message of its own.

    Right: The error has the message.

    Unchanged: The service check is CRITICAL.
    """
    body = json.dumps({'type': 'error', 'status': '401', 'message': 'must authenticate at the manager'})
    world.service.faults.add('status', status=401, body=body)
    run = world.run(collect_usage=False)
    assert 'answered HTTP 401: the credentials were not accepted: must authenticate at the manager' in run.message
    assert run.status == AgentCheck.CRITICAL


@case('G', 'https://github.com/rancher-archives/rke/issues/2071')
def test_an_aggregated_api_that_cannot_be_reached(world):
    """An aggregated API that cannot be reached.

    The API server cannot connect to metrics-server, because the network plugin drops the connection. It answers HTTP
    503 with plain text, not with an object of the API.

    Right: The error of the figures of usage has the reason, a timeout of the connection.

    Unchanged: `pods.running` is 1.
    """
    world.pod('a', {'cpu': '1'})
    said = 'error trying to reach service: dial tcp 10.43.169.155:443: i/o timeout'
    headers = {'Content-Type': 'text/plain; charset=utf-8'}
    world.service.faults.add('status', status=503, body=f'{said}\n', headers=headers, path='/apis/metrics.k8s.io/*')
    run = world.run(collect_nodes=False)
    assert any(f'answered HTTP 503: {said}' in line for line in run.warnings)
    assert run.value('metta.kubernetes.pods.running') == 1


@case('G', 'https://kubernetes.io/docs/reference/access-authn-authz/authentication/')
def test_a_proxy_that_sends_to_a_page_to_sign_in(world):
    """A proxy that sends to a page to sign in.

    A proxy before the API server redirects requests without a session to another host.

    Right: The error names that host.

    Unchanged: The token goes to no other address.
    """
    world.service.faults.add('status', status=302, headers={'Location': 'https://login.example/start'}, body='')
    run = world.run(collect_usage=False)
    assert 'answered HTTP 302: a redirect to login.example, which is not followed' in run.message

"""The rules for the Kubernetes source against the requests that it really makes."""

from __future__ import annotations

import copy

import kubernetes_validate
import pytest

from metta_checks.testing import Driver
from metta_checks.verify import recompute

from .documents import DEPLOY, documents
from .rbac import differences, right, rights

FILES = ('helm/rbac.yaml', 'operator/rbac.yaml')
ACCOUNTS = {'helm/rbac.yaml': 'datadog-cluster-checks', 'operator/rbac.yaml': 'datadog-cluster-checks-runner'}
NAMESPACED = 'helm/rbac-namespaced.yaml'
# Everything that adds a request, and everything that changes one.
OPTIONS = {
    'as shipped': {'prices': None, 'per_deployment': None, 'cluster_idle': None},
    'everything': {},
    'some namespaces': {'namespaces': {'include': ['team-*']}},
}
# The resources that options take away.
WITHOUT = {
    'collect_nodes': {('', 'nodes', 'list')},
    'collect_usage': {('metrics.k8s.io', 'pods', 'list')},
}
KUBERNETES = '1.37'


def role(file):
    [found] = [one for one in documents(file) if one['kind'] in ('ClusterRole', 'Role')]
    return found


def recorded(service, **options):
    """Return the permissions that a refresh of several pages and `doctor` needed, as seen by the API server."""
    service.log.clear()
    driver = Driver.of(service, **options)
    run = driver.run()
    assert (run.error, run.warnings) == ('', [])
    assert [finding for finding in driver.check.probe() if finding.status != 'ok'] == []
    return {right(entry.method, entry.path, entry.query) for entry in service.log}


@pytest.mark.parametrize('options', OPTIONS.values(), ids=OPTIONS.keys())
@pytest.mark.parametrize('file', FILES)
def test_the_rules_are_exactly_what_is_asked(serve, file, options):
    service = serve('kubernetes', pods=1200)
    assert differences(recorded(service, **options), rights(role(file))) == {}


@pytest.mark.parametrize('option', WITHOUT)
def test_what_an_option_saves_is_written_beside_the_rule(serve, option):
    service = serve('kubernetes')
    needed = recorded(service, **{option: False, 'cluster_idle': None})
    assert differences(needed, rights(role(FILES[0]))) == {'superfluous': WITHOUT[option]}


@pytest.mark.parametrize('file', FILES)
def test_the_rule_for_claims_of_devices_is_in_a_comment(serve, file):
    needed = recorded(serve('kubernetes'), resource_claims=True)
    missing = {('resource.k8s.io', name, 'list') for name in ('resourceclaims', 'resourceslices')}
    assert differences(needed, rights(role(file))) == {'missing': missing}
    text = (DEPLOY / file).read_text(encoding='utf-8')
    assert '  # - apiGroups: [resource.k8s.io]\n  #   resources: [resourceclaims, resourceslices]\n' in text


def test_the_rules_of_a_namespace(serve):
    service = serve('kubernetes')
    namespaces = sorted({pod.namespace for pod in service.cluster.pods})[:2]
    options = {'namespaces': {'include': namespaces}, 'collect_nodes': False, 'cluster_idle': None}
    assert differences(recorded(service, **options), rights(role(NAMESPACED))) == {}
    # A Role holds in its namespace only, so nothing may be asked of the whole cluster.
    assert all('/namespaces/' in entry.path for entry in service.log)


def test_the_comparison_with_the_official_client_needs_no_more(serve):
    service = serve('kubernetes', pods=20)
    service.log.clear()
    recompute('kubernetes', service.instance(), service.clock.now())
    needed = {right(entry.method, entry.path, entry.query) for entry in service.log}
    assert 'missing' not in differences(needed, rights(role(FILES[0])))


def test_each_rule_that_is_taken_away_or_added_is_noticed(serve):
    needed = recorded(serve('kubernetes'))
    whole = role(FILES[0])
    for index, rule in enumerate(whole['rules']):
        poorer = copy.deepcopy(whole)
        del poorer['rules'][index]
        gone = (rule['apiGroups'][0], rule['resources'][0], 'list')
        assert differences(needed, rights(poorer)) == {'missing': {gone}}
        richer = copy.deepcopy(whole)
        richer['rules'][index]['verbs'].append('watch')
        assert differences(needed, rights(richer)) == {'superfluous': {(*gone[:2], 'watch')}}
        other = copy.deepcopy(whole)
        other['rules'][index]['verbs'] = ['get']
        assert differences(needed, rights(other)) == {'missing': {gone}, 'superfluous': {(*gone[:2], 'get')}}
    richer = copy.deepcopy(whole)
    richer['rules'].append({'apiGroups': [''], 'resources': ['secrets'], 'verbs': ['get']})
    assert differences(needed, rights(richer)) == {'superfluous': {('', 'secrets', 'get')}}


def test_a_wildcard_is_refused():
    wild = copy.deepcopy(role(FILES[0]))
    wild['rules'][0]['resources'] = ['*']
    with pytest.raises(ValueError, match='wildcard'):
        rights(wild)


@pytest.mark.parametrize(
    ('request_', 'expected'),
    [
        (('GET', '/api/v1/pods', 'limit=500'), ('', 'pods', 'list')),
        (('GET', '/api/v1/pods', 'watch=true'), ('', 'pods', 'watch')),
        (('GET', '/api/v1/namespaces/team-a/pods', ''), ('', 'pods', 'list')),
        (('GET', '/api/v1/namespaces/team-a/pods/web-1', ''), ('', 'pods', 'get')),
        (('GET', '/api/v1/namespaces/team-a/pods/web-1/log', ''), ('', 'pods/log', 'get')),
        (('GET', '/api/v1/namespaces', ''), ('', 'namespaces', 'list')),
        (('GET', '/apis/apps/v1/deployments', ''), ('apps', 'deployments', 'list')),
        (('DELETE', '/apis/apps/v1/namespaces/a/deployments/b', ''), ('apps', 'deployments', 'delete')),
        (('POST', '/api/v1/namespaces/a/pods', ''), ('', 'pods', 'create')),
    ],
)
def test_requests_are_read_as_the_api_server_reads_them(request_, expected):
    assert right(*request_) == expected


@pytest.mark.parametrize('file', [*FILES, NAMESPACED])
def test_the_manifests_are_valid_and_bind_the_runners(file):
    found = documents(file)
    for one in found:
        kubernetes_validate.validate(one, KUBERNETES, strict=True)
    [bound] = [one for one in found if one['kind'].endswith('Binding')]
    [granted] = [one for one in found if not one['kind'].endswith('Binding')]
    assert bound['roleRef'] == {
        'apiGroup': 'rbac.authorization.k8s.io',
        'kind': granted['kind'],
        'name': granted['metadata']['name'],
    }
    account = ACCOUNTS.get(file, 'datadog-cluster-checks')
    assert bound['subjects'] == [{'kind': 'ServiceAccount', 'name': account, 'namespace': 'datadog'}]


def test_the_validation_would_find_a_mistake():
    wrong = copy.deepcopy(role(FILES[0]))
    wrong['rules'][0]['verb'] = wrong['rules'][0].pop('verbs')
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, KUBERNETES, strict=True)

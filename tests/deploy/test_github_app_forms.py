"""The GitHub App for two organizations: the same instances with Helm, the Operator and on a host."""

from __future__ import annotations

import pytest
import yaml

from metta_checks.check import source_class

from .documents import document, merged, script, sources, values

HELM = 'helm/values-github-app.yaml'
OPERATOR = 'operator/github-app.yaml'


def forms():
    return {
        'helm': sources(merged(values('production'), document(HELM)))['github.yaml'],
        'operator': yaml.safe_load(document(OPERATOR)['data']['github.yaml']),
        'host': document('host/github-app.yaml'),
    }


def test_all_forms_have_the_same_instances():
    first, *others = [form['instances'] for form in forms().values()]
    assert all(other == first for other in others)
    assert [instance['organization'] for instance in first] == ['example-org', 'example-labs']
    assert len({instance['app_installation_id'] for instance in first}) == len(first)
    assert [form.get('cluster_check') for form in forms().values()] == [True, True, None]


@pytest.mark.parametrize('number', [0, 1])
def test_an_instance_is_a_valid_configuration_of_the_app(number):
    instance = forms()['host']['instances'][number]
    check = source_class('github')('metta_checks', {}, [{**instance, 'app_private_key': 'a key'}])
    check.load_configuration_models()
    assert check.config.app_installation_id == instance['app_installation_id']
    assert 'token' not in instance


def test_the_policy_allows_reading_the_key():
    join = script('iam/join.py')
    found = {name for instance in forms()['host']['instances'] for name in join.secrets(instance)}
    assert found == {'github/app'}


def test_only_the_file_of_github_is_replaced():
    after, before = sources(merged(values('production'), document(HELM))), sources(values('production'))
    assert {name for name in before if after[name] != before[name]} == {'github.yaml'}
    assert list(document(OPERATOR)) == ['data']
    assert list(document(OPERATOR)['data']) == ['github.yaml']

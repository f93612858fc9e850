"""docs/deployment.md and docs/secrets.md against the files they speak of."""

from __future__ import annotations

import json
import re

import kubernetes_validate
import yaml

from metta_checks.check import SOURCES, source_class

from .documents import ENVIRONMENTS, ROOT, documents, script, sources, values
from .rbac import rights


def page(name: str) -> str:
    return (ROOT / 'docs' / f'{name}.md').read_text(encoding='utf-8')


def fences(name: str, language: str) -> list[str]:
    return re.findall(rf'^```{language}\n(.*?)^```', page(name), re.MULTILINE | re.DOTALL)


def test_every_policy_has_its_row():
    table = page('deployment').partition('| policy | needed by |')[2].partition('\n\n')[0]
    listed = {name for row in table.splitlines()[2:] for name in re.findall(r'`([^`]+)`', row.split('|')[1])}
    assert listed == {*script('iam/join.py').names(), 'ci-deploy'}


def test_every_file_that_is_named_exists():
    for name in ('deployment', 'secrets'):
        for path in re.findall(r'\bdeploy/[\w./*-]*[\w*]', page(name)):
            assert list(ROOT.glob(path)), path


def test_the_table_of_environments_is_that_of_the_overlays():
    row = re.search(r'^\| sources \| (.*?) \| all six \|$', page('deployment'), re.MULTILINE)
    staging = {name.removesuffix('.yaml') for name in sources(values('staging'))}
    assert row is not None
    assert set(row[1].split(', ')) == staging
    assert {name.removesuffix('.yaml') for name in sources(values('production'))} == set(SOURCES)
    replicas = [str(values(environment)['clusterChecksRunner']['replicas']) for environment in ENVIRONMENTS]
    assert f'| runners | {" | ".join(replicas)} |' in page('deployment')


def test_the_table_of_secrets_is_that_of_the_values():
    rows = dict(re.findall(r'^\| `(\w+)` \| (.*?) \|$', page('secrets'), re.MULTILINE))
    assert set(rows) == set(SOURCES)
    for file in sources(values('production')).values():
        for instance in file['instances']:
            options = {option: instance.get(option) for option in source_class(instance['source']).SECRET_OPTIONS}
            for option, reference in options.items():
                if reference:
                    assert f'`{option}`' in rows[instance['source']]
                    assert f'`{reference}`' in rows[instance['source']]
            if not any(options.values()):
                assert rows[instance['source']].startswith('none')


def test_the_secrets_that_are_made_are_those_that_are_read():
    made = dict(re.findall(r"--name (\S+) --secret-string '\{\"(\w+)\": ", page('secrets')))
    read = {
        tuple(handle.split(';'))
        for file in sources(values('production')).values()
        for instance in file['instances']
        for handle in re.findall(r'ENC\[(.*?)\]', str(instance))
    }
    assert set(made.items()) == read


def test_the_role_for_kubernetes_secrets_reads_named_ones_only():
    [text] = [text for text in fences('secrets', 'yaml') if 'kind: Role\n' in text]
    role, binding = yaml.safe_load_all(text)
    for one in (role, binding):
        kubernetes_validate.validate(one, '1.37', strict=True)
    assert rights(role) == {('', 'secrets', 'get')}
    assert all(rule['resourceNames'] for rule in role['rules'])
    [bound] = [one for one in documents('helm/rbac.yaml') if one['kind'].endswith('Binding')]
    assert binding['subjects'] == bound['subjects']


def test_yaml_and_shell_of_the_pages_are_that():
    for name in ('deployment', 'secrets'):
        for text in fences(name, 'yaml'):
            assert list(yaml.safe_load_all(text))


def test_the_pages_of_the_sources_ask_for_the_same_rights():
    """The policy in docs/sources grants the same as the separate files here together."""
    [policy] = re.findall(r'^```json\n(.*?)^```', page('sources/ec2'), re.MULTILINE | re.DOTALL)
    [statement] = json.loads(policy)['Statement']
    join = script('iam/join.py')
    # With no option set, `regions` neither.
    granted = {action for name in join.of_account({}) for one in join.statements(name) for action in one['Action']}
    assert set(statement['Action']) == granted
    assert len(statement['Action']) == len(granted)
    [role] = [text for text in fences('sources/kubernetes', 'yaml') if 'kind: ClusterRole' in text]
    [ours] = [one for one in documents('helm/rbac.yaml') if one['kind'] == 'ClusterRole']
    assert rights(yaml.safe_load(role)) == rights(ours)

"""Needs of a deployment through the chart, derived from its sources; nothing else may be in the values."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from datadog_checks.metta_checks import __version__
from metta_checks.check import SOURCES

from .documents import leaves, sources, versions

Path = tuple[str, ...]
# The workers that an Agent starts with for up to ten checks.
DEFAULT_WORKERS = 4
FILES = ('clusterAgent', 'advancedConfd', 'metta_checks.d')
ROLE = ('clusterChecksRunner', 'rbac', 'serviceAccountAnnotations', 'eks.amazonaws.com/role-arn')


@dataclass(frozen=True)
class Need:
    """A value that must be there, what it must be, and why."""

    right: Callable[[Any], bool]
    why: str


def is_(wanted: Any) -> Callable[[Any], bool]:
    """Return a check for one value, which distinguishes true from 1."""
    return lambda value: value == wanted and type(value) is type(wanted)


def named(value: Any) -> bool:
    """A name of something that exists elsewhere."""
    return isinstance(value, str) and value != ''


def quantity(value: Any) -> bool:
    """An amount of CPU or memory."""
    return isinstance(value, str) and value[0].isdigit()


def needs(environment: str, values: dict[str, Any]) -> dict[Path, Need]:
    """All values that the sources in these values need."""
    instances = [one for file in sources(values).values() for one in file['instances']]
    secrets = 'ENC[' in json.dumps(instances)
    role = secrets or any(one['source'] == 'ec2' and 'access_key_id' not in one for one in instances)
    agent, runner = ('clusterAgent',), ('clusterChecksRunner',)
    replicas = 2 if environment == 'production' else 1
    found = {
        ('datadog', 'site'): Need(named, 'where metrics go'),
        ('datadog', 'apiKeyExistingSecret'): Need(named, 'the key is in no file'),
        ('datadog', 'clusterName'): Need(named, 'it distinguishes several clusters of one organization'),
        ('datadog', 'clusterChecks', 'enabled'): Need(is_(True), 'the sources are cluster checks'),
        (*agent, 'enabled'): Need(is_(True), 'it dispatches cluster checks'),
        (*agent, 'tokenExistingSecret'): Need(named, 'without it every upgrade restarts all runners'),
        (*agent, 'envDict', 'DD_CLUSTER_CHECKS_EXTRA_TAGS'): Need(
            is_(f'env:{environment}'), 'cluster checks inherit no tags'
        ),
        (*runner, 'enabled'): Need(is_(True), 'only the runners have our image'),
        (*runner, 'replicas'): Need(lambda value: type(value) is int and value >= replicas, 'one may go away'),
        (*runner, 'image', 'repository'): Need(named, 'our image'),
        (*runner, 'image', 'tag'): Need(is_(f'{versions()["AGENT_VERSION"]}-{__version__}'), 'our image'),
        (*runner, 'rbac', 'create'): Need(is_(True), 'rbac.yaml binds the account that the chart makes'),
        (*runner, 'rbac', 'dedicated'): Need(is_(True), 'else the account of the Agents of all nodes gets the rights'),
        (*runner, 'resources', 'requests', 'cpu'): Need(quantity, 'a place on a node'),
        (*runner, 'resources', 'requests', 'memory'): Need(quantity, 'a place on a node'),
        (*runner, 'resources', 'limits', 'memory'): Need(quantity, 'a leak ends here'),
    }
    if len(SOURCES) > DEFAULT_WORKERS:
        found[*runner, 'envDict', 'DD_CHECK_RUNNERS'] = Need(
            lambda value: isinstance(value, str) and int(value) >= len(SOURCES), 'as many workers as sources'
        )
    if role:
        found[ROLE] = Need(lambda value: named(value) and value.startswith('arn:aws:iam::'), 'IRSA')
    if secrets:
        backend = ('datadog', 'secretBackend')
        found |= {
            (*backend, 'type'): Need(is_('aws.secrets'), 'ENC[...]'),
            (*backend, 'config', 'aws_session', 'aws_region'): Need(named, 'ENC[...]'),
            (*backend, 'enableGlobalPermissions'): Need(is_(False), 'true reads all secrets of the cluster'),
            (*agent, 'envDict', 'DD_SECRET_BACKEND_SKIP_CHECKS'): Need(
                is_('true'), 'the runners resolve ENC[...]; the Cluster Agent would drop the file'
            ),
        }
    for name in sources(values):
        found[*FILES, name] = Need(named, 'a source')
    return found


def problems(environment: str, values: dict[str, Any]) -> Iterator[str]:
    """Return the missing, wrong and superfluous parts of values."""
    there = dict(leaves(values))
    needed = needs(environment, values)
    for path, need in needed.items():
        if path not in there:
            yield f'missing {".".join(path)}: {need.why}'
        elif not need.right(there[path]):
            yield f'wrong {".".join(path)}: {there[path]!r} ({need.why})'
    for path in there:
        if path not in needed:
            yield f'superfluous {".".join(path)}'

"""One instance per source and way of authentication, with planted secrets, for a server at an address."""

from __future__ import annotations

from typing import Any

from .planted import plant, private_key

SECRETS = {
    'github': {'token': plant('ght')},
    'github_app': {'app_private_key': private_key()},
    'asana': {'access_token': plant('asn')},
    'ec2': {'secret_access_key': plant('ec2')},
    'wandb': {'api_key': plant('wab')},
    'skypilot': {'token': plant('sky')},
    'skypilot_basic': {'password': plant('skp')},
    'kubernetes': {'token': plant('kub')},
}
ADDRESS = {
    'github': 'api_url',
    'asana': 'api_url',
    'ec2': 'endpoint_url',
    'wandb': 'api_url',
    'skypilot': 'api_server_url',
    'kubernetes': 'api_server_url',
}
OPTIONS: dict[str, dict[str, Any]] = {
    'github': {'repositories': ['metta/one']},
    'github_app': {'repositories': ['metta/one'], 'app_id': '1', 'app_installation_id': '2'},
    'asana': {'workspace_gid': '1', 'bugs_project_gid': '2'},
    'ec2': {'access_key_id': 'AKIAEXAMPLE', 'regions': ['us-east-1']},
    'wandb': {'entity': 'metta', 'projects': ['one']},
    'skypilot': {},
    'skypilot_basic': {'username': 'reader'},
    'kubernetes': {'cluster_name': 'one'},
}


def source_of(name: str) -> str:
    """The source of a name in SECRETS."""
    return name.partition('_')[0]


def instance(name: str, url: str, **options: Any) -> dict[str, Any]:
    """An instance that reads the server at the address, patiently: nothing here hangs on the speed of the machine."""
    source = source_of(name)
    times = {'connect_timeout': 30, 'read_timeout': 30} if source == 'ec2' else {'timeout': 30}
    return {'source': source, ADDRESS[source]: url, **SECRETS[name], **OPTIONS[name], **times, **options}

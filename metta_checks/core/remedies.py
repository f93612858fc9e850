"""Advice on errors of reading a source, for people who run `metta-checks doctor`.

A source knows better advice on many of its errors, and gives it with the error. This is the advice on all others, by
reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .errors import SourceError

CONNECT = 'try `curl -v {url}` on this machine'
# {url} is the address of the service, {source} the source, {health} the way to see whether the service works.
REMEDIES: Mapping[str, str] = MappingProxyType(
    {
        'auth': 'check the credentials in the configuration, then try `metta-checks doctor {source}` again',
        'permission': 'grant what the service asks for; docs/sources/{source}.md lists the permissions',
        'not_found': 'check the names and addresses in the configuration',
        'rejected': 'check the options that the message is about; docs/sources/{source}.md explains them',
        'rate_limit': (
            'wait: the check goes on by itself; if it happens often, raise option `refresh_interval`, or give the '
            'check credentials that no other program uses'
        ),
        'http_5xx': 'wait: the check tries again by itself; {health}',
        'unavailable': 'wait: the check tries again by itself; {health}',
        'timeout': f'{CONNECT}; if the service is slow, raise option `read_timeout`',
        'unreachable': f'{CONNECT}; check the address in the configuration, DNS, the firewall and option `proxy`',
        'tls': f'{CONNECT}; give the certificate of the CA as option `tls_ca_cert`',
        'proxy': 'check option `proxy`, and the variables HTTP_PROXY and HTTPS_PROXY of the Agent',
        'cut_off': f'{CONNECT}; a proxy or load balancer in between may end connections early',
        'bad_payload': f'{CONNECT}; a proxy or a login page in between may answer in place of the service',
        'budget': 'raise option `refresh_timeout`',
    }
)
CONFIGURATION = 'correct the option in the configuration'
OTHERWISE = (
    'wait: the check tries again by itself; if it stays, report it with the output of `metta-checks doctor {source} '
    '--json`'
)


def remedy(error: SourceError) -> str:
    """Return the advice on an error: its own, else that for its reason, which may name a source by placeholders."""
    return error.remedy or REMEDIES.get(error.reason, OTHERWISE)


def filled(advice: str, *, source: str, url: str, health: str) -> str:
    """Return advice with the names of a source in place of the placeholders."""
    # The advice of an error may quote a service, with braces of its own.
    return advice.replace('{source}', source).replace('{url}', url).replace('{health}', health)

"""Verification of AWS Signature Version 4."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from werkzeug.wrappers import Request

_AUTHORIZATION = re.compile(
    r'AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<day>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request, '
    r'SignedHeaders=(?P<headers>[^,]+), Signature=(?P<signature>[0-9a-f]{64})'
)


@dataclass(frozen=True, slots=True)
class Signed:
    """A request with a valid signature."""

    key: str
    region: str
    service: str


@dataclass(frozen=True, slots=True)
class Secret:
    """The secret of an access key; `token`: for temporary keys."""

    secret: str
    token: str = ''


def verify(request: Request, secrets: Mapping[str, Secret]) -> Signed | str:
    """Return the sender of a request, or the error code of AWS."""
    found = _AUTHORIZATION.fullmatch(request.headers.get('Authorization', ''))
    if found is None:
        return 'MissingAuthenticationToken'
    known = secrets.get(found['key'])
    if known is None or known.token != request.headers.get('X-Amz-Security-Token', ''):
        return 'InvalidClientTokenId'
    if not hmac.compare_digest(_signature(request, found, known.secret), found['signature']):
        return 'SignatureDoesNotMatch'
    return Signed(found['key'], found['region'], found['service'])


def _signature(request: Request, found: re.Match[str], secret: str) -> str:
    names = found['headers'].split(';')
    query = '&'.join(
        f'{quote(name, safe="-_.~")}={quote(value, safe="-_.~")}'
        for name, value in sorted(request.args.items(multi=True))
    )
    canonical = '\n'.join(
        [
            request.method,
            request.path,
            query,
            *(f'{name}:{" ".join(request.headers.get(name, "").split())}' for name in names),
            '',
            found['headers'],
            hashlib.sha256(request.get_data(cache=True)).hexdigest(),
        ]
    )
    scope = f'{found["day"]}/{found["region"]}/{found["service"]}/aws4_request'
    text = '\n'.join(
        [
            'AWS4-HMAC-SHA256',
            request.headers.get('X-Amz-Date', ''),
            scope,
            hashlib.sha256(canonical.encode()).hexdigest(),
        ]
    )
    key = f'AWS4{secret}'.encode()
    for part in scope.split('/'):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()

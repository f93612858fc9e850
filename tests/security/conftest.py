from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from . import hostile

# Where the libraries look for the authorities that are known to everybody.
AUTHORITIES = ('SSL_CERT_FILE', 'REQUESTS_CA_BUNDLE', 'AWS_CA_BUNDLE')


@pytest.fixture(scope='session')
def certificate(tmp_path_factory) -> Path:
    """Of a server that nobody vouches for."""
    return hostile.self_signed(tmp_path_factory.mktemp('tls'))


@pytest.fixture(scope='session', autouse=True)
def one_authority(tmp_path_factory) -> Iterator[None]:
    """Every check reads all authorities that this machine knows, which takes long: here it knows one, of no server."""
    authority = hostile.self_signed(tmp_path_factory.mktemp('authority'))
    with pytest.MonkeyPatch.context() as patch:
        for name in AUTHORITIES:
            patch.setenv(name, str(authority))
        patch.setenv('SSL_CERT_DIR', str(authority.parent / 'none'))
        yield

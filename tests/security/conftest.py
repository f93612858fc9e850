from __future__ import annotations

import pytest

from . import hostile


@pytest.fixture(scope='session')
def certificate(tmp_path_factory):
    """Of a server that nobody vouches for."""
    return hostile.self_signed(tmp_path_factory.mktemp('tls'))

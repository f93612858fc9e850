from __future__ import annotations

from pathlib import Path

import pytest

from metta_checks.testing import Clock

from ...security import hostile


@pytest.fixture(scope='session')
def certificate(tmp_path_factory) -> Path:
    """Return a certificate of the loopback address, with its key."""
    return hostile.self_signed(tmp_path_factory.mktemp('tls'))


@pytest.fixture
def clock() -> Clock:
    return Clock()

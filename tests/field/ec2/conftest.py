from __future__ import annotations

import pytest

# The SDK repeats requests at once, as in the tests of the source.
from tests.ec2.conftest import _retry_at_once  # noqa: F401

from .account import Account


@pytest.fixture
def account(serve) -> Account:
    """Return an account without resources."""
    return Account(serve('ec2'))

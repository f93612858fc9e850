from __future__ import annotations

# The SDK repeats requests at once, as in the tests of the source.
from tests.ec2.conftest import _retry_at_once  # noqa: F401

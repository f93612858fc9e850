from __future__ import annotations

import pytest
from botocore.retries.standard import ExponentialBackoff


@pytest.fixture(autouse=True)
def _retry_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the SDK repeat requests at once. It would wait for up to one second, then for up to two."""
    monkeypatch.setattr(ExponentialBackoff, 'delay_amount', lambda *_: 0)

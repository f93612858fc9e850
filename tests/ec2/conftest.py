from __future__ import annotations

import pytest
from botocore.retries.standard import ExponentialBackoff


@pytest.fixture(autouse=True)
def _retry_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the SDK repeat requests at once: it would really wait, up to a second, then up to two."""
    monkeypatch.setattr(ExponentialBackoff, 'delay_amount', lambda *_: 0)

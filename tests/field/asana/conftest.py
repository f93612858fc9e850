from __future__ import annotations

import pytest

from sandbox.asana.service import AsanaService


@pytest.fixture
def asana(serve) -> AsanaService:
    """Return a workspace with nothing but an empty Bugs project, in which nothing happens by itself."""
    service: AsanaService = serve('asana', tasks=60, bugs=10, activity=False)
    service.clear()
    return service

from __future__ import annotations

import pytest

from sandbox.skypilot.service import SkyPilotService


@pytest.fixture
def sky(serve) -> SkyPilotService:
    """Return a server without jobs and clusters, on which nothing happens by itself."""
    service: SkyPilotService = serve('skypilot', activity=False)
    service.clear()
    return service

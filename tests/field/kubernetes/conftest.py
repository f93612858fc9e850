from __future__ import annotations

import pytest

from .world import World


@pytest.fixture
def world(serve) -> World:
    """Return a cluster without objects."""
    return World(serve('kubernetes', pods=1))

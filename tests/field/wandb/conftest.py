from __future__ import annotations

import pytest

from .world import World


@pytest.fixture
def world(serve) -> World:
    """Return an empty project on a server on which nothing happens by itself."""
    return World(serve('wandb', scale=0.01, activity=False))

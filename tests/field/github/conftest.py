from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox import Running
from tests.github.scripted import ScriptedGitHub


@pytest.fixture
def scripted() -> Iterator[ScriptedGitHub]:
    """Return a GitHub of one small repository whose answers a test replaces one by one."""
    service = ScriptedGitHub()
    with Running(service):
        yield service

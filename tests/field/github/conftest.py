from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox import Running
from tests.github.scripted import ScriptedGitHub

from .actions import ActionsGitHub
from .pulls import PullsGitHub


@pytest.fixture
def scripted() -> Iterator[ScriptedGitHub]:
    """Return a GitHub of one small repository whose answers a test replaces one by one."""
    service = ScriptedGitHub()
    with Running(service):
        yield service


@pytest.fixture
def actions() -> Iterator[ActionsGitHub]:
    """Return a GitHub of one repository without workflow runs."""
    service = ActionsGitHub()
    with Running(service):
        yield service


@pytest.fixture
def pulls() -> Iterator[PullsGitHub]:
    """Return a GitHub of one repository with one merged pull request, whose lists a test makes longer."""
    service = PullsGitHub()
    with Running(service):
        yield service

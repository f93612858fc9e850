"""The sandbox's GitHub service, in its own type."""

from __future__ import annotations

from typing import Any

import sandbox
from sandbox import Clock, Organization
from sandbox.github.service import GitHubService


def github_service(
    organization: Organization | None = None, clock: Clock | None = None, **options: Any
) -> GitHubService:
    """Return the service, not yet serving; see `sandbox.service`."""
    service = sandbox.service('github', organization, clock, **options)
    assert isinstance(service, GitHubService)
    return service

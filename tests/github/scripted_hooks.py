"""Hooks that replace answers of a scripted GitHub."""

from __future__ import annotations

from typing import Any

from .scripted import ScriptedGitHub


def status(
    service: ScriptedGitHub, code: int, body: Any = None, headers: dict[str, str] | None = None, times: int = 10**6
):
    """Return a hook that answers with this status, a number of times."""
    left = [times]

    def hook(request, variables):
        left[0] -= 1
        return service.json(body or {'message': 'no'}, code, headers) if left[0] >= 0 else None

    return hook


def with_errors(service: ScriptedGitHub, data: dict[str, Any] | None, *errors: dict[str, Any], code: int = 200):
    return lambda request, variables: service.json({'data': data, 'errors': list(errors)}, code)

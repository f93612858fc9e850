"""Answers that a scripted GitHub gives in place of its own."""

from __future__ import annotations

from typing import Any

from .scripted import ScriptedGitHub


def status(
    service: ScriptedGitHub, code: int, body: Any = None, headers: dict[str, str] | None = None, times: int = 10**6
):
    """A hook that answers so, so many times."""
    left = [times]

    def hook(request, variables):
        left[0] -= 1
        return service.json(body or {'message': 'no'}, code, headers) if left[0] >= 0 else None

    return hook


def with_errors(service: ScriptedGitHub, data: dict[str, Any] | None, *errors: dict[str, Any], code: int = 200):
    return lambda request, variables: service.json({'data': data, 'errors': list(errors)}, code)

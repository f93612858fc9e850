"""What the configuration accepts beyond its types: gids may be written as numbers, which YAML makes of them unquoted."""

from __future__ import annotations

from typing import Any


def _gid(value: Any, **_: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


instance_workspace_gid = _gid
instance_bugs_project_gid = _gid
instance_bugs_severity_field = _gid


def instance_projects(value: Any, **_: Any) -> Any:
    """Gids of projects."""
    return [_gid(gid) for gid in value] if isinstance(value, (list, tuple)) else value

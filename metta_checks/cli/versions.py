"""The installed versions."""

from __future__ import annotations

import platform
from importlib import metadata


def versions() -> str:
    """Return the installed versions, for a problem report."""
    parts = (f'{name} {metadata.version(name)}' for name in ('datadog-metta-checks', 'datadog-checks-base'))
    return f'{", ".join(parts)}, Python {platform.python_version()}'

"""GitHub Enterprise Server: its version, and the parts of the API that it lacks before some version."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

VERSION_HEADER = 'X-GitHub-Enterprise-Version'
VERSION = re.compile(r'(\d+)\.(\d+)')
ACTIVITY_SINCE = (3, 17)


def is_enterprise(api_url: str) -> bool:
    """Return True for the address of an Enterprise Server's API."""
    return urlsplit(api_url).path.rstrip('/').endswith('/api/v3')


def lacks_activity(version: str | None) -> str:
    """Return the note that a server has no list of activities; empty when its version does not explain that.

    `version` is empty for a server that does not name it, None for github.com.
    """
    if version is None:
        return ''
    numbers = VERSION.match(version)
    if numbers and (int(numbers[1]), int(numbers[2])) >= ACTIVITY_SINCE:
        return ''
    server = f'GitHub Enterprise Server {version}' if version else 'this version of GitHub Enterprise Server'
    return f'{server} has no list of activities, so the number of force pushes is unknown; version 3.17 has one'

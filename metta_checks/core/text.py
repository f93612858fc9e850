"""Text as the Agent and Datadog take it."""

from __future__ import annotations

import re

_NO_SLUG = re.compile(r'[^a-z0-9]+')


def slug(text: str) -> str:
    """Return text as a tag value or a part of a metric name: `RTX PRO 4500` is `rtx_pro_4500`."""
    return _NO_SLUG.sub('_', text.lower()).strip('_')


def one_line(text: str, limit: int = 500) -> str:
    """Return foreign text as one line of valid UTF-8, cut to a length."""
    # The Agent stops reading at a zero byte.
    line = ' '.join(text.replace('\0', ' ').split()).encode('utf-8', 'replace').decode()
    return line if len(line) <= limit else f'{line[: limit - 3]}...'

"""Text as the Agent and Datadog take it."""

from __future__ import annotations

import re

_NO_SLUG = re.compile(r'[^a-z0-9]+')


def slug(text: str) -> str:
    """Return text as a tag value or a part of a metric name: `RTX PRO 4500` is `rtx_pro_4500`."""
    return _NO_SLUG.sub('_', text.lower()).strip('_')

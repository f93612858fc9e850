"""Text as the Agent and Datadog take it."""

from __future__ import annotations

import re

_NO_SLUG = re.compile(r'[^a-z0-9]+')
# C0, DEL and C1, separators of lines and paragraphs, and marks that reverse the direction of writing: they end a line,
# move the cursor, change colors, or make a text read as another one.
CONTROLS = re.compile('[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f]')


def slug(text: str) -> str:
    """Return text as a tag value or a part of a metric name: `RTX PRO 4500` is `rtx_pro_4500`."""
    return _NO_SLUG.sub('_', text.lower()).strip('_')


def printable(text: str) -> str:
    """Return foreign text as valid UTF-8 in one line: each control character is replaced by a space."""
    return CONTROLS.sub(' ', text).encode('utf-8', 'replace').decode()


def one_line(text: str, limit: int = 500) -> str:
    """Return foreign text as one printable line with single spaces, cut to a length."""
    line = ' '.join(printable(text).split())
    return line if len(line) <= limit else f'{line[: limit - 3]}...'

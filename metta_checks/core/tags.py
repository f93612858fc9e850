"""Tags as Datadog stores them.

Datadog converts tags to lower case, replaces characters other than letters, digits, `_`, `-`, `:`, `.` and `/`, and
cuts them off (https://docs.datadoghq.com/getting_started/tagging/#define-tags). Tags that already have this form are
stored as they are sent, so queries and outputs show the same text, and names that Datadog would take for one are
noticed before they are sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MAX_TAG = 200
_PLAIN = re.compile(r'[a-z](?:[a-z0-9:./-]|_(?!_))*(?<!_)')
_REPLACED = re.compile(r'[^\w:./-]+|_+')


def stored_tag(text: str) -> str:
    """Return a tag as Datadog stores it: `workflow:Build images` is `workflow:build_images`.

    Runs of other characters become one underscore, none at the end; letters and digits of all scripts stay.
    """
    # Most tags are plain. The check is much faster than the replacement.
    if len(text) <= MAX_TAG and _PLAIN.fullmatch(text):
        return text
    cut = _REPLACED.sub('_', text.lower())[:MAX_TAG]
    return cut.strip('_')


def format_tags(tags: Mapping[str, Any]) -> list[str]:
    """Return tags `key:value` as Datadog stores them."""
    return [stored_tag(f'{key}:{value}') for key, value in tags.items()]

"""EC2 tags as Datadog stores them: keys and values in lower case, with few characters beside letters and digits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

MAX_VALUES = 50
NONE = 'none'


def stored_key(key: str) -> tuple[str, str]:
    """Return the last part of metric names, which are ASCII, and the key of the tag, which keeps Unicode letters."""
    lower = key.lower()
    words = ''.join(one if one.isalnum() else ' ' for one in lower).split()
    return re.sub('[^a-z0-9]+', '_', lower).strip('_'), '_'.join(words)


def value_of(tags: Iterable[Mapping[str, str]] | None, key: str) -> str:
    """Return the value of an EC2 tag as Datadog stores it; `none` without one."""
    value = next((tag['Value'] for tag in tags or () if tag['Key'] == key), '')
    characters = (one if one.isalnum() or one in ':./-' else ' ' for one in value.lower())
    return re.sub(' +', '_', ''.join(characters)).rstrip('_') or NONE

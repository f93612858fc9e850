"""Keys and values of EC2 tags in the form in which Datadog stores them.

AWS tells keys and values apart that Datadog takes for one: it lowers letters and replaces most other characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from datadog_checks.base import ConfigurationError

from ..core.text import slug

WITHOUT_TAG = 'none'
_NO_KEY = re.compile(r'[\W_]+')
_BEFORE_LETTER = re.compile(r'^[\d_]+')
_NO_VALUE = re.compile(r'[^\w\-:./]+')
_UNDERSCORES = re.compile(r'_{2,}')


class TagKey(NamedTuple):
    """A key of the option `tag_by`.

    Attributes:
        key: the key of the EC2 tag
        name: the last part of the names of its metrics, which Datadog keeps in ASCII
        tag: the key of the tag of its metrics, which may have letters of any script
    """

    key: str
    name: str
    tag: str

    @classmethod
    def of(cls, key: str) -> TagKey:
        """Return a key. Raises ConfigurationError for a key without a Latin letter: its metrics would have no name."""
        name = slug(key)
        if not any(map(str.isalpha, name)):
            raise ConfigurationError(
                f'option `tag_by`: the key {key!r} has no Latin letter, so that its metrics would have no name'
            )
        return cls(key, name, _BEFORE_LETTER.sub('', _NO_KEY.sub('_', key.lower()).strip('_')))


def tag_keys(keys: Iterable[str]) -> tuple[TagKey, ...]:
    """Return the keys of the option `tag_by`, each once. Raises ConfigurationError for keys that Datadog mixes up."""
    found: list[TagKey] = []
    for one in map(TagKey.of, dict.fromkeys(keys)):
        for other in found:
            if one.name == other.name or one.tag == other.tag:
                raise ConfigurationError(
                    f'option `tag_by`: Datadog cannot tell the keys {other.key!r} and {one.key!r} apart: name only one'
                )
        found.append(one)
    return tuple(found)


def stored_value(value: str | None) -> str:
    """Return the value of an EC2 tag as Datadog stores it.

    Empty for a missing tag, and for a value without a character that Datadog keeps.
    """
    return _UNDERSCORES.sub('_', _NO_VALUE.sub('_', (value or '').lower())).rstrip('_')


def tag_value(value: str | None) -> str:
    """Return the value to show for the value of an EC2 tag: `none` without one."""
    return stored_value(value) or WITHOUT_TAG

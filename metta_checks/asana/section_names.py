"""Names of sections, compared by their words as people read them.

"In-progress" and "In  Progress 🚧" have the same words. "Not active" contains the word "active" and means the opposite,
so it does not match that word.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

# Words that reverse the words after them.
NEGATIONS = frozenset(
    (
        *('not', 'non', 'never', 'no', 'without', 'former', 'formerly', 'previously'),
        # German, French, Portuguese, Dutch and the Scandinavian languages.
        *('nicht', 'kein', 'keine', 'pas', 'não', 'niet', 'geen', 'ikke', 'inte'),
        # Chinese and Japanese.
        *('未', '非', '不', '无', '無', '没', '沒'),
    )
)
# Words that may stand between a negation and the word that it reverses: "no longer active", "not yet in progress".
FILLERS = frozenset({'longer', 'more', 'yet', 'currently', 'really', 'being', 'in', 'a', 'an', 'any', 'the'})
# Prefixes that reverse a word when a hyphen joins them to it: "un-triaged".
PREFIXES = frozenset({'un', 'de', 'dis', 'ex'})
# Words that the prefix "in-" reverses. It does not reverse "progress" in "In-progress".
IN_WORDS = frozenset({'active', 'complete', 'operative', 'valid'})
CONTRACTION = re.compile(r"n['\u2019]t(?!\w)")
# Emoji of a digit, # or * in a box contain that character.
KEYCAP = re.compile('[0-9#*]\ufe0f?\u20e3')
HYPHENS = frozenset('-\u2010\u2011\u2012\u2013\u2014')
# Scripts whose words are not separated by spaces: every character is a word of its own.
IDEOGRAPHS = '\u3005\u3041-\u309f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff'
KATAKANA = '\u30a1-\u30ff'
HANGUL = '\uac00-\ud7a3'
WORD = re.compile(f'[{IDEOGRAPHS}]|[{KATAKANA}]+|[{HANGUL}]+|[^\\W_{IDEOGRAPHS}{KATAKANA}{HANGUL}]+')


class Word(NamedTuple):
    """A word of a name.

    Attributes:
        text: the word, in the form in which words are compared
        gap: the characters between the word before and this one
    """

    text: str
    gap: str


class SectionNames:
    """Recognizes sections by words that an option names.

    Attributes:
        wanted: the names from the option
    """

    def __init__(self, wanted: Iterable[str] = ()) -> None:
        self.wanted = tuple(wanted)
        self._wanted = [(_comparable(name), [word.text for word in _words(name)]) for name in self.wanted]
        self._known: dict[str, bool] = {}

    def __bool__(self) -> bool:
        """Return True when the option names any section."""
        return bool(self.wanted)

    def __contains__(self, section: str) -> bool:
        """Return True when the name of a section contains the words of a wanted name, and no negation of them."""
        if section not in self._known:
            self._known[section] = self._matches(section)
        return self._known[section]

    @property
    def unmatched(self) -> list[str]:
        """The names that were looked up so far, when none of them matched; else an empty list."""
        return [] if any(self._known.values()) else sorted(self._known)

    def _matches(self, section: str) -> bool:
        words = _words(section)
        for name, wanted in self._wanted:
            # A name without any letter, such as an emoji, has no words.
            if not wanted and name in _comparable(section):
                return True
            if wanted and any(not _is_negated(words, start) for start in _places(words, wanted)):
                return True
        return False


def _places(words: list[Word], wanted: list[str]) -> list[int]:
    texts = [word.text for word in words]
    return [start for start in range(len(texts)) if texts[start : start + len(wanted)] == wanted]


def _is_negated(words: list[Word], start: int) -> bool:
    """Return True when the words before a word reverse its meaning."""
    for before, word in pairwise(reversed(words[: start + 1])):
        # From the word itself backward: `word` stands in front of `before`.
        if _ends_phrase(before.gap):
            return False
        if word.text in NEGATIONS or _is_prefix(word.text, before):
            return True
        if word.text not in FILLERS:
            return False
    return False


def _is_prefix(text: str, word: Word) -> bool:
    """Return True for a negative prefix that a hyphen joins to a word."""
    return word.gap in HYPHENS and (text in PREFIXES or (text == 'in' and word.text in IN_WORDS))


def _ends_phrase(gap: str) -> bool:
    """Return True when punctuation separates two words. Hyphens do only with spaces around them."""
    if HYPHENS.intersection(gap):
        return len(gap) > 1
    return any((unicodedata.category(one)[0] == 'P' and one != '_') or unicodedata.category(one) == 'Sm' for one in gap)


def _words(name: str) -> list[Word]:
    text = CONTRACTION.sub(' not', KEYCAP.sub(' ', _comparable(name)))
    found = []
    end = 0
    for match in WORD.finditer(text):
        found.append(Word(match[0], text[end : match.start()]))
        end = match.end()
    return found


def _comparable(name: str) -> str:
    """Return a name without differences that a reader does not see: case, composition, width, invisible characters."""
    letters = (
        unicodedata.normalize('NFKC', one) if unicodedata.category(one)[0] == 'L' else one
        for one in name
        if unicodedata.category(one) != 'Cf'
    )
    # Lower case of the Turkish dotted I is an i with a dot of its own.
    return unicodedata.normalize('NFC', ''.join(letters).casefold()).replace('\u0307', '')

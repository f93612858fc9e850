"""The glossary, docs/glossary.md, and the words of metric descriptions that nothing defines.

Source of truth: `tools/glossary.yaml`. It holds the terms with a special meaning, and the words that every reader
knows. A word of a description is either known or part of a term; anything else is undefined, and a test fails on it.
So `steady` is accepted in "steady container", a term of Kubernetes, and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

TARGET = Path('docs') / 'glossary.md'
SOURCE = Path(__file__).with_suffix('.yaml')
EVERYWHERE = ''
HEAD = """\
# Glossary

<!-- Generated from tools/glossary.yaml; do not edit. -->

Terms with a special meaning in the definitions of metrics, on dashboards and on these pages. Words that a vendor
defines, such as "cordoned" or "unblended", have the vendor's meaning and are not listed.
"""
# Code, numbers, and names of metrics and options.
IDENTIFIERS = re.compile(r'`[^`]*`|\b\w*(?:[._]\w|\d)[\w.]*|(?<=\boption )\w+')
# Names as services write them: `CrashLoopBackOff`, GPU.
CAPITALS = re.compile(r'\b\w+[A-Z]\w*|\b[A-Z]\b')
# A capital letter in the middle of a sentence begins a name, too.
PROPER = re.compile(r'(?<=[^.:!?\s] )[A-Z]\w*')
WORD = re.compile(r"[a-z]+(?:'[a-z]+)?", re.IGNORECASE)
PLURAL = '(?:e?s)?'
# Endings of plurals, past tenses, participles and adverbs, and what stands in their place in the base form.
ENDINGS = {'ies': ('y',), 'es': ('', 'e'), 's': ('',), 'ed': ('', 'e'), 'ing': ('', 'e'), 'ly': ('',)}


@dataclass(frozen=True)
class Term:
    """A term, its meaning, the source it belongs to (empty: all), and other forms in which texts use it."""

    name: str
    meaning: str
    source: str = EVERYWHERE
    forms: Sequence[str] = ()

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Match the term in a text, singular or plural."""
        forms = sorted((self.name, *self.forms), key=len, reverse=True)
        return re.compile(rf'\b(?:{"|".join(map(re.escape, forms))}){PLURAL}\b', re.IGNORECASE)

    @property
    def anchor(self) -> str:
        """Anchor of the term on the page."""
        return self.name.lower().replace(' ', '-')


@dataclass(frozen=True)
class Glossary:
    """Terms, words that every reader knows, and by source the words that its vendor defines."""

    terms: Sequence[Term]
    words: frozenset[str]
    vendors: Mapping[str, frozenset[str]]

    @classmethod
    def parse(cls, text: str) -> Glossary:
        """Return the glossary in a YAML document. Raises ValueError for a term that is defined twice."""
        document: dict[str, Any] = yaml.safe_load(text)
        terms = [Term(term.pop('term'), ' '.join(term.pop('meaning').split()), **term) for term in document['terms']]
        names = [term.anchor for term in terms]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f'defined more than once: {", ".join(sorted(twice))}')
        vendors = {source: frozenset(words.split()) for source, words in document['vendors'].items()}
        return cls(terms, frozenset(document['words'].split()), vendors)

    def used(self, source: str, texts: Iterable[str]) -> list[Term]:
        """Return the terms that texts of a source use, in alphabetical order."""
        text = '\n'.join(texts)
        found = (term for term in self.terms if term.source in (source, EVERYWHERE) and term.pattern.search(text))
        return sorted(found, key=lambda term: term.name.lower())

    def undefined(self, source: str, text: str) -> list[str]:
        """Return the words of a text that are neither known nor part of a term of the source."""
        known = self.words | self.vendors.get(source, frozenset())
        # A comma keeps the words on both sides apart.
        rest = IDENTIFIERS.sub(',', text)
        for term in sorted(self.used(source, [text]), key=lambda term: len(term.name), reverse=True):
            rest = term.pattern.sub(',', rest)
        rest = PROPER.sub(',', CAPITALS.sub(',', rest))
        words = dict.fromkeys(word.lower() for word in WORD.findall(rest))
        return [word for word in words if not known.intersection(base_forms(word))]


def load() -> Glossary:
    """Return the glossary of the project."""
    return Glossary.parse(SOURCE.read_text(encoding='utf-8'))


def base_forms(word: str) -> Iterator[str]:
    """Yield a word, and the forms that it may be a plural, a past tense or a participle of."""
    word = word.removesuffix("'s").removesuffix("'")
    yield word
    for ending, replacements in ENDINGS.items():
        if word.endswith(ending):
            stem = word.removesuffix(ending)
            yield from (stem + replacement for replacement in replacements)
            if ending in ('ed', 'ing') and stem[-1:] == stem[-2:-1]:
                yield stem[:-1]


def page(glossary: Glossary, titles: Mapping[str, str]) -> str:
    """Return docs/glossary.md. `titles` names the sources."""
    lines = [HEAD]
    for source, title in {EVERYWHERE: 'All sources', **titles}.items():
        terms = sorted((term for term in glossary.terms if term.source == source), key=lambda term: term.name.lower())
        if terms:
            lines += [f'## {title}', '']
        for term in terms:
            lines += [f'### {term.name}', '', term.meaning, '']
    return '\n'.join(lines).rstrip('\n') + '\n'


def links(glossary: Glossary, source: str, texts: Iterable[str]) -> str:
    """Return links to the terms that texts of a page under docs/metrics use; empty without any."""
    return ', '.join(f'[{term.name}](../{TARGET.name}#{term.anchor})' for term in glossary.used(source, texts))

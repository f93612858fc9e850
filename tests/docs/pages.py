"""Links, tables and code blocks of the project's Markdown pages, read by a CommonMark parser."""

from __future__ import annotations

import re
import subprocess
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parent.parent.parent
# Reasons to leave out a block.
EXCUSES = {
    'docker': 'needs a Docker engine',
    'cluster': 'needs a Kubernetes cluster',
    'account': 'needs an account',
    'agent': 'needs a Datadog Agent',
    'slow': 'takes minutes',
}
# Marks a block whose last command is meant to end with an exit code other than 0.
FAILS = 'fails'
MARKS = {*EXCUSES, FAILS}
_PARSER = MarkdownIt('commonmark').enable('table')


@dataclass(frozen=True, slots=True)
class Fence:
    """A fenced block. `language` is the first word of its info string, `words` are the others."""

    page: str
    line: int
    language: str
    words: tuple[str, ...]
    text: str

    @property
    def place(self) -> str:
        """Return page and line, for messages."""
        return f'{self.page}:{self.line}'

    @property
    def file(self) -> str | None:
        """Return the path of the file that the block contains (```python path/of/file.py), or None."""
        if self.language == 'console' or len(self.words) != 1:
            return None
        return self.words[0] if '/' in self.words[0] or '.' in self.words[0] else None


def names() -> list[str]:
    """Return README.md, CONTRIBUTING.md, SECURITY.md and the pages under docs, tracked or new, as relative paths."""
    patterns = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'docs/*.md']
    command = ['git', 'ls-files', '--cached', '--others', '--exclude-standard', *patterns]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return sorted(name for name in listed.splitlines() if (ROOT / name).is_file())


@cache
def tokens(name: str) -> tuple[Token, ...]:
    """Return the tokens of a page, with those of inline content."""
    flat = []
    for token in _PARSER.parse((ROOT / name).read_text(encoding='utf-8')):
        flat += [token, *(token.children or ())]
    return tuple(flat)


def fences(name: str) -> list[Fence]:
    """Return the fenced blocks of a page in order, with those in lists."""
    found = []
    for token in tokens(name):
        if token.type == 'fence' and token.map:
            language, *words = token.info.split() or ['']
            found.append(Fence(name, token.map[0] + 1, language, tuple(words), token.content))
    return found


def links(name: str) -> Iterator[str]:
    """Yield the targets of the links and images of a page."""
    for token in tokens(name):
        for attribute in ('href', 'src'):
            if target := token.attrs.get(attribute):
                yield str(target)


def only(pattern: str, text: str) -> str:
    """Return the group of the first match. Raises AssertionError without one."""
    found = re.search(pattern, text)
    assert found, f'nothing like {pattern} in: {text[:200]}'
    return found[1]


@cache
def anchors(name: str) -> frozenset[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    seen: Counter[str] = Counter()
    found = set()
    for heading, content in zip(tokens(name), tokens(name)[1:], strict=False):
        if heading.type != 'heading_open':
            continue
        text = ''.join(child.content for child in content.children or () if child.type in ('text', 'code_inline'))
        kept = ''.join(
            character for character in text.lower() if character in ' -_' or unicodedata.category(character)[0] in 'LN'
        )
        slug = kept.replace(' ', '-')
        found.add(f'{slug}-{seen[slug]}' if seen[slug] else slug)
        seen[slug] += 1
    return frozenset(found)


def table(name: str, heading: str) -> list[dict[str, str]]:
    """Return the rows of the first table below a heading, by column. The cells are Markdown."""
    lines = (ROOT / name).read_text(encoding='utf-8').splitlines()
    start = next(index for index, line in enumerate(lines) if re.fullmatch(rf'#+ {re.escape(heading)}', line))
    rows: list[list[str]] = []
    for line in lines[start + 1 :]:
        if line.startswith('|'):
            rows.append([cell.strip() for cell in line.strip().strip('|').split('|')])
        elif rows:
            break
    head, _, *body = rows
    return [dict(zip(head, row, strict=True)) for row in body]

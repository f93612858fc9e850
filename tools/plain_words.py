"""Lint of the language: `python -m tools.plain_words [PATH ...]`, without paths over the whole project.

Reads docstrings, comments, sentences in strings, Markdown, YAML and Jsonnet, and finds what a reader stumbles over:
sentences that begin with a relative clause, a list of phrases, metaphors, and British spellings. Code in backquotes and
code blocks is left out. An exception needs an entry with a reason in `tools/plain_words.yaml`; an entry that is no
longer needed is a finding, too.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import yaml

ROOT = Path(__file__).resolve().parent.parent
ALLOWED = Path(__file__).with_suffix('.yaml')
SUFFIXES = ('.py', '.md', '.yaml', '.yml', '.jsonnet', '.libsonnet')
# Generated from other files, or written by others; and the lint itself, whose tests and exceptions quote what it finds.
LEFT_OUT = re.compile(
    r'/config_models/|/data/conf\.yaml\.example$|^conf\.d/|^docs/metrics/|^docs/stored\.md$|^assets/(dashboards|openapi)/'
    r'|^docs/(glossary|modules)\.md$|^LICENSE|plain_words|^dashboards/vendor/'
)
# Strings of fewer words are identifiers, labels and values of services.
WORDS_OF_A_SENTENCE = 4

# A question may begin with these words; so may "How to ...".
RELATIVE = re.compile(r'^(?:What|Whether|Whose|Those|Which|How(?! to\b))\b')
SENTENCE_ENDS = re.compile(r'(?<=[.!:;])\s+(?=[A-Z])')
PHRASES = {
    r'(?<!there )(?<!there\'s )\b(?:is|are|was|were) no\b(?! (?:longer|more than|less than|later than|earlier than))': (
        'say "is not a", or "there is no"'
    ),
    r'\bnot to be had\b': 'say "not available"',
    r'\bfor ever\b': 'say "forever"',
    r'\banew\b': 'say "again"',
    r'\bafresh\b': 'say "again"',
    r'\bso (?:many|much)\b(?! (?:that|as)\b)': 'name the number or the amount',
    r'\bwhom\b': 'make the actor the subject',
    r'\b(?:dear|dearer|dearest)\b': 'say "expensive"',
    r'\bdraws? (?:a|the|its|new) token': 'say "generates"',
    r'\bha(?:s|ve) (?:its|their) word\b': 'say what it decides',
    r'\bbelongs? into\b': 'say "belongs in"',
    r'\bof (?:its|their) own accord\b': 'say "by itself"',
    r'\btells? of\b': 'say "reports"',
    r'\bknows? of\b': 'say "knows", or name what is known',
    r'\b(?:is|are|was|were) told\b(?! (?:to|by|that)\b)': 'say who reports it to whom: "is reported"',
    r'\bnothing of\b': 'say what is not there',
    r'\b(?:it|there) (?:is|are) nobody\b': 'say "nobody is"',
    r'\bat hand\b': 'say "available"',
    r'\bthe like\b': 'name it',
    r'\bby and by\b': 'say "gradually"',
    r'\bhow it (?:is|went|fares)\b': 'name the state or the result',
    r'\bwhere it is not obvious\b': 'name the case',
    r'\bin vain\b': 'say "without a result"',
    r'\bof late\b': 'say "recently"',
    r'\bat a stroke\b': 'say "at once"',
    r'\bin the meantime\b': 'say "meanwhile"',
}
METAPHORS = {
    r'\b(?:rooms?)\b': 'say "module", "package" or "space"',
    r'\bhouses?\b': 'say "project" or "package"',
    r'\bfloors?\b': 'say "layer" or "minimum"',
    r'\bborders?\b': 'say "boundary" or name the interface',
    r'\beyes?\b': 'name the credentials or the reader',
}
SPELLINGS = {
    r'utilis\w+': 'utilization',
    r'(?:\b|_)colour\w*': 'color',
    r'organis(?:e|ation|ing)\w*': 'organization',
    r'\bcatalogu(?:e|es|ing)\b': 'catalog',
    r'\bcancell(?:ed|ing)\b': 'canceled',
    r'\btime-outs?\b': 'timeout',
    r'\bbehaviour\w*': 'behavior',
    r'\b(?:fav|hon|neighb|lab)our\w*': 'the spelling with -or',
    r'\b(?:recogn|normal|serial|initial|summar|author|anonym|minim|maxim|optim|synchron|real|capital|categor|general)is'
    r'(?:e|ed|es|ing|ation)\b': 'the spelling with -ize',
    r'\banalys(?:e|ed|ing)\b': 'analyze',
    r'\b(?:centre|metre|licence|grey|sceptic\w*|programme|fulfil|(?:mod|lab|trav)ell(?:ed|ing))\b': 'the US spelling',
    r'\b(?:towards|whilst|amongst)\b': 'the US form',
    r'\blog(?:s|ged|ging)? in (?:to|with|as)\b': 'sign in (people), credentials (services)',
}
IDENTIFIERS = re.compile(r'(?:utilis|colour|organisation|catalogue|behaviour|normalis|serialis)', re.IGNORECASE)


class Text(NamedTuple):
    """A piece of text: the line on which it begins, and whether it opens a docstring, heading or description."""

    line: int
    text: str
    opens: bool = False


@dataclass(frozen=True)
class Finding:
    """A phrase to be replaced, and the way to replace it."""

    path: str
    line: int
    phrase: str
    advice: str

    def __str__(self) -> str:
        """Return the line that is printed."""
        return f'{self.path}:{self.line}: "{self.phrase}": {self.advice}'


def python_texts(source: str) -> Iterator[Text]:
    """Yield the docstrings, comments and sentences of a Python module."""
    docstrings = set()
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node
        ):
            value = node.body[0].value  # type: ignore[attr-defined]  # a docstring is an expression statement
            docstrings.add(id(value))
            yield Text(value.lineno, ast.get_docstring(node) or '', opens=True)
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            text = ''.join(str(part.value) if isinstance(part, ast.Constant) else 'X' for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            text = node.value
        else:
            continue
        if len(text.split()) >= WORDS_OF_A_SENTENCE:
            yield Text(node.lineno, text)
    yield from _comments(source)


def _comments(source: str) -> Iterator[Text]:
    """Yield each comment; the lines of a block comment are one text."""
    block: list[str] = []
    first = last = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME and IDENTIFIERS.search(token.string):
            yield Text(token.start[0], token.string)
        if token.type != tokenize.COMMENT:
            continue
        if block and token.start[0] != last + 1:
            yield Text(first, '\n'.join(block), opens=True)
            block = []
        first = first if block else token.start[0]
        last = token.start[0]
        block.append(token.string.lstrip('#! '))
    if block:
        yield Text(first, '\n'.join(block), opens=True)


def markdown_texts(source: str) -> Iterator[Text]:
    """Yield the paragraphs, list items, table cells and headings of a page, without code blocks."""
    blank = re.sub(
        r'^ *(```|~~~).*?^ *\1 *$', lambda match: '\n' * match[0].count('\n'), source, flags=re.MULTILINE | re.DOTALL
    )
    blank = re.sub(r'<!--.*?-->', lambda match: '\n' * match[0].count('\n'), blank, flags=re.DOTALL)
    paragraph: list[str] = []
    first = 1
    for number, line in enumerate([*blank.splitlines(), ''], start=1):
        starts = re.match(r'\s*(?:[-*>]|\d+\.|#+|\|)\s*', line)
        if (not line.strip() or starts) and paragraph:
            yield Text(first, '\n'.join(paragraph), opens=True)
            paragraph = []
        if starts and line.lstrip().startswith('|'):
            yield from (Text(number, cell.strip(), opens=True) for cell in line.strip().strip('|').split('|'))
        elif line.strip():
            first = first if paragraph else number
            paragraph.append(line[starts.end() :] if starts else line)


def yaml_texts(source: str) -> Iterator[Text]:
    """Yield the strings of YAML documents that read as sentences, and the comments."""
    for node in yaml.compose_all(source, Loader=yaml.SafeLoader):
        yield from _scalars(node)
    for number, line in enumerate(source.splitlines(), start=1):
        if comment := re.match(r'\s*#+ (.*)', line):
            yield Text(number, comment[1])


def _scalars(node: yaml.Node | None) -> Iterator[Text]:
    if isinstance(node, yaml.ScalarNode) and len(node.value.split()) >= WORDS_OF_A_SENTENCE:
        yield Text(node.start_mark.line + 1, node.value, opens=True)
    elif isinstance(node, yaml.SequenceNode):
        for one in node.value:
            yield from _scalars(one)
    elif isinstance(node, yaml.MappingNode):
        for _, value in node.value:
            yield from _scalars(value)


def line_texts(source: str) -> Iterator[Text]:
    """Yield each line of a file of another format."""
    yield from (Text(number, line) for number, line in enumerate(source.splitlines(), start=1))


READERS = {'.py': python_texts, '.md': markdown_texts, '.yaml': yaml_texts, '.yml': yaml_texts}


def findings(path: str, source: str) -> list[Finding]:
    """Return what is to be replaced in a file, in the order of its lines."""
    found = [finding for text in READERS.get(Path(path).suffix, line_texts)(source) for finding in _of_text(path, text)]
    return sorted(set(found), key=lambda one: (one.line, one.phrase))


def _of_text(path: str, text: Text) -> Iterator[Finding]:
    plain = re.sub(r'``.*?``|`[^`]*`|https?://\S+', lambda match: 'X' + '\n' * match[0].count('\n'), text.text)
    flat = plain.replace('\n', ' ')
    for rules in (PHRASES, METAPHORS, SPELLINGS):
        for pattern, advice in rules.items():
            for match in re.finditer(pattern, flat, re.IGNORECASE):
                yield Finding(path, _line(text, plain, match.start()), ' '.join(match[0].split()), advice)
    if not text.opens:
        return
    start = 0
    for sentence in SENTENCE_ENDS.split(plain):
        start = plain.index(sentence, start)
        if (opening := RELATIVE.match(sentence)) and '?' not in sentence:
            yield Finding(
                path, _line(text, plain, start), f'{opening[0]} ...', 'name the thing; begin with it or a verb'
            )


def _line(text: Text, plain: str, position: int) -> int:
    return text.line + plain.count('\n', 0, position)


def allowed() -> dict[tuple[str, str], str]:
    """Return the reason of each exception by path and phrase."""
    entries = yaml.safe_load(ALLOWED.read_text(encoding='utf-8')) or []
    return {(entry['path'], entry['phrase']): entry['reason'] for entry in entries}


def project_files() -> list[str]:
    """Return the paths of the files that the lint reads."""
    listed = subprocess.run(['git', 'ls-files'], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split(
        '\n'
    )
    return [path for path in listed if path.endswith(SUFFIXES) and not LEFT_OUT.search(path) and (ROOT / path).exists()]


def main(arguments: Sequence[str]) -> int:
    """Print the findings of the named files or folders; return 1 when there is one."""
    chosen = [path for path in project_files() if not arguments or path.startswith(tuple(arguments))]
    exceptions, used, left = allowed(), set(), []
    for path in chosen:
        for finding in findings(path, (ROOT / path).read_text(encoding='utf-8')):
            if (key := (path, finding.phrase.lower())) in exceptions:
                used.add(key)
            else:
                left.append(finding)
    for finding in left:
        print(finding)
    superfluous = [key for key in exceptions if key not in used and key[0] in chosen] if not arguments else []
    for path, phrase in superfluous:
        print(f'{ALLOWED.relative_to(ROOT)}: the exception "{phrase}" for {path} is no longer needed')
    return 1 if left or superfluous else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))

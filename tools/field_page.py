"""The page on the field cases, docs/field-cases.md, from the marks and docstrings of the tests in tests/field."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

TARGET = Path('docs') / 'field-cases.md'
CASES = Path('tests') / 'field'
# Mistakes by class.
CLASSES = {
    'A': 'a display name taken for an identity',
    'B': 'the last state taken for the history',
    'C': 'absence taken for a fact',
    'D': 'the head of a list read where its tail decides',
    'E': 'an error that takes more figures along than it concerns',
    'F': 'the wrong unit of counting',
    'G': 'the reason of the vendor thrown away, or recognized by words',
    'H': 'two figures of one set from different readings',
    'I': 'the local clock used for remote times',
    'J': 'a documented limit without a mark',
}
ISSUE = re.compile(r'https://github\.com/([^/]+/[^/]+)/(?:issues|pull)/(\d+)')
HEAD = """\
# Field cases

<!-- Generated from tests/field; do not edit. -->

Situations that people reported in public, or that a vendor documents, and the figures that are right in them. Each
one is a test in `tests/field`: it runs the check over sockets against a service in that situation. The names and
numbers in them are made up. A case marked "guard" was right before its test was written. All others failed on the code
before it.

Each case has a class, the kind of mistake that it could lead to:

| class | mistake |
| --- | --- |
"""


class CaseError(ValueError):
    """A field case lacks a part of its description; the message names the test."""


@dataclass(frozen=True, slots=True)
class Case:
    """A field case as its mark and its docstring tell it.

    Attributes:
        kind: the class, a letter of CLASSES
        link: address of the public report, empty without one
        guard: True when the check was right before
        title, situation, right, unchanged: the parts of the docstring
    """

    kind: str
    link: str
    guard: bool
    title: str
    situation: str
    right: str
    unchanged: str


def page(root: Path, titles: Mapping[str, str]) -> str:
    """Return the page. `titles` names the sources; those without cases are left out. Raises CaseError."""
    lines = [HEAD + '\n'.join(f'| {kind} | {mistake} |' for kind, mistake in CLASSES.items()), '']
    for source, title in titles.items():
        cases = list(cases_of(root / CASES / source))
        if cases:
            guards = sum(one.guard for one in cases)
            lines += [f'## {title}', '', f'{len(cases)} cases, {guards} of them guards.', '']
            lines += [line for one in cases for line in _entry(one)]
    return '\n'.join(lines).rstrip('\n') + '\n'


def cases_of(folder: Path) -> Iterator[Case]:
    """Yield the cases of a source, in the order of files and of tests. Raises CaseError."""
    for path in sorted(folder.glob('test_*.py')):
        for node in ast.parse(path.read_text(encoding='utf-8')).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith('test_'):
                yield _case(node, f'{path.name}: {node.name}')


def _case(test: ast.FunctionDef, where: str) -> Case:
    marks = [one for one in test.decorator_list if isinstance(one, ast.Call) and ast.unparse(one.func) == 'case']
    if len(marks) != 1:
        raise CaseError(f'{where} is not marked as a case')
    [mark] = marks
    kind, link = ([ast.literal_eval(one) for one in mark.args] + [''])[:2]
    guard = any(one.arg == 'guard' and ast.literal_eval(one.value) for one in mark.keywords)
    title, *paragraphs = (
        ' '.join(one.split()) for one in inspect.cleandoc(ast.get_docstring(test) or '').split('\n\n')
    )
    right = _labelled(paragraphs, 'Right:', where)
    unchanged = _labelled(paragraphs, 'Unchanged:', where)
    situation = ' '.join(one for one in paragraphs if not one.startswith(('Right:', 'Unchanged:')))
    if not title or not situation:
        raise CaseError(f'{where} has no title or no situation')
    return Case(kind, link, guard, title.rstrip('.'), situation, right, unchanged)


def _labelled(paragraphs: list[str], label: str, where: str) -> str:
    found = [one.removeprefix(label).strip() for one in paragraphs if one.startswith(label)]
    if len(found) != 1 or not found[0]:
        raise CaseError(f'{where} has no paragraph "{label}"')
    return found[0]


def _entry(case: Case) -> Iterator[str]:
    notes = [f'class {case.kind}', *(['guard'] if case.guard else []), *([_link(case.link)] if case.link else [])]
    yield f'### {case.title}'
    yield ''
    yield f'{case.situation} ({", ".join(notes)})'
    yield ''
    yield f'* **Right:** {case.right}'
    yield f'* **Unchanged:** {case.unchanged}'
    yield ''


def _link(address: str) -> str:
    issue = ISSUE.match(address)
    text = f'{issue[1]}#{issue[2]}' if issue else address.split('/')[2]
    return f'[{text}]({address})'

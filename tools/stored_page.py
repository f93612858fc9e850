"""Write the page "What is stored", docs/stored.md, from the types that the sources declare and their docstrings."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from metta_checks.check import SOURCES, source_class
from metta_checks.core import blocks, snapshot
from metta_checks.core.blocks import Block
from metta_checks.core.stored import NoMemory

TARGET = Path('docs') / 'stored.md'
SHARED = 'metta_checks.core.memo'
# Module prefix of a type's name.
MODULE = re.compile(r'\b[a-z_]+\.(?=[A-Z])')
HEAD = """\
# What is stored

<!-- Generated from the declarations in metta_checks; do not edit. -->

An instance stores one JSON document, the snapshot, in the run directory of the Agent, by the Agent's own means. It is
written after every refresh and read when the check starts. Secrets are scrubbed from it. A document that cannot be
used leads to a first refresh; a part of another shape than declared here is dropped, and its block starts without
stored values. Blocks that are not listed store their samples only.

Times are seconds since the epoch where nothing else is said. Rows of tables, such as pull requests and workflow runs,
are stored as lists, in the order of their fields. Subjects are the repositories or projects of an instance.
"""
# Keys of the document and of a block in it.
DOCUMENT = {
    'version': 'format of the document; one of another format is not used',
    'written_at': 'time of writing; a document from the future is not used',
    'refreshed_at': 'time of the last full refresh; null before it',
    'not_begun_since': 'time of the first of the latest refreshes that could not begin; null after one that began',
    'duration': 'seconds that the last refresh took',
    'credentials': 'fingerprint of the configured credentials; with others, the next run refreshes',
    'status': 'level of the service check and the problems of the last attempts, as shown again after a restart',
    'memory': 'findings of the instance as a whole, see the sources below',
    'limits': 'by resource of the service: when it may be asked again, and the message that said so',
    'blocks': 'subject (a repository, a project; empty for the instance as a whole), name and state of each block',
}
BLOCK = {
    'gauges': 'the samples that are emitted until the next refresh: name, value and tags',
    'refreshed_at': 'time of the last successful refresh; null before it',
    'tried_at': 'time of the first attempt, for a block that has never succeeded; null for another one',
    'resume_at': 'when the block is tried again before the next full refresh; null when it waits for that one',
    'failures': 'number of failures since the last success',
    'truncated': 'whether not everything could be read',
    'state': 'findings that the block compares with or goes on from, see the sources below; null for none',
}


def page(titles: Mapping[str, str]) -> str:
    """Return the page, with a part for each source. Raises ValueError for a key of the document without a text."""
    lines = [HEAD, '## The document', '', *_keys(DOCUMENT, _document()), '', 'The state of a block:', '']
    lines += [*_keys(BLOCK, _block()), '']
    shared: dict[type, None] = {}
    for source in SOURCES:
        lines += [f'## {titles[source]}', '', *_source(source, shared)]
    lines += ['## Types of several sources', '']
    for kind in shared:
        lines += _type(kind, f'### `{kind.__name__}`')
    return '\n'.join(lines).rstrip('\n') + '\n'


def _document() -> dict[str, Any]:
    made = snapshot.Snapshot()
    made.block('subject', 'name')
    found: dict[str, Any] = json.loads(made.dump(0))
    return found


def _block() -> dict[str, Any]:
    [[_, _, found]] = _document()['blocks']
    return dict(found)


def _keys(texts: Mapping[str, str], found: Mapping[str, Any]) -> list[str]:
    if texts.keys() != found.keys():
        raise ValueError(f'{__name__}: the snapshot has the keys {list(found)}, described are {list(texts)}')
    return ['| key | meaning |', '| --- | --- |', *(f'| `{key}` | {texts[key]} |' for key in found)]


def _source(source: str, shared: dict[type, None]) -> Iterator[str]:
    """Return the memory and the states of a source; add types of several sources to `shared`."""
    check = source_class(source)
    owners: dict[type, list[str]] = {}
    for kind in _records(check.MEMORY):
        if kind is not NoMemory:
            owners[kind] = ['the instance as a whole']
    for one in blocks.table(check):
        for kind in _records(one.state):
            owners.setdefault(kind, []).append(_owner(one))
    if not owners:
        yield from ('Nothing.', '')
    described: dict[type, None] = {}
    for kind, names in owners.items():
        yield from _type(kind, f'### {_capital(", ".join(names))}: `{kind.__name__}`', described, shared)


def _owner(block: Block[Any]) -> str:
    return f'block `{block.name}`' + (' of each subject' if block.subjects is not None else '')


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _type(
    kind: type, heading: str, described: dict[type, None] | None = None, shared: dict[type, None] | None = None
) -> Iterator[str]:
    """Return a type and the types of its fields that are not `described` yet; `shared` ones are only collected."""
    described = {} if described is None else described
    shared = {} if shared is None else shared
    if kind in described:
        return
    if kind.__module__ == SHARED and heading.startswith('####'):
        shared[kind] = None
        return
    described[kind] = None
    prose, texts = _docstring(kind)
    yield from (heading, '', prose, '', '| field | type | meaning |', '| --- | --- | --- |')
    for name, annotation in _annotations(kind).items():
        yield f'| `{name}` | `{annotation}` | {texts.get(name, "")} |'
    yield ''
    for hint in typing.get_type_hints(kind).values():
        for inner in _records(hint):
            yield from _type(inner, f'#### `{inner.__name__}`', described, shared)


def _records(hint: Any) -> Iterator[type]:
    """Yield the dataclasses and named tuples inside a type."""
    origin = typing.get_origin(hint) or hint
    if isinstance(origin, type) and (dataclasses.is_dataclass(origin) or hasattr(origin, '_fields')):
        yield origin
    for inside in typing.get_args(hint):
        yield from _records(inside)


def _annotations(kind: type) -> dict[str, str]:
    names = [one.name for one in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else kind.__annotations__
    return {name: _shown(kind.__annotations__[name]) for name in names}


def _shown(annotation: Any) -> str:
    text = str(getattr(annotation, '__forward_arg__', annotation)).replace(' | ', ' or ')
    return MODULE.sub('', text)


def _docstring(kind: type) -> tuple[str, dict[str, str]]:
    """Return a docstring's text and its fields' texts (`name: text` or `name, name: text`), else their comments."""
    text = inspect.getdoc(kind) or ''
    fields = '|'.join(_annotations(kind))
    found = re.split(rf'(?:^|; )[ ]*((?:{fields})(?:, (?:{fields}))*): ', text, flags=re.MULTILINE)
    prose = found[0].strip().removesuffix('Attributes:').strip()
    texts = _comments(kind)
    for names, meaning in zip(found[1::2], found[2::2], strict=True):
        texts.update(dict.fromkeys(names.split(', '), ' '.join(meaning.split()).replace('|', '/').rstrip('.')))
    return prose, texts


def _comments(kind: type) -> dict[str, str]:
    """Return the comments above the fields."""
    texts: dict[str, str] = {}
    comment: list[str] = []
    for line in map(str.strip, inspect.getsource(kind).splitlines()):
        if line.startswith('# '):
            comment.append(line[2:])
            continue
        name = line.partition(':')[0]
        if comment and name.isidentifier():
            texts[name] = ' '.join(comment).rstrip('.')
        comment = []
    return texts

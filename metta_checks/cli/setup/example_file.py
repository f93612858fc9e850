"""The configuration file of a source: its example, with the options that were chosen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

import yaml

from ..placeholders import PLACEHOLDER

INSTANCES = 'instances:'
INDENT = '    '
PARAMETER = f'{INDENT}## @param '


def example(source: str) -> str:
    """Return the example of a source, which is generated from the specification of the options."""
    folder = resources.files('datadog_checks.metta_checks') / 'data'
    return (folder / f'{source}.yaml.example').read_text(encoding='utf-8')


def filled(text: str, values: Mapping[str, Any]) -> str:
    """Return an example with the given options of its instance.

    The comments stay. Options that the example sets to a placeholder and that are not given are commented out; options
    without a paragraph in the example come last.
    """
    head, separator, instance = text.partition(f'{INSTANCES}\n')
    paragraphs = instance.split('\n\n')
    shown = {_name(paragraph) for paragraph in paragraphs}
    written = [_paragraph(paragraph, values) for paragraph in paragraphs]
    others = {name: value for name, value in values.items() if name not in shown}
    if others:
        written.append(_yaml(others))
    return f'{head}{separator}' + '\n\n'.join(part.rstrip('\n') for part in written) + '\n'


def _name(paragraph: str) -> str:
    """Return the option that a paragraph is about, empty if it is about none."""
    start = paragraph.find(PARAMETER)
    return paragraph[start:].removeprefix(PARAMETER).split(' ', 1)[0] if start >= 0 else ''


def _paragraph(paragraph: str, values: Mapping[str, Any]) -> str:
    """Return the comments of a paragraph with the given value; without one, the paragraph or its commented form."""
    name = _name(paragraph)
    comments = [line for line in paragraph.splitlines() if line.startswith(f'{INDENT}##') or line == f'{INDENT}#']
    body = paragraph.splitlines()[len(comments) :] if paragraph.startswith(INDENT) else []
    if name in values and name != 'source':
        return '\n'.join([*comments, _yaml({name: values[name]})])
    if any(PLACEHOLDER.search(line) for line in body if not line.startswith(f'{INDENT}#')):
        return '\n'.join([*comments, *_commented(body)])
    return paragraph


def _commented(lines: list[str]) -> Iterator[str]:
    for line in lines:
        yield f'{INDENT}# {line.removeprefix(INDENT)}' if line.strip() else line


def _yaml(values: Mapping[str, Any]) -> str:
    """Return options in YAML, at the depth of an instance."""
    text = yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True, width=1000, default_flow_style=False)
    return '\n'.join(f'{INDENT}{line}' for line in text.splitlines())

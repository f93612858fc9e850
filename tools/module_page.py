"""The page on the modules of the check, docs/modules.md: the summary of each docstring."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

TARGET = Path('docs') / 'modules.md'
PACKAGE = Path('metta_checks')
# Generated from the specification of the options.
LEFT_OUT = 'config_models'
HEAD = """\
# Modules

<!-- Generated from the docstrings in metta_checks; do not edit. -->

The modules of the core and of each source, with the summaries of their docstrings. [Development](development.md)
describes the rules for them.
"""


def page(root: Path, titles: Mapping[str, str]) -> str:
    """Return the page. `titles` names the sources; those without a package of their own are left out."""
    lines = [HEAD]
    for package, title in {'core': 'The core', **titles}.items():
        rows = list(_rows(root / PACKAGE / package))
        if rows:
            lines += [f'## {title}', '', '| module | summary |', '| --- | --- |', *rows, '']
    return '\n'.join(lines).rstrip('\n') + '\n'


def _rows(package: Path) -> Iterator[str]:
    for path in sorted(package.rglob('*.py')):
        name = path.relative_to(package)
        if name.name != '__init__.py' and LEFT_OUT not in name.parts:
            yield f'| `{name.as_posix()}` | {_summary(path)} |'


def _summary(path: Path) -> str:
    """Return the first paragraph of the docstring of a module. Raises ValueError without one."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding='utf-8')))
    if not docstring:
        raise ValueError(f'{path} has no docstring')
    return ' '.join(docstring.split('\n\n')[0].split()).replace('|', '/')

"""Hooks of MkDocs: addresses from pyproject.toml, links out of docs/, catalogs and tables for narrow screens.

MkDocs loads this file by its path, in an environment without the project.
"""

from __future__ import annotations

import html
import posixpath
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools import addresses  # noqa: E402 - found by the path above

# The tests read the second word to run the commands; it is not part of the language.
_FENCE = re.compile(r'^(\s*)```(\w+) \w.*$', re.MULTILINE)
_LINK = re.compile(r'\]\((\.\./[^)#\s]*)(#[^)\s]*)?\)')
_METRICS = re.compile(
    r'^\| name \| type \| unit \| better \| tags \| definition \|\n\|[ |-]+\|\n((?:\|.*\n?)+)', re.MULTILINE
)
_TABLE = re.compile(r'<table>.*?</table>', re.DOTALL)
_HEAD = re.compile(r'<th\b[^>]*>(.*?)</th>', re.DOTALL)
_ROW = re.compile(r'<tr>\s*<td.*?</tr>', re.DOTALL)
_CODE = re.compile(r'<code>[^<]*</code>')
_CELL = re.compile(r'<td\b')
# A table of more columns is shown on a phone as one card for each row.
_NARROW_COLUMNS = 2


def on_config(config: Any) -> Any:
    """Set the addresses of the site and of the repository."""
    known = addresses.load(ROOT)
    config.site_url = known.documentation
    config.site_author = known.author
    config.repo_url = known.repository
    config.repo_name = known.repository.partition('://')[2].partition('/')[2]
    config.edit_uri = 'edit/main/docs/'
    return config


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Return the text of a page with fences, links and anchors as the site needs them."""
    source = page.file.src_uri
    text = _FENCE.sub(r'\1```\2', markdown)
    text = _LINK.sub(lambda link: _to_repository(link, source, config.repo_url), text)
    if source.startswith('metrics/'):
        prefix = f'metta.{posixpath.basename(source).removesuffix(".md")}'
        text = _METRICS.sub(lambda table: _sections(table[1], prefix), text)
    return text


def on_page_content(content: str, **_: Any) -> str:
    """Return the HTML of a page whose tables fit a phone: cells name their columns, and long names can break."""
    return _TABLE.sub(lambda table: _labeled(_CODE.sub(_breakable, table[0])), content)


def _to_repository(link: re.Match[str], source: str, repository: str) -> str:
    """Return a link to a file outside docs/ as one to the repository; other links stay."""
    target = posixpath.normpath(posixpath.join('docs', posixpath.dirname(source), link[1]))
    if target.startswith('docs/') or not (ROOT / target).exists():
        return link[0]
    kind = 'tree' if (ROOT / target).is_dir() else 'blob'
    return f']({repository}/{kind}/main/{target}{link[2] or ""})'


def _sections(rows: str, prefix: str) -> str:
    """Return the rows of a catalog as one section for each metric, which the search finds and a link leads to."""
    return '\n'.join(_section(row, prefix) for row in rows.splitlines())


def _section(row: str, prefix: str) -> str:
    name, kind, unit, better, tags, definition = (cell.strip() for cell in row.strip('|').split(' | ', 5))
    name = name.strip('`')
    anchor = f'{prefix}.{name}'.replace('*', 'any')
    facts = [kind, unit, better and f'{better} is better', tags and f'tags {tags}']
    return (
        f'### `{prefix}.{name}` {{ #{anchor} .metric data-toc-label="{name}" }}\n\n'
        f'{" · ".join(filter(None, facts))}\n{{ .facts }}\n\n{definition}\n'
    )


def _breakable(code: re.Match[str]) -> str:
    """Return a name that may be broken after a dot, an underscore or a colon."""
    return re.sub(r'([._:])(?=\w)', r'\1<wbr>', code[0])


def _labeled(table: str) -> str:
    """Return a wide table in a box for its styles, with the name of the column in each cell."""
    names = [html.escape(re.sub('<[^>]*>', '', name)) for name in _HEAD.findall(table)]
    if len(names) <= _NARROW_COLUMNS:
        return table

    def labeled(row: re.Match[str]) -> str:
        remaining = iter(names)
        return _CELL.sub(lambda cell: f'{cell[0]} data-label="{next(remaining, "")}"', row[0])

    return f'<div class="wide">{_ROW.sub(labeled, table)}</div>'

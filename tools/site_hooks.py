"""Hooks of MkDocs: addresses from pyproject.toml, links out of docs/, anchors of metrics.

MkDocs loads this file by its path, in an environment without the project.
"""

from __future__ import annotations

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
_METRIC_ROW = re.compile(r'^\| `([\w.*]+)` \|', re.MULTILINE)


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
        text = _METRIC_ROW.sub(lambda row: _with_anchor(row[1], prefix), text)
    return text


def _to_repository(link: re.Match[str], source: str, repository: str) -> str:
    """Return a link to a file outside docs/ as one to the repository; other links stay."""
    target = posixpath.normpath(posixpath.join('docs', posixpath.dirname(source), link[1]))
    if target.startswith('docs/') or not (ROOT / target).exists():
        return link[0]
    kind = 'tree' if (ROOT / target).is_dir() else 'blob'
    return f']({repository}/{kind}/main/{target}{link[2] or ""})'


def _with_anchor(name: str, prefix: str) -> str:
    anchor = f'{prefix}.{name}'.replace('*', 'any')
    return f'| [`{name}`](#{anchor}){{ #{anchor} }} |'

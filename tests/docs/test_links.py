"""Every link leads somewhere, and every page can be found."""

from __future__ import annotations

from pathlib import PurePosixPath
from posixpath import normpath

import pytest

from . import pages


def targets(name: str) -> list[tuple[str, str]]:
    """Return the relative links as (path from the root of the project, anchor)."""
    found = []
    for link in pages.links(name):
        if '://' in link or link.startswith('mailto:'):
            continue
        path, _, anchor = link.partition('#')
        found.append((normpath(str(PurePosixPath(name).parent / path)) if path else name, anchor))
    return found


@pytest.mark.parametrize('name', pages.names())
def test_links_resolve(name):
    for path, anchor in targets(name):
        assert (pages.ROOT / path).exists(), f'{name} links to {path}, which is not there'
        assert not path.startswith('..'), f'{name} links out of the project: {path}'
        if anchor:
            assert anchor in pages.anchors(path), f'{name} links to #{anchor} in {path}; it has {pages.anchors(path)}'


def test_every_page_is_reachable_from_the_readme():
    found = {'README.md'}
    waiting = ['README.md']
    while waiting:
        for path, _ in targets(waiting.pop()):
            if path.endswith('.md') and path not in found:
                found.add(path)
                waiting.append(path)
    assert set(pages.names()) - found == set()


def test_the_index_lists_every_page_itself():
    listed = {path for path, _ in targets('docs/README.md')}
    assert {name for name in pages.names() if name.startswith('docs/')} - {'docs/README.md'} - listed == set()


@pytest.mark.parametrize('name', pages.names())
def test_the_prose_is_plain(name):
    for number, line in enumerate((pages.ROOT / name).read_text(encoding='utf-8').splitlines(), 1):
        assert '\u2014' not in line, f'{name}:{number}: an em dash; write two sentences'

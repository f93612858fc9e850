"""The page "What is stored" lists what is declared."""

from __future__ import annotations

import pytest

from metta_checks.check import SOURCES, source_class
from metta_checks.core import blocks
from tools import generate, stored_page

PAGE = stored_page.page(generate.TITLES)


def part(source: str) -> str:
    """The part of a source, without those of the sources behind it."""
    return PAGE.split(f'\n## {generate.TITLES[source]}\n')[1].split('\n## ')[0]


def test_the_page_is_in_step():
    assert (generate.ROOT / stored_page.TARGET).read_text(encoding='utf-8') == PAGE


@pytest.mark.parametrize('source', SOURCES)
def test_every_block_that_remembers_is_listed(source):
    listed = part(source)
    declared = blocks.table(source_class(source))
    # A block may have several parts, of which one remembers something.
    remembering = {one.name for one in declared if hasattr(one.state, '__dataclass_fields__')}
    assert {one.name for one in declared if f'lock `{one.name}`' in listed} == remembering


def test_types_inside_of_states_follow_them():
    listed = part('github')
    assert listed.index('`RunHistory`') < listed.index('#### `RunTable`') < listed.index('#### `Run`')
    assert '| `counted` | `int` | The last attempt that was counted in the count `ci.runs` |' in listed


def test_fields_are_described_from_docstrings_of_either_form():
    assert '| `ooms` | `frozenset[str]` | keys of OOMKilled ends that are still shown |' in part('kubernetes')
    assert '| `read_until` | `datetime` | the last change that was read |' in part('github')


def test_a_key_of_the_document_without_a_text_is_said(monkeypatch):
    monkeypatch.delitem(stored_page.BLOCK, 'failures')
    with pytest.raises(ValueError, match='failures'):
        stored_page.page(generate.TITLES)

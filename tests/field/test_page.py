"""The page of field cases lists every test of tests/field, with the parts of its description."""

from __future__ import annotations

from pathlib import Path

import pytest

from metta_checks.check import SOURCES
from tools import field_page

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parent.parent.parent
CASE = '''\
@case('C', 'https://github.com/acme/tool/issues/7', guard=True)
def test_it():
    """An empty list.

    A list
    is empty.

    Right: The number is absent.

    Unchanged: All other numbers.
    """
'''


def cases(tmp_path, text):
    (tmp_path / 'test_one.py').write_text(text, encoding='utf-8')
    return list(field_page.cases_of(tmp_path))


def test_a_case_is_read_from_its_mark_and_its_docstring(tmp_path):
    [case] = cases(tmp_path, CASE)
    assert case == field_page.Case(
        kind='C',
        link='https://github.com/acme/tool/issues/7',
        guard=True,
        title='An empty list',
        situation='A list is empty.',
        right='The number is absent.',
        unchanged='All other numbers.',
    )


@pytest.mark.parametrize('part', ['@case', '    Right:', '    Unchanged:', '    A list\n    is empty.'])
def test_a_case_without_a_part_is_named(tmp_path, part):
    with pytest.raises(field_page.CaseError, match=r'test_one\.py: test_it'):
        cases(tmp_path, CASE.replace(part, '@mark' if part == '@case' else ''))


def test_cases_of_all_sources_lie_in_folders_of_their_sources():
    folders = {path.name for path in (ROOT / field_page.CASES).iterdir() if path.is_dir() and path.name[0] != '_'}
    assert folders <= set(SOURCES)


def test_titles_are_unique():
    titles = [one.title for source in SOURCES for one in field_page.cases_of(ROOT / field_page.CASES / source)]
    assert len(titles) == len(set(titles))

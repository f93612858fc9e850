from __future__ import annotations

import pytest

from tools import plain_words

MODULE = '''"""What a module is about."""

LIMIT = 3  # so many pages

# A comment that is no good
# and goes on.


def colour():
    """Return `is no` as it is."""
    return 'the answer was read anew from the service'
'''


def phrases(path: str, source: str) -> list[tuple[int, str]]:
    """Return line and phrase of each finding."""
    return [(finding.line, finding.phrase) for finding in plain_words.findings(path, source)]


def test_docstrings_comments_sentences_and_names_are_read():
    assert phrases('one.py', MODULE) == [
        (1, 'What ...'), (3, 'so many'), (5, 'is no'), (9, 'colour'), (11, 'anew'),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ('page', 'found'),
    [
        ('# What it does\n', [(1, 'What ...')]),
        ('# What does it do?\n', []),
        ('# How to install it\n', []),
        ('Text.\n\n- One. Whether\n  it works.\n', [(3, 'Whether ...')]),
        ('| a | Which one |\n', [(1, 'Which ...')]),
        ('```\nfor ever\n```\n`for ever`, forever\n', []),
        ('It lasts for\never.\n', [(1, 'for ever')]),
        ('There is no limit; it is no longer\nread; it is no limit.\n', [(2, 'is no')]),
    ],
)
def test_pages(page, found):
    assert phrases('page.md', page) == found


def test_yaml_is_read_by_value_and_comment():
    source = '# so many\nname: so many\ndescription: >\n  Whether the thing is\n  there at all.\n'
    assert phrases('one.yaml', source) == [(1, 'so many'), (3, 'Whether ...')]


def test_other_files_are_read_line_by_line():
    assert phrases('one.jsonnet', 'a\n  title: "the catalogue"\n') == [(2, 'catalogue')]


def test_each_exception_has_a_reason_and_a_file():
    for (path, _), reason in plain_words.allowed().items():
        assert path in plain_words.project_files()
        assert len(reason.split()) >= 3

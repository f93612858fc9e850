"""Every command in the documentation works, in the order of its page, in a clean copy of the project.

Blocks marked docker, cluster, account or agent need what they are named for; blocks marked slow are run with
METTA_DOCS_SLOW=1.
"""

from __future__ import annotations

import re

import pytest

from . import pages
from .runner import OPT_IN, PageFailed, Reader, compare, parts, scratch

# A separate test follows this page and checks the result.
ELSEWHERE = {'docs/adding-a-source.md'}
LANGUAGES = {'console', 'diff', 'json', 'jsonnet', 'mermaid', 'promql', 'python', 'sql', 'text', 'toml', 'yaml'}


def executed(name: str) -> list[pages.Fence]:
    return [fence for fence in pages.fences(name) if fence.language == 'console' or fence.file]


@pytest.mark.integration
@pytest.mark.parametrize('name', [name for name in pages.names() if executed(name) and name not in ELSEWHERE])
def test_the_page_does_what_it_says(name, tmp_path):
    with Reader(scratch(tmp_path), tmp_path / 'home') as reader:
        for fence in executed(name):
            reader.follow(fence)


@pytest.mark.parametrize('name', pages.names())
def test_no_command_escapes(name):
    for token in pages.tokens(name):
        assert token.type != 'code_block', f'{name}:{token.map}: indented code is not tested: use a fence'
    for fence in pages.fences(name):
        assert fence.language in LANGUAGES, f'{fence.place}: {fence.language!r}; commands go into ```console blocks'
        if fence.language == 'console':
            assert not set(fence.words) - pages.MARKS, f'{fence.place}: unknown mark'
        else:
            assert not re.search(r'^\s*\$ ', fence.text, re.MULTILINE), f'{fence.place}: commands go into ```console'


class TestReader:
    """The reader notices errors of a page."""

    def fence(self, text: str, *words: str) -> pages.Fence:
        return pages.Fence('page.md', 1, 'console', words, text)

    def read(self, tmp_path, *fences: pages.Fence) -> Reader:
        folder = tmp_path / 'copy'
        folder.mkdir(exist_ok=True)
        with Reader(folder, tmp_path / 'home') as reader:
            for fence in fences:
                reader.follow(fence)
        return reader

    def test_a_command_that_fails_is_noticed_wherever_it_stands(self, tmp_path):
        with pytest.raises(PageFailed, match='ended with 1'):
            self.read(tmp_path, self.fence('false\ntrue\n'))

    def test_a_command_that_should_fail_and_does_not_is_noticed(self, tmp_path):
        self.read(tmp_path, self.fence('false\n', 'fails'))
        with pytest.raises(PageFailed, match='ended with 0'):
            self.read(tmp_path, self.fence('true\n', 'fails'))

    def test_an_unknown_mark_is_noticed(self, tmp_path):
        with pytest.raises(PageFailed, match='unknown mark'):
            self.read(tmp_path, self.fence('true\n', 'sometimes'))

    def test_folder_and_environment_go_on(self, tmp_path):
        self.read(
            tmp_path,
            self.fence('mkdir deep\ncd deep\nexport WHERE=here\n'),
            self.fence('test "$(basename "$PWD") $WHERE" = "deep here"\n'),
        )

    def test_marked_blocks_wait_for_what_they_need(self, tmp_path, monkeypatch):
        monkeypatch.delenv(OPT_IN, raising=False)
        assert self.read(tmp_path, *(self.fence('false\n', mark) for mark in pages.EXCUSES)).ran == []
        monkeypatch.setenv(OPT_IN, '1')
        assert self.read(tmp_path, *(self.fence('true\n', mark) for mark in pages.EXCUSES)).ran == ['true']

    def test_shown_output_is_compared(self, tmp_path):
        self.read(tmp_path, self.fence('$ printf "one  2\\nthree\\n"\none <number>\n...\nthree\n'))
        with pytest.raises(PageFailed, match='the page shows'):
            self.read(tmp_path, self.fence('$ echo two\none\n'))
        with pytest.raises(PageFailed, match='the page shows'):
            compare(self.fence(''), ['three', 'one'], 'one\nthree\n')

    def test_what_serves_is_stopped_at_the_end(self, tmp_path):
        reader = self.read(tmp_path, self.fence('python -m sandbox skypilot\n'))
        assert [process.poll() is not None for process in reader._serving] == [True]

    def test_prompts_tell_commands_from_output(self):
        assert parts(self.fence('$ one \\\n  more\nout\n$ two\n')) == ('one \\\n  more\ntwo', ['out'])
        assert parts(self.fence('one\ntwo\n')) == ('one\ntwo', [])

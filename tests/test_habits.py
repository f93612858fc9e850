"""Files that contributors and their tools rely on: present, valid, and in step with the project."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from datadog_checks.metta_checks import __version__

from .docs import pages

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parent.parent
FRAGMENT = re.compile(r'(\d+|\+[a-z0-9]+(-[a-z0-9]+)*)\.(added|changed|fixed|removed|security)\.md')


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding='utf-8')


def pyproject() -> dict[str, Any]:
    return tomllib.loads(read('pyproject.toml'))


def tracked() -> list[str]:
    """Return the files of the project, tracked or about to be, without symbolic links."""
    command = ['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard']
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    names = listed.rstrip('\0').split('\0')
    return [name for name in names if (ROOT / name).is_file() and not (ROOT / name).is_symlink()]


class TestChangelog:
    """Fragments in changelog.d, and the sections that towncrier makes of them."""

    @pytest.fixture
    def project(self, tmp_path: Path) -> Path:
        """A copy of the changelog and its settings, without fragments."""
        (tmp_path / 'changelog.d').mkdir()
        for name in ('pyproject.toml', 'CHANGELOG.md', 'changelog.d/template.md.jinja'):
            shutil.copy(ROOT / name, tmp_path / name)
        return tmp_path

    def build(self, project: Path, *options: str) -> str:
        command = [sys.executable, '-m', 'towncrier', 'build', '--date', '2027-01-31', *options]
        done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def test_names_of_fragments(self):
        names = {path.name for path in (ROOT / 'changelog.d').iterdir()} - {'template.md.jinja'}
        assert {name for name in names if not FRAGMENT.fullmatch(name)} == set()

    def test_the_kinds_are_those_that_towncrier_knows(self):
        kinds = [kind['directory'] for kind in pyproject()['tool']['towncrier']['type']]
        assert all(FRAGMENT.fullmatch(f'1.{kind}.md') for kind in kinds)
        assert len(kinds) == 5

    @pytest.mark.parametrize(
        'name', ['added.md', '12.md', '12.feature.md', '12.added.txt', '+Big.added.md', '+.fixed.md']
    )
    def test_other_names_are_refused(self, name):
        assert not FRAGMENT.fullmatch(name)

    def test_fragments_are_plain_sentences(self):
        for path in (ROOT / 'changelog.d').glob('*.md'):
            text = path.read_text(encoding='utf-8')
            # The template adds the bullet.
            assert re.fullmatch(r'[^\s*#-].*\.\n', text, re.DOTALL), path.name

    def test_a_release_moves_the_fragments_into_a_section(self, project):
        before = (project / 'CHANGELOG.md').read_text(encoding='utf-8')
        for name, text in {
            '7.fixed.md': 'The second thing,\non two lines.\n',
            '+first.added.md': 'The first thing.\n',
            '8.security.md': 'The third thing.\n',
        }.items():
            (project / 'changelog.d' / name).write_text(text, encoding='utf-8')
        self.build(project, '--version', '9.9.9', '--yes')
        link = '([#{0}](https://github.com/example-org/metta-checks/pull/{0}))'
        section = (
            '## 9.9.9 / 2027-01-31\n\n'
            '***Added***:\n\n* The first thing.\n\n'
            f'***Fixed***:\n\n* The second thing,\n  on two lines. {link.format(7)}\n\n'
            f'***Security***:\n\n* The third thing. {link.format(8)}\n\n'
        )
        assert (project / 'CHANGELOG.md').read_text(encoding='utf-8') == before.replace('## ', f'{section}## ', 1)
        assert [path.name for path in (project / 'changelog.d').iterdir()] == ['template.md.jinja']

    def test_a_draft_without_fragments(self, project):
        before = (project / 'CHANGELOG.md').read_bytes()
        assert '## unreleased / 2027-01-31' in self.build(project, '--draft', '--version', 'unreleased')
        assert (project / 'CHANGELOG.md').read_bytes() == before

    def test_the_newest_section_is_the_version_of_the_package(self):
        start = pyproject()['tool']['towncrier']['start_string']
        _, sections = read('CHANGELOG.md').split(start)
        versions = re.findall(r'^## (\S+) / \d{4}-\d{2}-\d{2}$', sections, re.MULTILINE)
        assert versions[0] == __version__


class TestSecurityPolicy:
    """SECURITY.md; tests/docs follows its links."""

    def test_the_documentation_tests_cover_the_page(self):
        assert 'SECURITY.md' in pages.names()

    def test_the_current_minor_version_gets_fixes(self):
        supported = [row['version'] for row in pages.table('SECURITY.md', 'Supported versions')]
        assert supported == ['.'.join(__version__.split('.')[:2])]

    def test_reports_reach_the_maintainers(self):
        authors = pyproject()['project']['authors']
        assert [author['email'] for author in authors] == re.findall(r'by mail to (\S+)\.\n', read('SECURITY.md'))

    def test_one_time_to_answer_is_promised(self):
        promises = [
            re.findall(r'within (\w+) working days', read(name)) for name in ('SECURITY.md', 'docs/security.md')
        ]
        assert promises[0] == promises[1] != []


class TestOwners:
    """The file CODEOWNERS."""

    def lines(self) -> list[list[str]]:
        text = read('.github/CODEOWNERS')
        return [line.split() for line in text.splitlines() if line and not line.startswith('#')]

    def test_every_file_has_owners(self):
        # The last match wins, so the pattern for all files stands first.
        assert [pattern for pattern, *_ in self.lines()].index('*') == 0
        for _, *owners in self.lines():
            assert owners
            assert all(re.fullmatch(r'@example-org/[a-z-]+', owner) for owner in owners)

    def test_every_path_exists(self):
        files = tracked()
        for pattern, *_ in self.lines()[1:]:
            path = pattern.removeprefix('/')
            assert path != pattern, f'{pattern} is not anchored at the root'
            assert any(name.startswith(path) if path.endswith('/') else name == path for name in files), pattern


class TestEditor:
    """The file .editorconfig."""

    @pytest.fixture(scope='class')
    def sections(self) -> configparser.ConfigParser:
        parser = configparser.ConfigParser()
        parser.read_string('[top]\n' + read('.editorconfig'))
        return parser

    def test_python_is_as_ruff_formats_it(self, sections):
        ruff = pyproject()['tool']['ruff']
        assert sections.getint('*.py', 'max_line_length') == ruff['line-length']
        assert sections.getint('*.py', 'indent_size') == ruff.get('indent-width', 4)

    def test_all_files(self, sections):
        assert sections.getboolean('top', 'root')
        assert dict(sections['*']) == {
            'charset': 'utf-8',
            'end_of_line': 'lf',
            'insert_final_newline': 'true',
            'trim_trailing_whitespace': 'true',
            'indent_style': 'space',
            'indent_size': '2',
        }

    def test_recipes_of_make_begin_with_a_tab(self, sections):
        assert sections.get('Makefile', 'indent_style') == 'tab'
        assert re.search(r'^\t', read('Makefile'), re.MULTILINE)
        assert not re.search(r'^ +(?=\S)', read('Makefile'), re.MULTILINE)


class TestCoverage:
    """Settings of coverage in pyproject.toml."""

    def test_a_fall_fails(self):
        settings = pyproject()['tool']['coverage']
        assert settings['run']['source'] == ['metta_checks']
        # A default of 0 would accept everything.
        assert 90 <= settings['report']['fail_under'] < 100
        [recipe] = re.findall(r'^coverage:.*\n\t(.*)$', read('Makefile'), re.MULTILINE)
        # With a value, pytest-cov measures that value and not the source that is set.
        assert recipe.endswith(' --cov')

    def test_only_types_are_left_out(self):
        excluded = pyproject()['tool']['coverage']['report']['exclude_lines']
        lines = {
            line.strip()
            for file in tracked()
            if re.fullmatch(r'metta_checks/.*\.py', file)
            for line in read(file).splitlines()
            if any(re.search(pattern, line) for pattern in excluded)
        }
        assert lines
        assert {
            line for line in lines if not re.fullmatch(r'if TYPE_CHECKING:|class \w+\(Protocol(\[.*\])?\):', line)
        } == set()

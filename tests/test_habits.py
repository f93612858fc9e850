"""Files that contributors and their tools rely on: present, valid, and in step with the project."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from datadog_checks.metta_checks import __version__

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

"""Files that contributors and their tools rely on: present, valid, and in step with the project."""

from __future__ import annotations

import configparser
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

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


def is_text(content: bytes) -> bool:
    """Judge as git does."""
    return b'\0' not in content[:8000]


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


class TestContributing:
    """CONTRIBUTING.md and the pull request template; tests/docs follows links and commands."""

    PAGES = ('CONTRIBUTING.md', '.github/pull_request_template.md')

    def test_the_documentation_tests_cover_the_page(self):
        assert 'CONTRIBUTING.md' in pages.names()

    def test_make_targets_exist(self):
        mention = re.compile(r'`make ([a-z-]+)`|^make ([a-z-]+)$', re.MULTILINE)
        mentioned = {''.join(targets) for name in self.PAGES for targets in mention.findall(read(name))}
        documented = set(re.findall(r'^([a-z-]+):.*## ', read('Makefile'), re.MULTILINE))
        assert mentioned >= {'venv', 'check', 'test', 'generate', 'coverage', 'changelog'}
        assert mentioned - documented == set()

    def test_the_kinds_of_fragments_are_explained(self):
        kinds = [row['kind'] for row in pages.table('CONTRIBUTING.md', 'Changelog')]
        assert kinds == [kind['directory'] for kind in pyproject()['tool']['towncrier']['type']]

    def test_the_required_jobs_are_the_first_of_a_pull_request(self):
        [[pythons, *others]] = re.findall(
            r'`test` \((.*?)\), `(\w+)`\s+and `(\w+)` pass', read('CONTRIBUTING.md'), re.DOTALL
        )
        jobs = yaml.safe_load(read('deploy/workflows/deploy.yml'))['jobs']
        assert re.findall(r'\d\.\d+', pythons) == jobs['test']['strategy']['matrix']['python']
        nightly = "github.event_name == 'schedule'"
        first = {name for name, job in jobs.items() if 'needs' not in job and job['if'] != nightly}
        assert {'test', *others} == first

    @pytest.mark.parametrize('name', PAGES)
    def test_mentioned_files_exist(self, name):
        mentioned = re.findall(r'`((?:docs|tests|constraints|changelog\.d)(?:/[\w./-]+)?)`', read(name))
        assert len(mentioned) >= 2
        assert [path for path in mentioned if not (ROOT / path).exists()] == []


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


# The part of pre-commit's format that the project uses. pre-commit itself only warns of a key that it does not know.
HOOK = {
    'type': 'object',
    'properties': {
        'id': {'type': 'string', 'pattern': '^[a-z-]+$'},
        'name': {'type': 'string'},
        'language': {'enum': ['system', 'pygrep', 'fail']},
        'entry': {'type': 'string'},
        'args': {'type': 'array', 'items': {'const': '--multiline'}},
        'files': {'type': 'string', 'format': 'regex'},
        'exclude': {'type': 'string', 'format': 'regex'},
        'types': {'const': ['text']},
        'pass_filenames': {'type': 'boolean'},
    },
    'required': ['id', 'name', 'language', 'entry'],
    'additionalProperties': False,
}
PRE_COMMIT = {
    'type': 'object',
    'properties': {
        'minimum_pre_commit_version': {'type': 'string'},
        'repos': {
            'type': 'array',
            'minItems': 1,
            'maxItems': 1,
            'items': {
                'type': 'object',
                # Others are cloned from the network.
                'properties': {'repo': {'const': 'local'}, 'hooks': {'type': 'array', 'items': HOOK}},
                'required': ['repo', 'hooks'],
                'additionalProperties': False,
            },
        },
    },
    'required': ['repos'],
    'additionalProperties': False,
}


class TestHooks:
    """The file .pre-commit-config.yaml."""

    @pytest.fixture(scope='class')
    def configuration(self) -> dict[str, Any]:
        return yaml.safe_load(read('.pre-commit-config.yaml'))

    @pytest.fixture(scope='class')
    def hooks(self, configuration) -> dict[str, dict[str, Any]]:
        return {hook['id']: hook for hook in configuration['repos'][0]['hooks']}

    def validate(self, directory: Path, configuration: dict[str, Any]) -> int:
        schema, instance = directory / 'schema.json', directory / 'configuration.json'
        schema.write_text(json.dumps(PRE_COMMIT), encoding='utf-8')
        instance.write_text(json.dumps(configuration), encoding='utf-8')
        command = [sys.executable, '-m', 'check_jsonschema', '--schemafile', str(schema), str(instance)]
        return subprocess.run(command, capture_output=True, check=False).returncode

    def test_the_file_is_valid(self, configuration, hooks, tmp_path):
        assert self.validate(tmp_path, configuration) == 0
        assert len(hooks) == len(configuration['repos'][0]['hooks'])

    @pytest.mark.parametrize('change', [{'pass_filename': False}, {'language': 'python'}, {'files': '('}])
    def test_a_mistake_is_noticed(self, hooks, tmp_path, change):
        wrong = {'repos': [{'repo': 'local', 'hooks': [hooks['mypy'] | change]}]}
        assert self.validate(tmp_path, wrong) == 1

    def test_the_commands_are_those_of_the_development_environment(self, hooks):
        commands = [shlex.split(hook['entry']) for hook in hooks.values() if hook['language'] == 'system']
        assert [command[1:] for command in commands if command[0].endswith('/python')] == [
            ['-m', 'tools.generate', '--check']
        ]
        for program, *_ in commands:
            assert program.startswith('.venv/bin/')
            assert (Path(sys.executable).parent / Path(program).name).exists(), program

    def test_mypy_knows_its_files_without_arguments(self, hooks):
        assert hooks['mypy']['entry'] == '.venv/bin/mypy'
        assert hooks['mypy']['pass_filenames'] is False
        assert 'metta_checks' in pyproject()['tool']['mypy']['files']

    def run(self, hook: dict[str, Any], *files: Path) -> int:
        program, *arguments = shlex.split(hook['entry'])
        command = [str(Path(sys.executable).parent / Path(program).name), *arguments, *map(str, files)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode

    def test_ruff_checks_and_formats_the_files_that_it_is_given(self, hooks, tmp_path):
        file = tmp_path / 'module.py'
        file.write_text('import os\nx=1\n', encoding='utf-8')
        assert self.run(hooks['ruff-check'], file) == 1
        file.write_text('"""A module."""\n\nx=1\n', encoding='utf-8')
        assert self.run(hooks['ruff-check'], file) == 0
        assert self.run(hooks['ruff-format'], file) == 0
        assert file.read_text(encoding='utf-8') == '"""A module."""\n\nx = 1\n'

    @pytest.mark.parametrize(
        ('name', 'wrong', 'right'),
        [
            ('trailing-whitespace', b'one \ntwo\n', b'one\ntwo\n'),
            ('trailing-whitespace', b'one\r\n', b' one\n\n'),
            ('final-newline', b'one\ntwo', b'one\ntwo\n'),
        ],
    )
    def test_whitespace_is_found(self, hooks, name, wrong, right):
        assert self.greps(hooks[name], wrong)
        assert not self.greps(hooks[name], right)
        assert not self.greps(hooks[name], b'')

    def greps(self, hook: dict[str, Any], content: bytes) -> bool:
        """Return True if pre-commit's language pygrep refuses the content."""
        pattern = hook['entry'].encode()
        if '--multiline' in hook.get('args', []):
            return re.search(pattern, content, re.MULTILINE | re.DOTALL) is not None
        return any(re.search(pattern, line) for line in io.BytesIO(content))

    @pytest.mark.parametrize('name', ['trailing-whitespace', 'final-newline'])
    def test_whitespace_is_in_order_everywhere(self, hooks, name):
        hook = hooks[name]
        selected = [file for file in tracked() if not re.search(hook.get('exclude', '^$'), file)]
        contents = {file: (ROOT / file).read_bytes() for file in selected}
        assert [file for file, content in contents.items() if is_text(content) and self.greps(hook, content)] == []

    def test_names_of_fragments_are_judged_alike(self, hooks):
        hook = hooks['changelog-fragment']

        def refused(name: str) -> bool:
            path = f'changelog.d/{name}'
            return bool(re.search(hook['files'], path)) and not re.search(hook['exclude'], path)

        kinds = [kind['directory'] for kind in pyproject()['tool']['towncrier']['type']]
        names = [f'12.{kind}.md' for kind in kinds] + [f'+test-kit.{kind}.md' for kind in kinds]
        names += ['12.feature.md', 'added.md', '+Big.added.md', '+.fixed.md', 'a.txt']
        assert [refused(name) for name in names] == [not FRAGMENT.fullmatch(name) for name in names]
        assert not refused('template.md.jinja')


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
        types = re.compile(r'if TYPE_CHECKING:|class \w+\((.*, )?Protocol(\[.*\])?\):')
        assert {line for line in lines if not types.fullmatch(line)} == set()

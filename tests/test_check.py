"""Selection of the tests that a change concerns, and the time box of `make check`."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import time
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tools import check
from tools.concerned import COMMANDS, PICKERS, READERS, RUNS_OF_EACH_SOURCE, TREE, Concerns
from tools.imports import module_name

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ('first', 'second')


def plant(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding='utf-8')


@pytest.fixture
def tree(tmp_path: Path) -> Concerns:
    """A small project with two sources that are picked by name."""
    files = {
        'metta_checks/__init__.py': '',
        'metta_checks/check.py': 'from .core import run',
        'metta_checks/core.py': '',
        'metta_checks/unused.py': '',
        'tests/__init__.py': '',
        'tests/conftest.py': 'from metta_checks import core',
        'tests/helper.py': 'from metta_checks.check import pick',
        'tests/test_seed_names.py': 'from .helper import drive',
        'tests/test_core.py': 'from metta_checks import core',
        'tests/test_command.py': 'COMMAND = "python -m metta_checks.first.command"',
        'docs/page.md': '',
    }
    for source in SOURCES:
        files |= {
            f'metta_checks/{source}/__init__.py': '',
            f'metta_checks/{source}/check.py': 'from . import measures\nfrom ..core import run',
            f'metta_checks/{source}/measures.py': '',
            f'metta_checks/{source}/command.py': '',
            f'metta_checks/{source}/metrics.yaml': '',
            f'tests/{source}/__init__.py': '',
            f'tests/{source}/test_measures.py': f'from metta_checks.{source} import measures',
            f'tests/{source}/test_run.py': 'from ..helper import drive',
            f'tests/{source}/answer.json': '',
        }
    plant(tmp_path, files)
    return Concerns(tmp_path, list(files), readers=(('docs/*', ('tests/test_core.py',)), ('*.txt', ('tests/first',))))


FIRST = ['tests/first/test_measures.py', 'tests/first/test_run.py']


@pytest.mark.parametrize(
    ('changed', 'concerned'),
    [
        ('metta_checks/first/measures.py', [*FIRST, 'tests/test_seed_names.py']),
        # Named in a text, in no import.
        ('metta_checks/first/command.py', ['tests/test_command.py']),
        # Read by whatever imports the package.
        ('metta_checks/first/metrics.yaml', [FIRST[0], 'tests/test_command.py', FIRST[1], 'tests/test_seed_names.py']),
        ('metta_checks/unused.py', []),
        ('tests/first/test_run.py', ['tests/first/test_run.py']),
        ('tests/first/answer.json', FIRST),
        ('docs/page.md', ['tests/test_core.py']),
        ('notes.txt', FIRST),
        ('somewhere/else.yaml', []),
    ],
)
def test_concerned_by_one_file(tree, changed, concerned):
    assert tree.of([changed]) == concerned


def test_the_core_concerns_all_most_direct_first(tree):
    found = tree.of(['metta_checks/core.py'])
    assert found[:2] == ['tests/test_core.py', 'tests/test_seed_names.py']
    assert set(found[2:]) == {'tests/first/test_run.py', 'tests/second/test_run.py'}


def test_the_shared_conftest_concerns_all_but_what_it_imports_does_not(tree):
    assert set(tree.of(['tests/conftest.py'])) == set(tree.tests)
    assert 'tests/test_command.py' not in tree.of(['metta_checks/core.py'])


def test_folders_take_turns(tree):
    assert tree.of(['tests/__init__.py'])[:3] == [
        'tests/first/test_measures.py',
        'tests/second/test_measures.py',
        'tests/test_command.py',
    ]


def test_a_deleted_module_concerns_those_that_still_import_it(tree):
    (tree.root / 'metta_checks' / 'core.py').unlink()
    (tree.root / 'tests' / 'test_core.py').write_text('from metta_checks.core import run', encoding='utf-8')
    assert 'tests/test_core.py' in tree.of(['metta_checks/core.py'])


# The rules, in this project.


@pytest.fixture(scope='module')
def project() -> Concerns:
    return Concerns(ROOT, check.all_files())


def test_readers_exist(project):
    for pattern, readers in READERS:
        for reader in readers:
            assert any(test == reader or test.startswith(f'{reader}/') for test in project.tests), (pattern, reader)


def test_patterns_of_readers_fit_files(project):
    assert [pattern for pattern, _ in READERS if not any(fnmatchcase(name, pattern) for name in project.files)] == []


def picks_by_name(path: Path) -> bool:
    """Return True if a module imports others by computed names."""
    calls = (node for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))) if isinstance(node, ast.Call))
    return any(
        ast.unparse(call.func).endswith('import_module') and not isinstance(call.args[0], ast.Constant)
        for call in calls
    )


def test_all_modules_that_pick_by_name_are_known():
    paths = (path for package in TREE if package != 'tests' for path in (ROOT / package).rglob('*.py'))
    assert {module_name(ROOT, path) for path in paths if picks_by_name(path)} == PICKERS.keys() | COMMANDS.keys()


def test_a_command_concerns_the_tests_of_the_command_line(project):
    found = project.of(['metta_checks/cli/commands/doctor.py'])
    assert 'tests/cli/test_commands.py' in found
    assert 'tests/cli/test_help.py' in found


def test_whole_runs_come_early(project):
    found = project.of(['metta_checks/core/refresh.py'])
    first_run = min(map(found.index, RUNS_OF_EACH_SOURCE))
    before = {test for test in found[:first_run] if test.startswith('tests/core/')}
    assert before == {test for test in found if test.startswith('tests/core/')}
    assert first_run < len(found) / 4


def test_a_source_concerns_no_other(project):
    found = project.of(['metta_checks/wandb/measures.py'])
    assert not [test for test in found if test.startswith(('tests/github/', 'tests/ec2/', 'tests/kubernetes/'))]
    assert {'tests/wandb/test_check.py', 'tests/wandb/test_measures.py'} <= set(found)


# The change.


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Three commits, the second of which adds `second.py`, and so on."""
    git(tmp_path, 'init', '--quiet', '--initial-branch=main')
    for name in ('first.py', 'second.py', 'third.py'):
        commit(tmp_path, name)
    return tmp_path


def git(root: Path, *arguments: str) -> None:
    subprocess.run(['git', '-c', 'user.name=t', '-c', 'user.email=t@t.example', *arguments], cwd=root, check=True)


def commit(root: Path, name: str) -> None:
    (root / name).write_text('', encoding='utf-8')
    git(root, 'add', name)
    git(root, 'commit', '--quiet', '--message', name)


def changed(root: Path) -> list[str]:
    return check.changed_files(check.default_base(root), root)


def test_without_upstream_the_last_commit_is_the_change(repository):
    assert changed(repository) == ['third.py']


def test_uncommitted_untracked_and_deleted_files_are_part_of_it(repository):
    (repository / 'first.py').write_text('changed', encoding='utf-8')
    (repository / 'second.py').unlink()
    (repository / 'new name.py').write_text('', encoding='utf-8')
    (repository / '.gitignore').write_text('ignored', encoding='utf-8')
    (repository / 'ignored').write_text('', encoding='utf-8')
    assert changed(repository) == ['.gitignore', 'first.py', 'new name.py', 'second.py', 'third.py']


def test_with_an_upstream_all_commits_beside_it_are(repository):
    git(repository, 'checkout', '--quiet', '--track', '-b', 'topic', 'main')
    assert changed(repository) == []
    commit(repository, 'fourth.py')
    commit(repository, 'fifth.py')
    git(repository, 'checkout', '--quiet', 'main')
    commit(repository, 'elsewhere.py')
    git(repository, 'checkout', '--quiet', 'topic')
    assert changed(repository) == ['fifth.py', 'fourth.py']


def test_a_first_commit_is_a_change(tmp_path):
    git(tmp_path, 'init', '--quiet')
    commit(tmp_path, 'first.py')
    assert changed(tmp_path) == ['first.py']


def test_an_unknown_base_is_one_line(capsys):
    assert check.main(['--base', 'nowhere']) == 2
    assert capsys.readouterr().err == "git does not know 'nowhere'\n"


# The steps.


def test_a_step_ends_with_the_first_command_that_fails():
    step = check.run('lint', [('this',), ('no_such_module',), ('this',)])
    assert not step.passed
    assert step.output.count('The Zen of Python') == 1
    assert 'No module named no_such_module' in step.output
    assert str(step).startswith('lint ')
    assert str(step).endswith(' s  FAILED')


def test_nothing_else_runs_after_findings_of_the_linters(capsys):
    assert not check.check([('no_such_module',)], ('this',))
    assert 'types' not in capsys.readouterr().out


# The time box.

TESTS = """
import pytest

@pytest.mark.slow
def test_slow(): assert False

@pytest.mark.parametrize('number', range(3))
def test_quick(number): pass
"""


@pytest.mark.parametrize(
    ('workers', 'seconds', 'passed', 'left'),
    [('2', 60, '3 passed', '1 tests (1 of some)'), ('0', -60, 'no tests ran', '4 tests (4 of some)')],
)
def test_what_is_not_started_is_counted(tmp_path, workers, seconds, passed, left):
    plant(tmp_path, {'pytest.ini': '[pytest]\nmarkers = slow\n', 'some/test_some.py': TESTS})
    command = [*check.pytest_some([str(tmp_path)], time.time() + seconds), '-n', workers, '-p', 'xdist.plugin']
    done = subprocess.run(
        [sys.executable, '-m', *command],
        cwd=ROOT,
        env={**os.environ, 'PYTEST_DISABLE_PLUGIN_AUTOLOAD': '1'},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert passed in done.stdout
    assert f'left to `make test`: {left}' in done.stdout

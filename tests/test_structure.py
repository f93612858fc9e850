"""The rules of the house that a tool can prove."""

from __future__ import annotations

import ast
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

from metta_checks.check import SOURCES

ROOT = Path(__file__).resolve().parent.parent
MAX_LINES = 500
# Rooms that serve people and tests, not the check.
OUTSIDE = ('metta_checks.verify', 'metta_checks.cli', 'metta_checks.as_code', 'sandbox', 'tests', 'tools', 'benchmarks')
# What the Agent does not bundle.
FOREIGN = {'github', 'wandb', 'sky', 'asana', 'typer', 'rich', 'datadog_api_client', 'moto', 'graphql', 'werkzeug'}


def tracked(pattern: str) -> list[Path]:
    command = ['git', 'ls-files', '--cached', '--others', '--exclude-standard', pattern]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.splitlines() if (ROOT / name).is_file() and not (ROOT / name).is_symlink()]


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def imports(path: Path) -> set[str]:
    """Modules that a file imports, absolute, also those inside functions."""
    package = module_name(path).split('.')
    if path.name != '__init__.py':
        package = package[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = '.'.join([*base, *([node.module] if node.module else [])])
            found |= {origin, *(f'{origin}.{alias.name}' for alias in node.names)}
    return found


@cache
def graph() -> dict[str, set[str]]:
    modules = {module_name(path): path for path in tracked('metta_checks/*.py')}
    # `from package import module` names the package, too, whose own imports are no part of the question.
    packages = {name for name, path in modules.items() if path.name == '__init__.py'}
    return {name: imports(path) & (modules.keys() - packages) - {name} for name, path in modules.items()}


def test_no_import_circle():
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, ' -> '.join((*trail[trail.index(name) :], name))
        if name not in done:
            for other in graph()[name]:
                visit(other, (*trail, name))
            done.add(name)

    for name in graph():
        visit(name, ())


@pytest.mark.parametrize('source', SOURCES)
def test_sources_keep_to_themselves(source):
    others = tuple(f'metta_checks.{other}' for other in SOURCES if other != source)
    for path in tracked(f'metta_checks/{source}/*.py'):
        for name in imports(path):
            assert not name.startswith((*others, *OUTSIDE)), f'{path.name} imports {name}'
            assert name.split('.')[0] not in FOREIGN, f'{path.name} imports {name}'


def test_the_core_knows_no_source_and_nothing_outside():
    for path in tracked('metta_checks/*.py'):
        if path.parent.name == 'metta_checks' and path.name != 'check.py':
            text = path.read_text(encoding='utf-8')
            for name in imports(path):
                assert not name.startswith(OUTSIDE), f'{path.name} imports {name}'
                assert name.split('.')[0] not in FOREIGN, f'{path.name} imports {name}'
            code = re.sub(r'("""[\s\S]*?"""|#.*)', '', text)
            assert not re.search(rf"'({'|'.join(SOURCES)})'", code), path.name


def test_verify_shares_no_code_with_the_sources():
    for path in tracked('metta_checks/verify/*.py'):
        shared = [name for name in imports(path) if re.match(rf'metta_checks\.({"|".join(SOURCES)})(\.|$)', name)]
        assert not shared, f'{path.name} imports {shared}'


def test_the_sandbox_shares_no_code_with_the_check():
    for path in tracked('sandbox/*/*.py'):
        shared = [name for name in imports(path) if name.startswith('metta_checks')]
        assert not shared, f'{path} imports {shared}'


def test_files_are_of_readable_length():
    long = {
        str(path.relative_to(ROOT)): lines
        for path in tracked('*.py')
        if (lines := path.read_text().count('\n')) > MAX_LINES
    }
    assert long == {}


def test_no_path_of_a_machine():
    for path in tracked('*'):
        if path.suffix in ('.py', '.md', '.yaml', '.toml', '.json', '.sh', '.example', '.txt', ''):
            found = re.search(
                r'(?<![\w.])/(root|home/\w+|Users/\w+)/', path.read_text(encoding='utf-8', errors='ignore')
            )
            assert not found or path == Path(__file__), f'{path}: {found}'

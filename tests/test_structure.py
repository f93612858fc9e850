"""Rules for the text of the files. Rules for their imports: test_imports.py."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from metta_checks.check import SOURCES

ROOT = Path(__file__).resolve().parent.parent


def tracked(pattern: str) -> list[Path]:
    command = ['git', 'ls-files', '--cached', '--others', '--exclude-standard', pattern]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.splitlines() if (ROOT / name).is_file() and not (ROOT / name).is_symlink()]


def test_the_core_names_no_source():
    for path in tracked('metta_checks/core/*.py'):
        if path.parent.name == 'core':
            code = re.sub(r'("""[\s\S]*?"""|#.*)', '', path.read_text(encoding='utf-8'))
            assert not re.search(rf"'({'|'.join(SOURCES)})'", code), path.name


def test_no_path_of_a_machine():
    for path in tracked('*'):
        if path.suffix in ('.py', '.md', '.yaml', '.toml', '.json', '.sh', '.example', '.txt', ''):
            found = re.search(
                r'(?<![\w.])/(root|home/\w+|Users/\w+)/', path.read_text(encoding='utf-8', errors='ignore')
            )
            assert not found or path == Path(__file__), f'{path}: {found}'

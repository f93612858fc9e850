"""Calls that the code must not make with data from services."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGE = ROOT / 'metta_checks'
FILES = sorted(path for path in PACKAGE.rglob('*.py') if 'config_models' not in path.parts)
MODULES = {
    'pickle',
    'cPickle',
    'dill',
    'marshal',
    'shelve',
    'xml',
    'lxml',
    'telnetlib',
    'ftplib',
    'tarfile',
    'jsonpickle',
}
CALLS = {
    'eval',
    'exec',
    'compile',
    '__import__',
    'os.system',
    'os.popen',
    'yaml.load',
    'yaml.unsafe_load',
    'yaml.full_load',
    'yaml.load_all',
    'tempfile.mktemp',
    'ssl._create_unverified_context',
    'hashlib.md5',
    'hashlib.sha1',
}
SHELLS = {'run', 'Popen', 'call', 'check_call', 'check_output', 'getoutput', 'getstatusoutput'}


def name_of(node: ast.expr) -> str:
    """`a.b.c` of a chain of attributes."""
    if isinstance(node, ast.Attribute):
        return f'{name_of(node.value)}.{node.attr}'
    return node.id if isinstance(node, ast.Name) else '?'


def imported(node: ast.Import | ast.ImportFrom) -> list[str]:
    """Return the names that an import takes from other packages."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if node.level:
        return []
    return [node.module or '', *(f'{node.module}.{alias.name}' for alias in node.names)]


def _is_no_protection(call: ast.Call) -> bool:
    """Return True for a hash that protects nothing, such as one that a service makes names with."""
    return any(
        word.arg == 'usedforsecurity' and isinstance(word.value, ast.Constant) and word.value.value is False
        for word in call.keywords
    )


def offences(source: str) -> list[str]:
    """Return the forbidden calls of a file, with their lines."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            found += [
                f'{node.lineno}: imports {one}'
                for one in imported(node)
                if one.partition('.')[0] in MODULES or one in CALLS
            ]
        if isinstance(node, ast.Call):
            called = name_of(node.func)
            if called in CALLS and not _is_no_protection(node):
                found.append(f'{node.lineno}: calls {called}')
            if called.partition('.')[0] == 'subprocess' and called.rpartition('.')[2] in SHELLS:
                shell = [word for word in node.keywords if word.arg == 'shell']
                if called.rpartition('.')[2].startswith('get') or shell or isinstance(node.args[0], ast.Constant):
                    found.append(f'{node.lineno}: {called} through a shell')
            for word in node.keywords:
                if word.arg == 'verify' and isinstance(word.value, ast.Constant) and word.value.value is False:
                    found.append(f'{node.lineno}: verify=False')
    return found


@pytest.mark.parametrize('path', FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_does_nothing_of_it(path):
    assert offences(path.read_text(encoding='utf-8')) == []


@pytest.mark.parametrize(
    'source',
    [
        'import pickle',
        'from xml.etree import ElementTree',
        'eval(text)',
        'import yaml\nyaml.load(text)',
        'import os\nos.system(text)',
        'import subprocess\nsubprocess.run(text, shell=True)',
        "import subprocess\nsubprocess.run('ls -l')",
        'from os import system',
        'http.get(url, verify=False)',
    ],
)
def test_the_rules_find_what_they_should(source):
    assert offences(source)


@pytest.mark.parametrize('source', ['yaml.safe_load(text)', 'ast.literal_eval(text)', "subprocess.run(['ls', '-l'])"])
def test_the_rules_let_pass_what_is_harmless(source):
    assert offences(source) == []

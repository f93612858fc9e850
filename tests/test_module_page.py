"""The page on the modules lists each module with the summary of its docstring."""

from __future__ import annotations

import pytest

from tools import module_page

pytestmark = pytest.mark.unit


def test_modules_of_the_core_and_of_sources(tmp_path):
    for name, text in {
        'core/clock.py': '"""Time.\n\nMore."""',
        'github/__init__.py': '',
        'github/measures/ci.py': '"""Figures of runs | jobs,\nby workflow."""',
        'github/config_models/instance.py': '',
        'asana/__init__.py': '',
    }.items():
        path = tmp_path / 'metta_checks' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding='utf-8')
    page = module_page.page(tmp_path, {'collector': 'Self-metrics', 'asana': 'Asana', 'github': 'GitHub'})
    assert page.removeprefix(module_page.HEAD).split('\n') == [
        '', '## The core', '', '| module | summary |', '| --- | --- |', '| `clock.py` | Time. |', '',
        '## GitHub', '', '| module | summary |', '| --- | --- |',
        '| `measures/ci.py` | Figures of runs / jobs, by workflow. |', '',
    ]  # fmt: skip


def test_a_module_without_a_docstring_is_named(tmp_path):
    (tmp_path / 'metta_checks' / 'core').mkdir(parents=True)
    (tmp_path / 'metta_checks' / 'core' / 'clock.py').write_text('', encoding='utf-8')
    with pytest.raises(ValueError, match=r'clock\.py has no docstring'):
        module_page.page(tmp_path, {})

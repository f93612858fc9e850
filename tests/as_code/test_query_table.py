"""The table of queries in docs/dashboards.md: complete, and right about what is drawn."""

from __future__ import annotations

import fnmatch
import re
from pathlib import Path

from metta_checks.as_code.lint.queries import FUNCTIONS
from metta_checks.as_code.preview.evaluate import Evaluator

from .test_evaluate import OPEN, recorded, request

PAGE = Path(__file__).parents[2] / 'docs' / 'dashboards.md'
TABLE = [
    [cell.strip() for cell in line.strip('|').split('|')]
    for line in PAGE.read_text(encoding='utf-8').split('### Queries in the preview')[1].split('\n## ')[0].splitlines()
    if line.startswith('| ') and 'docs.datadoghq.com' in line
]
# Arguments after the first one, of which each function takes one.
ARGUMENTS = ('', ', 60', ", 2, 'mean', 'desc'", ', {repo}')
# Datadog's pages of functions (https://docs.datadoghq.com/dashboards/functions/).
PAGES = (
    *('algorithms', 'arithmetic', 'count', 'exclusion', 'interpolation', 'rank', 'rate', 'regression', 'rollup'),
    *('smoothing', 'timeshift', 'beta'),
)


def functions_of(cell: str) -> set[str]:
    """Functions that a row names, with those of its patterns."""
    patterns = re.findall(r'`(\w+\*?)`', cell)
    ranked = {name for name in FUNCTIONS if re.fullmatch(r'(top|bottom)\d+(_\w+)?', name)} if '`top`' in cell else set()
    return ranked | {name for name in FUNCTIONS for pattern in patterns if fnmatch.fnmatchcase(name, pattern)}


def test_the_table_has_every_function_and_says_whether_it_is_drawn():
    evaluator = Evaluator(recorded(a=(1, 2, 3)))
    rows = [(functions_of(cells[0]), cells[-1]) for cells in TABLE]
    named = [name for names, _ in rows for name in names]
    assert sorted(set(named)) == sorted(FUNCTIONS)
    assert len(named) == len(set(named))
    for names, said in rows:
        for name in names:
            forms = (request(f'sum:{OPEN}{{*}} by {{repo}}', formulas=[f'{name}(q1{rest})']) for rest in ARGUMENTS)
            results = [evaluator.request('timeseries', form).problem for form in forms]
            missing = f'not drawn here: {name}()'
            assert any(one.startswith(missing) for one in results) == (said == 'not drawn'), (name, results)


def test_the_table_has_every_page_of_functions():
    described = ' '.join(cells[1] for cells in TABLE)
    assert [page for page in PAGES if f'/dashboards/functions/{page}/' not in described] == []


def test_every_row_is_drawn_by_a_test_or_not_drawn():
    assert [cells[0] for cells in TABLE if cells[-1] != 'not drawn' and not re.search(r'`test_\w+`', cells[-1])] == []


def test_the_table_names_tests_that_exist():
    here = Path(__file__).parent
    known = ''.join((here / f'test_{name}.py').read_text() for name in ('evaluate', 'status', 'alerts'))
    for *_, said in TABLE:
        for name in re.findall(r'`(test_\w+)`', said):
            assert f'def {name}(' in known, name

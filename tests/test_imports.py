"""The import graph of the repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from metta_checks.check import SOURCES
from tools.imports import ImportGraph, inside

ROOT = Path(__file__).resolve().parent.parent
TREE = ('metta_checks', 'datadog_checks', 'sandbox', 'tools', 'chaos', 'fuzz', 'benchmarks')
SOURCE_PACKAGES = tuple(f'metta_checks.{source}' for source in SOURCES)
# Parts of metta_checks that serve people and tests: the check runs without them.
BESIDE_THE_CHECK = ('metta_checks.cli', 'metta_checks.verify', 'metta_checks.as_code', 'metta_checks.testing')
NOT_IN_THE_WHEEL = ('sandbox', 'tests', 'tools', 'chaos', 'fuzz', 'benchmarks')
# Libraries that the Agent does not bundle.
NOT_IN_THE_AGENT = (
    'asana', 'datadog_api_client', 'github', 'graphql', 'moto', 'rich', 'sky', 'typer', 'wandb', 'werkzeug',
)  # fmt: skip
# They drive the check, as a user does.
SANDBOX_USERS_OF_THE_CHECK = ('sandbox.demo', 'sandbox.week')


@pytest.fixture(scope='module')
def graph() -> ImportGraph:
    return ImportGraph.of(ROOT, TREE)


@pytest.fixture(scope='module')
def check_modules(graph: ImportGraph) -> list[str]:
    """Modules that run in the Agent."""
    shipped = graph.within('metta_checks', 'datadog_checks')
    return [name for name in shipped if not inside(name, BESIDE_THE_CHECK)]


def test_all_of_the_tree_is_read(graph, check_modules):
    assert {name.partition('.')[0] for name in graph.imports} == set(TREE)
    assert {'metta_checks.check', 'metta_checks.github.check', 'datadog_checks.metta_checks'} <= set(check_modules)
    assert 'metta_checks.cli.main' in graph.imports
    assert 'metta_checks.cli.main' not in check_modules


def test_no_import_circle(graph):
    assert graph.circle() == []


@pytest.mark.parametrize('source', SOURCES)
def test_sources_do_not_import_each_other(graph, source):
    own = f'metta_checks.{source}'
    others = [package for package in SOURCE_PACKAGES if package != own]
    assert graph.crossings(graph.within(own), others) == []


def test_the_core_imports_no_source(graph, check_modules):
    core = [name for name in check_modules if not inside(name, SOURCE_PACKAGES)]
    assert graph.crossings(core, SOURCE_PACKAGES) == []


def test_the_check_imports_nothing_beside_it(graph, check_modules):
    assert graph.crossings(check_modules, BESIDE_THE_CHECK) == []


def test_the_check_imports_only_what_the_agent_bundles(graph, check_modules):
    assert graph.crossings(check_modules, NOT_IN_THE_AGENT) == []


def test_the_wheel_imports_nothing_that_it_does_not_contain(graph):
    assert graph.crossings(graph.within('metta_checks', 'datadog_checks'), NOT_IN_THE_WHEEL) == []


def test_verify_shares_no_code_with_the_sources(graph):
    assert graph.crossings(graph.within('metta_checks.verify'), SOURCE_PACKAGES) == []


def test_the_sandbox_shares_no_code_with_the_check(graph):
    services = [name for name in graph.within('sandbox') if name not in SANDBOX_USERS_OF_THE_CHECK]
    shared = graph.crossings(services, ('metta_checks', 'datadog_checks'))
    # The test kit is not the check: services have its clock.
    assert [arrow for arrow in shared if not arrow.endswith('-> metta_checks.testing')] == []


# The graph itself, on small trees.


def plant(root: Path, files: dict[str, str]) -> ImportGraph:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return ImportGraph.of(root, ['planted'])


@pytest.mark.parametrize(
    'back',
    [
        'from planted.first import name',
        'import planted.first',
        'from . import first',
        'from .first import name',
        'def later():\n    from . import first',
        'from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .first import Name',
    ],
)
def test_a_planted_circle_is_found(tmp_path, back):
    planted = plant(
        tmp_path,
        {
            'planted/__init__.py': '',
            'planted/first.py': 'from .second import value',
            'planted/second.py': 'import planted.third',
            'planted/third.py': back,
        },
    )
    assert planted.circle() == ['planted.first', 'planted.second', 'planted.third', 'planted.first']


def test_a_circle_through_a_package_is_found(tmp_path):
    planted = plant(
        tmp_path,
        {
            'planted/__init__.py': '',
            'planted/one/__init__.py': 'from ..two.deep import value',
            'planted/one/deep.py': '',
            'planted/two/__init__.py': '',
            # Runs planted/one/__init__.py first.
            'planted/two/deep.py': 'from ..one.deep import other',
        },
    )
    assert planted.circle() == ['planted.one', 'planted.two.deep', 'planted.one']


def test_a_package_that_imports_its_own_modules_is_not_a_circle(tmp_path):
    planted = plant(
        tmp_path,
        {
            'planted/__init__.py': 'from .first import value',
            'planted/first.py': 'from . import second\nfrom .second import value',
            'planted/second.py': '',
        },
    )
    assert planted.circle() == []
    assert list(planted.arrows('planted')) == ['planted.first']
    assert list(planted.arrows('planted.first')) == ['planted.second']


def test_a_name_that_is_not_a_module_is_of_its_package(tmp_path):
    planted = plant(
        tmp_path,
        {'planted/__init__.py': 'from .first import value', 'planted/first.py': 'from . import value'},
    )
    assert planted.circle() == ['planted', 'planted.first', 'planted']


def test_crossings_name_both_sides(tmp_path):
    planted = plant(
        tmp_path,
        {
            'planted/__init__.py': '',
            'planted/one/__init__.py': '',
            'planted/one/deep.py': 'def later():\n    import planted.two.deep',
            'planted/two/__init__.py': '',
            'planted/two/deep.py': 'import onebyone',
            'planted/one_more.py': '',
        },
    )
    assert planted.within('planted.one') == ['planted.one', 'planted.one.deep']
    assert planted.crossings(planted.within('planted.one'), ['planted.two']) == ['planted.one.deep -> planted.two.deep']
    assert planted.crossings(planted.within('planted.two'), ['one']) == []

"""Select the test files that a change concerns, most direct first.

A changed module concerns the tests that import it, directly or through other modules. Some imports are not visible in
the source text; these rules add them:

* A module that selects others by the name of a source (`PICKERS`) imports that of `<source>` in the tests below
  `tests/<source>`, and those of all sources in `RUNS_OF_EACH_SOURCE`.
* The command imports the module of a command by its name (`COMMANDS`).
* A test that names a module in a text, to start it in a process of its own, imports it.
* A file that is not a module counts as all modules of the package that it lies in.
* `READERS` lists the tests that read other files.

The conftest.py of all tests concerns all of them, but the modules that it imports do not: otherwise each module would
concern each test.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import zip_longest
from pathlib import Path, PurePosixPath

from .imports import ImportGraph, inside

TREE = ('metta_checks', 'datadog_checks', 'sandbox', 'tools', 'chaos', 'fuzz', 'benchmarks', 'tests')
SHARED_CONFTEST = 'tests.conftest'
# Modules that import one by the name of a source, and the one that they import.
PICKERS = {
    'metta_checks.check': 'metta_checks.{}.check',
    'metta_checks.cli.setup': 'metta_checks.cli.setup.{}',
    'metta_checks.core.source': 'metta_checks.{}.config_models',
    'metta_checks.verify': 'metta_checks.verify.{}',
    'sandbox': 'sandbox.{}.service',
    'benchmarks.__main__': 'benchmarks.{}',
}
# The module that imports others by the name of a command, and the packages of these.
COMMANDS = {'metta_checks.cli.main': ('metta_checks.cli.commands.', 'metta_checks.cli.assets')}
# Whole runs of all sources. They follow the tests that import a changed module themselves.
RUNS_OF_EACH_SOURCE = ('tests/test_seed_names.py',)
RANK_OF_RUNS = 1.5
# Tests in the folder of a changed package, such as tests/core for metta_checks/core, come between these.
RANK_OF_OWN_TESTS = 1.25
MENTION = re.compile(rf'\b(?:{"|".join(TREE)})(?:\.\w+)+')
Readers = tuple[tuple[str, tuple[str, ...]], ...]
# Patterns of changed files (`*` also stands for slashes), and the tests, or folders of tests, that read such files.
READERS: Readers = (
    ('*', ('tests/test_structure.py', 'tests/test_habits.py')),
    ('*.py', ('tests/test_imports.py', 'tests/security/test_code.py')),
    ('*.md', ('tests/docs/test_commands.py', 'tests/docs/test_links.py', 'tests/docs/test_names.py')),
    ('docs/adding-a-source.md', ('tests/docs/test_adding_a_source.py',)),
    ('docs/faq.md', ('tests/docs/test_faq.py',)),
    ('docs/migration.md', ('tests/docs/test_migration.py',)),
    ('docs/troubleshooting.md', ('tests/docs/test_troubleshooting.py',)),
    (
        '*/metrics.yaml',
        (
            'tests/core/test_catalog.py',
            'tests/test_glossary.py',
            'tests/test_generated.py',
            'tests/docs/test_names.py',
            'tests/as_code/test_assets.py',
            'tests/as_code/test_build.py',
        ),
    ),
    ('tools/glossary.yaml', ('tests/test_glossary.py', 'tests/test_generated.py', 'tests/docs/test_links.py')),
    ('assets/configuration/*', ('tests/test_generated.py', 'tests/cli/test_configuration.py')),
    ('conf.d/*', ('tests/test_generated.py', 'tests/cli/test_configuration.py')),
    ('metadata.csv', ('tests/test_generated.py', 'tests/docs/test_migration.py')),
    ('docs/metrics/*', ('tests/test_generated.py',)),
    ('docs/deployment.md', ('tests/deploy/test_workflow.py', 'tests/deploy/test_pages.py')),
    ('manifest.json', ('tests/as_code/test_build.py', 'tests/contract/test_validators.py')),
    ('hatch.toml', ('tests/contract/test_lifecycle.py',)),
    ('dashboards/*', ('tests/as_code/test_build.py', 'tests/as_code/test_assets.py')),
    (
        'assets/*.json',
        (
            'tests/as_code/test_assets.py',
            'tests/as_code/test_build.py',
            'tests/as_code/test_lint.py',
            'tests/as_code/test_shipped_pages.py',
            'tests/as_code/test_status.py',
            'tests/as_code/test_pull_export.py',
            'tests/as_code/test_push.py',
        ),
    ),
    ('deploy/*', ('tests/deploy',)),
    ('.github/*', ('tests/deploy/test_workflow.py',)),
    ('Makefile', ('tests/deploy/test_workflow.py', 'tests/test_check.py')),
    (
        'pyproject.toml',
        ('tests/security/test_dependencies.py', 'tests/deploy/test_workflow.py', 'tests/contract/test_wheel.py'),
    ),
    (
        'constraints/*',
        (
            'tests/security/test_dependencies.py',
            'tests/deploy/test_host.py',
            'tests/deploy/test_versions.py',
            'tests/contract/test_wheel.py',
        ),
    ),
    # The commands on the pages.
    ('metta_checks/cli/*', ('tests/docs/test_commands.py',)),
    # The declarations of stored states.
    ('metta_checks/*.py', ('tests/test_stored_page.py',)),
    ('tools/generate.py', ('tests/docs/test_adding_a_source.py',)),
    # Paths in pages, and the page of modules.
    ('metta_checks/core/*', ('tests/docs/test_names.py', 'tests/test_generated.py')),
    ('tests/peers/skypilot/*', ('tests/skypilot/test_peer.py',)),
    ('tests/peers/kubernetes/*', ('tests/kubernetes/test_kube_apiserver.py',)),
    ('tests/peers/prometheus/*', ('tests/kubernetes/test_prometheus_peer.py',)),
)


@dataclass(frozen=True)
class Concerns:
    """Tests of a source tree, and the tests that a change concerns.

    Parameters:
        root: directory of the tree
        files: files of the tree, relative to `root`
        readers: tests that read other files than modules, by a pattern of those
    """

    root: Path
    files: Collection[str]
    readers: Readers = READERS

    @cached_property
    def graph(self) -> ImportGraph:
        """The imports of all modules, those of the tests included."""
        return ImportGraph.of(self.root, [package for package in TREE if (self.root / package).is_dir()])

    @cached_property
    def tests(self) -> dict[str, str]:
        """The module of each test file."""
        paths = map(PurePosixPath, sorted(self.files))
        return {str(path): _module(path) for path in paths if path.parts[0] == 'tests' and path.match('test_*.py')}

    def of(self, changed: Collection[str]) -> list[str]:
        """Return the test files that a change of these files concerns.

        The most direct ones come first, and equally direct ones take turns between the folders.
        """
        modules = {module for name in changed for module in self._changed_modules(PurePosixPath(name))}
        readers = {
            reader
            for pattern, found in self.readers
            if any(fnmatchcase(name, pattern) for name in changed)
            for reader in found
        }
        folders = {f'tests/{part}' for module in modules for part in module.split('.')[1:2]}
        ranks: dict[float, list[str]] = {}
        for test, module in self.tests.items():
            distance = 1 if _lies_in(test, readers) else self._distance(module, modules)
            if distance is not None:
                runs = RANK_OF_RUNS if test in RUNS_OF_EACH_SOURCE else distance
                own = RANK_OF_OWN_TESTS if _lies_in(test, folders) else distance
                ranks.setdefault(min(distance, runs, own), []).append(test)
        return [test for rank in sorted(ranks) for test in _taking_turns(ranks[rank])]

    def _changed_modules(self, path: PurePosixPath) -> Iterable[str]:
        """Return the modules that change with a file.

        That is its own module, for a deleted one those that still import it, for other files all of their package.
        """
        if path.suffix == '.py' and path.name != '__init__.py':
            module = _module(path)
            if module in self.graph.imports:
                return [module]
            return [name for name, imported in self.graph.imports.items() if module in imported]
        packages = ('.'.join(parent.parts) for parent in path.parents)
        package = next((package for package in packages if package in self.graph.imports), None)
        return self.graph.within(package) if package else []

    def _distance(self, test: str, modules: Collection[str]) -> int | None:
        """Return the number of imports between a test and the nearest of some modules; None where there is no way."""
        seen: set[str] = set()
        ring = {test}
        distance = 0
        while ring:
            if ring & set(modules):
                return distance
            seen |= ring
            ring = {other for name in ring for other in self._imports(name, test)} - seen
            distance += 1
        return None

    def _imports(self, name: str, test: str) -> Iterator[str]:
        """Modules that a module imports in the tests of a file, the invisible imports included."""
        if name == SHARED_CONFTEST:
            return
        yield from self._visible[name]
        if name == test:
            folders = test.split('.')[:-1]
            conftests = ('.'.join([*folders[:length], 'conftest']) for length in range(1, len(folders) + 1))
            yield from (conftest for conftest in conftests if conftest in self.graph.imports)
        if name in COMMANDS:
            yield from (module for module in self.graph.imports if module.startswith(COMMANDS[name]))
        if name in PICKERS:
            chosen = (PICKERS[name].format(source) for source in self._sources(test))
            yield from (module for module in chosen if module in self.graph.imports)

    def _sources(self, test: str) -> list[str]:
        """Return the sources that a test picks by name: its own, or all of them."""
        if test in map(_module, map(PurePosixPath, RUNS_OF_EACH_SOURCE)):
            return [name.split('.')[1] for name in self.graph.imports if fnmatchcase(name, 'metta_checks.*.check')]
        return test.split('.')[1:2]

    @cached_property
    def _visible(self) -> dict[str, set[str]]:
        """Modules that each module imports, or names in a text if it is one of the tests."""
        visible = {name: set(self.graph.arrows(name)) for name in self.graph.imports}
        for file in self.files:
            name = _module(PurePosixPath(file))
            if file.endswith('.py') and name in visible and inside(name, ['tests']):
                visible[name] |= self._mentioned((self.root / file).read_text(encoding='utf-8')) - {name}
        return visible

    def _mentioned(self, text: str) -> set[str]:
        """Return the modules that a text names."""
        names = (found.split('.') for found in set(MENTION.findall(text)))
        prefixes = (['.'.join(parts[:length]) for length in range(len(parts), 1, -1)] for parts in names)
        modules = (next((prefix for prefix in some if prefix in self.graph.imports), None) for some in prefixes)
        return {module for module in modules if module}


def _module(path: PurePosixPath) -> str:
    parts = path.with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def _lies_in(test: str, places: Iterable[str]) -> bool:
    return any(test == place or test.startswith(f'{place}/') for place in places)


def _taking_turns(tests: Iterable[str]) -> Iterator[str]:
    """Yield the first test of each folder, then the second of each, and so on."""
    folders: dict[PurePosixPath, list[str]] = {}
    for test in tests:
        folders.setdefault(PurePosixPath(test).parent, []).append(test)
    return (test for turn in zip_longest(*folders.values()) for test in turn if test)

"""Imports between the modules of a source tree, read from the source text."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ImportGraph:
    """Modules of a tree and their imports, at top level, inside functions and for types only.

    An import by a computed name (`importlib.import_module`) is not included: it runs when it is called, and not before.
    """

    # Module -> absolute names that it imports, also of modules outside the tree.
    imports: dict[str, frozenset[str]]

    @classmethod
    def of(cls, root: Path, packages: Iterable[str]) -> ImportGraph:
        """Return the graph of these packages below `root`."""
        files = {module_name(root, file): file for package in packages for file in (root / package).rglob('*.py')}
        return cls({name: frozenset(_imports(name, file, files)) for name, file in files.items()})

    def arrows(self, name: str) -> Iterator[str]:
        """Return the modules of the tree that importing this module runs.

        Importing `a.b` runs the package `a` first. For modules outside `a`, this counts as an import of `a`. For
        modules inside `a` it does not: their own import has already run `a`, or runs inside it, and counting it would
        create a cycle between every package and its modules.
        """
        found = set()
        for target in self.imports[name]:
            parts = target.split('.')
            runs = {'.'.join(parts[:length]) for length in range(1, len(parts))}
            found |= {target, *(package for package in runs if not f'{name}.'.startswith(f'{package}.'))}
        yield from sorted(found & self.imports.keys() - {name})

    def circle(self) -> list[str]:
        """Return modules that import each other, in order, the first one again at the end; empty without a cycle."""
        done: set[str] = set()
        for start in sorted(self.imports):
            if found := self._circle_from(start, [], done):
                return found
        return []

    def _circle_from(self, name: str, trail: list[str], done: set[str]) -> list[str]:
        if name in trail:
            return [*trail[trail.index(name) :], name]
        if name in done:
            return []
        for other in self.arrows(name):
            if found := self._circle_from(other, [*trail, name], done):
                return found
        done.add(name)
        return []

    def within(self, *packages: str) -> list[str]:
        """Return the modules that are one of these or lie inside one."""
        return sorted(name for name in self.imports if inside(name, packages))

    def crossings(self, modules: Iterable[str], packages: Iterable[str]) -> list[str]:
        """Return `a -> b` for every import of the packages by one of the modules."""
        closed = tuple(packages)
        return [
            f'{name} -> {target}' for name in modules for target in sorted(self.imports[name]) if inside(target, closed)
        ]


def inside(name: str, packages: Iterable[str]) -> bool:
    """Return whether a dotted name is one of the packages or lies inside one."""
    return any(f'{name}.'.startswith(f'{package}.') for package in packages)


def module_name(root: Path, file: Path) -> str:
    """Return the dotted name of a file; for `__init__.py` that of its directory."""
    parts = file.relative_to(root).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def _imports(name: str, file: Path, modules: dict[str, Path]) -> Iterator[str]:
    """Return the absolute names that a file imports. `from a import b` is `a.b` if that is a module, else `a`."""
    package = name.split('.') if file.name == '__init__.py' else name.split('.')[:-1]
    for node in ast.walk(ast.parse(file.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = '.'.join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                full = f'{origin}.{alias.name}'
                yield full if full in modules else origin

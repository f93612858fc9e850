"""Configuration files of the Agent, so that one file serves the Agent and the command line.

A file that cannot be read, or an instance that cannot be used, is one error: all others are used.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from metta_checks.check import SOURCES
from metta_checks.core.errors import SHAPE_ERRORS
from metta_checks.core.text import one_line

from .placeholders import unreplaced
from .vault import UnknownSecret, Vault

DIRECTORY = 'metta_checks.d'
# Values of a file. Aliases that refer to their own anchor, or to each other in chains, have any number.
MAX_NODES = 100_000


class ConfigurationFileError(Exception):
    """A configuration file cannot be used; one line with its path and the reason."""

    def __init__(self, message: str) -> None:
        # The message may quote names of secrets, and values from the file.
        super().__init__(one_line(message))


@dataclass(frozen=True, slots=True)
class Configured:
    """One instance in a file, or a file that cannot be read.

    Attributes:
        error: one line that names the file, when the instance cannot be used
    """

    file: Path
    init_config: Mapping[str, Any]
    instance: Mapping[str, Any]
    error: str = ''

    @property
    def source(self) -> str:
        """Source of the instance, else the one after which the file is named; empty without either."""
        for name in (self.instance.get('source'), self.file.stem):
            if isinstance(name, str) and name in SOURCES:
                return name
        return ''


def load(path: Path, source: str) -> list[Configured]:
    """Return the instances of a source (`all`: of every source) in a file or a conf.d directory.

    Secrets in the Agent's notation `ENC[name;key]` are resolved through AWS Secrets Manager. Raises
    ConfigurationFileError when there is no file or no instance matches.
    """
    found = [item for file in files(path) for item in _instances(file)]
    if not found:
        raise ConfigurationFileError(
            f'{path}: no *.yaml file; write one with `metta-checks init`, or copy a *.yaml.example file and edit it'
        )
    chosen = [item for item in found if source == 'all' or item.source in (source, '')]
    if not chosen:
        raise ConfigurationFileError(f'{path}: no instance with `source: {source}`')
    vault = Vault()
    return [_resolved(item, vault) for item in chosen]


def _resolved(item: Configured, vault: Vault) -> Configured:
    """Return the instance with its secrets, or with an error."""
    if item.error:
        return item
    if unreplaced(item.instance):
        options = ', '.join(f'`{option}`' for option in unreplaced(item.instance))
        return replace(
            item,
            error=one_line(
                f'{item.file}: {options} still hold the placeholders of the example; set these options, or remove '
                'those that you do not need'
            ),
        )
    try:
        return replace(item, instance=vault.resolve(item.instance))
    except UnknownSecret as error:
        return replace(item, error=one_line(f'{item.file}: {error}'))


def files(path: Path) -> Iterator[Path]:
    """Yield the files that a path stands for, as the Agent reads them. Raises ConfigurationFileError without a path."""
    if path.is_file():
        yield path
        return
    if not path.is_dir():
        raise ConfigurationFileError(f'{path}: no such file or directory')
    directory = path / DIRECTORY if (path / DIRECTORY).is_dir() else path
    # As in the Agent: files directly in the directory, none deeper.
    yield from sorted(file for file in directory.iterdir() if file.suffix in ('.yaml', '.yml'))


class _Loader(yaml.SafeLoader):
    """Ends chains of merge keys (`<<`), which copy their aliases while the file is read."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        super().flatten_mapping(node)
        if len(node.value) > MAX_NODES:
            raise yaml.constructor.ConstructorError(None, None, 'too many values', node.start_mark)


def _instances(file: Path) -> Iterator[Configured]:
    """Yield the instances of a file; one error for a file that is none."""
    try:
        init_config, instances = _sections(file)
    except ConfigurationFileError as error:
        yield Configured(file, {}, {}, str(error))
        return
    for instance in instances:
        wrong = _wrong_source(instance)
        yield Configured(file, init_config, instance, one_line(f'{file}: {wrong}') if wrong else '')


def _sections(file: Path) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
    """Return `init_config` and `instances` of a file. Raises ConfigurationFileError."""
    document = parsed(file)
    instances = document.get('instances') if isinstance(document, dict) else None
    if not isinstance(instances, list) or not all(isinstance(instance, dict) for instance in instances):
        raise ConfigurationFileError(f'{file}: expected a list of instances under `instances:`')
    init_config = document.get('init_config') or {}
    if not isinstance(init_config, dict):
        raise ConfigurationFileError(f'{file}: `init_config:` must hold options, or nothing')
    return init_config, instances


def parsed(file: Path) -> Any:
    """Return the content of a YAML file. Raises ConfigurationFileError."""
    try:
        document = _Loader(file.read_text(encoding='utf-8')).get_single_data()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, 'strerror', None) or str(error)
        raise ConfigurationFileError(f'{file}: cannot be read: {reason}') from error
    except (yaml.YAMLError, *SHAPE_ERRORS) as error:
        mark = getattr(error, 'problem_mark', None)
        where = f' in line {mark.line + 1}' if mark else ''
        raise ConfigurationFileError(f'{file}: not valid YAML{where}') from error
    if not _is_bounded(document):
        raise ConfigurationFileError(f'{file}: more than {MAX_NODES:,} values; check its aliases (`*name`)')
    return document


def _wrong_source(instance: Mapping[str, Any]) -> str:
    """Return what is wrong with option `source`, empty if nothing is."""
    source = instance.get('source')
    if isinstance(source, str) and source in SOURCES:
        return ''
    stated = one_line(repr(source), 60) if 'source' in instance else 'missing'
    close = difflib.get_close_matches(str(source), SOURCES, 1)
    meant = f'; did you mean {close[0]}?' if close else ''
    return f'option `source` is {stated}; it must be one of: {", ".join(SOURCES)}{meant}'


def _is_bounded(document: Any) -> bool:
    """Return whether a document stays below MAX_NODES values when each alias counts as a copy of its anchor."""
    nodes, pending = 0, [document]
    while pending and nodes + len(pending) < MAX_NODES:
        node = pending.pop()
        nodes += 1
        if isinstance(node, dict):
            pending += [*node.keys(), *node.values()]
        elif isinstance(node, list):
            pending += node
    return not pending

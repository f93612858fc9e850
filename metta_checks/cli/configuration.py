"""Configuration files of the Agent, so that one file serves the Agent and the command line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from metta_checks.check import SOURCES
from metta_checks.core.errors import SHAPE_ERRORS
from metta_checks.core.text import one_line

DIRECTORY = 'metta_checks.d'
# Values of a file. Aliases that refer to their own anchor, or to each other in chains, have any number.
MAX_NODES = 100_000
_HANDLE = re.compile(r'ENC\[([^\]]+)\]')


class ConfigurationFileError(Exception):
    """A configuration file cannot be used; one line with its path and the reason."""

    def __init__(self, message: str) -> None:
        # The message may quote names of secrets, and values from the file.
        super().__init__(one_line(message))


@dataclass(frozen=True, slots=True)
class Configured:
    """One instance in a file."""

    file: Path
    init_config: Mapping[str, Any]
    instance: Mapping[str, Any]

    @property
    def source(self) -> str:
        """Source of the instance; empty without one."""
        return str(self.instance.get('source', ''))


def load(path: Path, source: str) -> list[Configured]:
    """Return the instances of a source (`all`: of every source) in a file or a conf.d directory.

    Secrets in the Agent's notation `ENC[name;key]` are resolved through AWS Secrets Manager. Raises
    ConfigurationFileError when a file cannot be read or no instance matches.
    """
    files = list(_files(path))
    if not files:
        raise ConfigurationFileError(f'{path}: no *.yaml file; copy the *.yaml.example files and edit them')
    found = [configured for file in files for configured in _instances(file) if source in ('all', configured.source)]
    if not found:
        raise ConfigurationFileError(f'{path}: no instance with `source: {source}`')
    vault = _Vault()
    return [Configured(item.file, item.init_config, vault.resolve(item.instance, item.file)) for item in found]


def _files(path: Path) -> Iterator[Path]:
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
    document = _parsed(file)
    instances = document.get('instances') if isinstance(document, dict) else None
    if not isinstance(instances, list) or not all(isinstance(instance, dict) for instance in instances):
        raise ConfigurationFileError(f'{file}: expected a list of instances under `instances:`')
    init_config = document.get('init_config') or {}
    if not isinstance(init_config, dict):
        raise ConfigurationFileError(f'{file}: `init_config:` must hold options, or nothing')
    for instance in instances:
        _check_source(instance, file)
        yield Configured(file, init_config, instance)


def _parsed(file: Path) -> Any:
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


def _check_source(instance: Mapping[str, Any], file: Path) -> None:
    """Raise ConfigurationFileError unless the instance names a source."""
    source = instance.get('source')
    if isinstance(source, str) and source in SOURCES:
        return
    stated = one_line(repr(source), 60) if 'source' in instance else 'missing'
    raise ConfigurationFileError(f'{file}: option `source` is {stated}; it must be one of: {", ".join(SOURCES)}')


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


class _Vault:
    """Resolves the Agent's secret notation, with one request to AWS Secrets Manager per secret."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def resolve(self, value: Any, file: Path) -> Any:
        """Return the value with every secret in it resolved. Raises ConfigurationFileError."""
        if isinstance(value, dict):
            return {key: self.resolve(item, file) for key, item in value.items()}
        if isinstance(value, list):
            return [self.resolve(item, file) for item in value]
        if isinstance(value, str) and (handle := _HANDLE.fullmatch(value.strip())):
            return self._secret(handle.group(1), file)
        return value

    def _secret(self, handle: str, file: Path) -> str:
        # As in the Agent's own resolver, `name;key` is a field of a JSON secret, and `name` is a whole text secret.
        name, _, key = handle.partition(';')
        if name not in self._texts:
            self._texts[name] = self._fetch(name, file)
        if not key:
            return self._texts[name]
        try:
            return str(json.loads(self._texts[name])[key])
        except SHAPE_ERRORS as error:
            raise ConfigurationFileError(f'{file}: ENC[{handle}]: the secret {name} has no field {key}') from error

    @staticmethod
    def _fetch(name: str, file: Path) -> str:
        # Imported only for secrets: importing boto3 takes a quarter of a second.
        import boto3
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            text: str = boto3.client('secretsmanager').get_secret_value(SecretId=name)['SecretString']
        except (BotoCoreError, ClientError, KeyError) as error:
            reason = error.response['Error']['Code'] if isinstance(error, ClientError) else type(error).__name__
            raise ConfigurationFileError(
                f'{file}: ENC[{name}]: AWS Secrets Manager gave no such secret ({reason}); '
                'check its name, the region and the credentials'
            ) from error
        return text


def resolve_secret(value: str, where: str) -> str:
    """Return a value, or the secret that `ENC[name;key]` refers to; `where` names it in errors.

    Raises ConfigurationFileError when there is no such secret.
    """
    return str(_Vault().resolve(value, Path(where)))

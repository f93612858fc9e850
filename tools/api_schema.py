"""Write metta_checks/as_code/schema.json: `python -m tools.api_schema`; `--check` reports whether it is out of date.

The table holds the rules that the classes of datadog-api-client contain about dashboards, monitors and SLOs, so that
linting does not need the client:
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from datadog_api_client.model_utils import ModelComposed, ModelNormal, ModelSimple
from datadog_api_client.v1.model.dashboard import Dashboard
from datadog_api_client.v1.model.monitor import Monitor
from datadog_api_client.v1.model.service_level_objective_request import ServiceLevelObjectiveRequest
from datadog_api_client.version import __version__

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / 'metta_checks' / 'as_code' / 'schema.json'
ROOTS = {'dashboard': Dashboard, 'monitor': Monitor, 'slo': ServiceLevelObjectiveRequest}
PLAIN = {
    str: 'str',
    int: 'int',
    float: 'float',
    bool: 'bool',
    type(None): 'null',
    datetime: 'datetime',
    date: 'date',
    UUID: 'uuid',
    dict: '{any}',
    list: '[any]',
    object: 'any',
}
LIMITS = {
    'inclusive_minimum': 'minimum',
    'inclusive_maximum': 'maximum',
    'min_length': 'min_length',
    'max_length': 'max_length',
    'min_items': 'min_items',
    'max_items': 'max_items',
}


class UnknownType(Exception):
    """The client uses a type that this tool does not know; support it here before using the table."""


class Table:
    """The table under construction: `add` takes a class and all classes that it refers to."""

    def __init__(self) -> None:
        self.enums: dict[str, list[Any]] = {}
        self.unions: dict[str, list[str]] = {}
        self.models: dict[str, dict[str, Any]] = {}

    def add(self, model: type) -> str:
        """Return the name of a class in the table, after adding the class."""
        name = model.__name__
        if name in self.enums or name in self.unions or name in self.models:
            return name
        if issubclass(model, ModelSimple):
            self.enums[name] = sorted(model.allowed_values)
        elif issubclass(model, ModelComposed):
            alternatives = self.unions[name] = []
            for alternative in model._composed_schemas['oneOf']:
                alternatives += [one for one in self.types(alternative) if one not in alternatives]
        elif issubclass(model, ModelNormal):
            self._add_object(name, model)
        else:
            raise UnknownType(f'{name}: neither an object nor an enum nor a union')
        return name

    def _add_object(self, name: str, model: type[ModelNormal]) -> None:
        # Added before its fields are processed: groups contain widgets, and widgets may be groups.
        entry = self.models[name] = {}
        keys = model.attribute_map
        required = sorted(keys[name] for name in _required(model))
        read_only = sorted(keys[name] for name in getattr(model, 'read_only_vars', ()))
        limits = {
            keys[field]: {LIMITS[limit]: value for limit, value in sorted(found.items())}
            for field, found in sorted(model.validations.items())
            if field in keys
        }
        types = {keys[field]: self.types(type_) for field, type_ in model.openapi_types.items()} if keys else {}
        for part, value in (('required', required), ('read_only', read_only), ('limits', limits)):
            if value:
                entry[part] = value
        entry['keys'] = types

    def types(self, declared: Any) -> list[str]:
        """Return the alternatives of a declaration such as `([Widget], none_type)`."""
        if isinstance(declared, tuple):
            return [name for one in declared for name in self.types(one)]
        if isinstance(declared, list):
            return [f'[{" | ".join(self.types(tuple(declared)))}]']
        if isinstance(declared, dict):
            return [f'{{{" | ".join(self.types(tuple(declared.values())))}}}']
        if declared in PLAIN:
            return [PLAIN[declared]]
        return [self.add(declared)]


def _required(model: type[ModelNormal]) -> Iterator[str]:
    """Return the fields without which the class cannot be constructed."""
    if '__init__' not in vars(model):
        return
    for parameter in list(inspect.signature(model.__init__).parameters.values())[1:]:
        if parameter.default is inspect.Parameter.empty and parameter.kind is not inspect.Parameter.VAR_KEYWORD:
            yield parameter.name


def table() -> dict[str, Any]:
    """Return the whole table, in a stable order."""
    found = Table()
    roots = {kind: found.add(model) for kind, model in ROOTS.items()}
    return {
        'client': __version__,
        'roots': roots,
        'enums': dict(sorted(found.enums.items())),
        'unions': dict(sorted(found.unions.items())),
        'models': dict(sorted(found.models.items())),
    }


def generated() -> Iterator[tuple[Path, str]]:
    """Return the table's file with its text: one line per entry, so that updates of the client are easy to review."""
    parts = []
    for part, value in table().items():
        if isinstance(value, dict):
            lines = ',\n'.join(f'  {json.dumps(name)}: {json.dumps(entry)}' for name, entry in value.items())
            parts.append(f' {json.dumps(part)}: {{\n{lines}\n }}')
        else:
            parts.append(f' {json.dumps(part)}: {json.dumps(value)}')
    yield TARGET, '{\n' + ',\n'.join(parts) + '\n}\n'


def main(arguments: list[str]) -> int:
    """Return 0 when the file is written, or up to date with `--check`; 1 when it is not."""
    for path, text in generated():
        if arguments == ['--check']:
            if not path.is_file() or path.read_text(encoding='utf-8') != text:
                print(f'{path.relative_to(ROOT)} is out of date; run python -m tools.api_schema', file=sys.stderr)
                return 1
        else:
            path.write_text(text, encoding='utf-8')
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))

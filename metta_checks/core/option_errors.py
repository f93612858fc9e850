"""Wrong options in plain words: values that the models of the configuration refuse, and names that they do not know."""

from __future__ import annotations

import difflib
import json
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from .text import one_line

# Options that the Agent, its toolkit and its HTTP client read, and that no model declares.
AGENT_OPTIONS = frozenset(
    {
        'debug_metrics',
        'disable_generic_tags',
        'enable_legacy_tags_normalization',
        'loader',
        'max_returned_metrics',
        'name',
        'namespace',
        'no_index',
        'process_isolation',
        'run_once',
        'tls_intermediate_ca_certs',
        'tls_private_key_password',
        'tls_validate_hostname',
    }
)
# Similarity of two names from which one is taken for a misspelling of the other.
SIMILAR = 0.7
MAX_SHOWN = 60
KINDS = {
    'int': 'must be a whole number',
    'float': 'must be a number',
    'bool': 'must be true or false',
    'model': 'must be a mapping: one `key: value` per line below it',
    'dict': 'must be a mapping: one `key: value` per line below it',
    'is': 'must be a mapping: one `key: value` per line below it',
}


def refused(error: BaseException) -> list[str]:
    """Return one line per option that a model refused, from the error that the toolkit raised; none for other errors.

    The toolkit raises its own error while it handles that of the model.
    """
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ValidationError):
        cause = cause.__context__
    return [] if cause is None else [_line(one) for one in cause.errors()]


def _line(error: Mapping[str, Any]) -> str:
    return f'option `{_path(error["loc"])}` {_reason(error)}'


def _path(location: tuple[str | int, ...]) -> str:
    """Return the name of an option as people write it: `thresholds.high_restarts`, `projects[2]` for the second."""
    parts = [f'[{one + 1}]' if isinstance(one, int) else f'.{one}' for one in location]
    return ''.join(parts).removeprefix('.')


def _reason(error: Mapping[str, Any]) -> str:
    kind, value = error['type'], error.get('input')
    if kind == 'missing':
        return 'is missing'
    if kind == 'literal_error':
        return f'must be one of {error["ctx"]["expected"]}; it is {_shown(value)}'
    if kind in ('tuple_type', 'list_type'):
        return f'must be a list, {_as_list(value)}'
    family = kind.partition('_')[0]
    if family == 'string':
        # Without the value, which may be a secret.
        is_nested = isinstance(value, (list, tuple, Mapping))
        return 'must be one text' if is_nested else 'must be a text: write it in quotes'
    if family in KINDS:
        return f'{KINDS[family]}; it is {_shown(value)}'
    return f'is wrong: {error["msg"].removeprefix("Value error, ")}'


def _shown(value: Any) -> str:
    return one_line(json.dumps(value, default=str, ensure_ascii=False), MAX_SHOWN)


def _as_list(value: Any) -> str:
    if isinstance(value, (str, int, float)):
        return f'such as {_shown([value])}'
    return 'one value per line, each after `- `'


def unknown(instance: Mapping[str, Any], model: type[BaseModel]) -> Iterator[str]:
    """Yield one line per option that no model declares, with the name that was probably meant."""
    for path, name, known in _undeclared(instance, model):
        [*close] = difflib.get_close_matches(name.lower(), known, 1, SIMILAR)
        meant = f'; did you mean `{path}{close[0]}`?' if close else '; nothing reads it'
        yield f'there is no option `{path}{one_line(name, MAX_SHOWN)}`{meant}'


def _undeclared(
    values: Mapping[str, Any], model: type[BaseModel], path: str = ''
) -> Iterator[tuple[str, str, list[str]]]:
    """Yield the path of a section, the name in it that is not declared, and the declared ones."""
    fields = model.model_fields
    for name, value in values.items():
        if not isinstance(name, str) or (name not in fields and (path or name not in AGENT_OPTIONS)):
            yield path, str(name), [*fields]
        elif name in fields and isinstance(value, Mapping):
            section = _section(fields[name].annotation)
            if section is not None:
                yield from _undeclared(value, section, f'{path}{name}.')


def _section(annotation: Any) -> type[BaseModel] | None:
    """Return the model of a section, None for a mapping whose keys the user chooses."""
    options = (annotation, *typing.get_args(annotation))
    return next((one for one in options if isinstance(one, type) and issubclass(one, BaseModel)), None)

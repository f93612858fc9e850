"""Options that several commands share, as dataclasses.

Typer reads the options of a command from its signature, one parameter each. A command that is decorated with `grouped`
takes dataclasses instead: Typer sees their fields, the command receives the objects.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, get_type_hints

R = TypeVar('R')


def grouped(command: Callable[..., R]) -> Callable[..., R]:
    """Add the fields of a command's dataclass parameters to its options, at the position of the parameter.

    A field is annotated as a parameter of a command would be, and has a default. The help of the command lists the
    options in the order of the parameters.
    """
    hints = get_type_hints(command, include_extras=True)
    groups = {name: hint for name, hint in hints.items() if isinstance(hint, type) and is_dataclass(hint)}
    options: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        options += _options(groups[name]) if name in groups else [_option(name, hints[name], parameter.default)]

    @functools.wraps(command)
    def run(**given: Any) -> R:
        objects = {
            name: group(**{one.name: given.pop(one.name) for one in fields(group)}) for name, group in groups.items()
        }
        return command(**objects, **given)

    run.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]  # read by inspect.signature (PEP 362)
    run.__annotations__ = {option.name: option.annotation for option in options}
    return run


def _options(group: type) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [_option(one.name, hints[one.name], one.default) for one in fields(group)]


def _option(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)

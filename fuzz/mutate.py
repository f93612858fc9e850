"""Changes to recorded answers: JSON documents, texts and XML. Their outer shape is kept."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

from . import values
from .choices import Choose, pick

Path = tuple[str | int, ...]
Edit = dict[str, Any]
MAX_EDITS = 4
OPERATIONS = ('set', 'set', 'set', 'drop', 'double', 'wrap', 'empty', 'reverse', 'borrow')


def place(document: Any, choose: Choose) -> Path:
    """Return the path to a part of a document, never to the document itself (its outer shape stays)."""
    path: list[str | int] = []
    at = document
    while isinstance(at, (dict, list)) and at:
        if path and not choose(6):
            break
        step = pick(choose, list(at)) if isinstance(at, dict) else choose(min(len(at), 50))
        path.append(step)
        at = at[step]
    return tuple(path)


def edit(document: Any, choose: Choose) -> Edit | None:
    """Return a change, as a JSON value; None if there is nothing to change."""
    path = place(document, choose)
    if not path:
        return None
    operation = pick(choose, OPERATIONS)
    if operation == 'borrow':
        # A value that is right elsewhere may be wrong here.
        return {'path': list(path), 'do': 'set', 'value': copy.deepcopy(_at(document, place(document, choose)))}
    if operation == 'set':
        return {'path': list(path), 'do': 'set', 'value': values.value(choose)}
    return {'path': list(path), 'do': operation}


def edits(document: Any, choose: Choose) -> list[Edit]:
    """Return a few changes, each made for the document after the previous ones."""
    found: list[Edit] = []
    for _ in range(1 + choose(MAX_EDITS)):
        change = edit(document, choose)
        if change is None:
            break
        document = apply(document, [change])
        found.append(change)
    return found


def apply(document: Any, changes: Sequence[Edit]) -> Any:
    """Return the document with the changes, skipping those that no longer apply."""
    # Only the path to the change is copied: documents are large, changes are small.
    for change in changes:
        document = _applied(document, change['path'], change)
    return document


def mutated(document: Any, choose: Choose) -> Any:
    """Return the document with a few changes."""
    return apply(document, edits(document, choose))


def _applied(document: Any, path: Sequence[str | int], change: Edit) -> Any:
    step = path[0]
    if not _has(document, step):
        return document
    result = copy.copy(document)
    if len(path) > 1:
        result[step] = _applied(result[step], path[1:], change)
    elif change['do'] == 'drop':
        del result[step]
    elif change['do'] == 'double' and isinstance(result, list) and isinstance(step, int):
        result.insert(step, result[step])
    else:
        result[step] = _changed(result[step], change)
    return result


def _has(document: Any, step: str | int) -> bool:
    if isinstance(document, dict):
        return isinstance(step, str) and step in document
    return isinstance(document, list) and isinstance(step, int) and step < len(document)


def _changed(old: Any, change: Edit) -> Any:
    match change['do']:
        case 'set':
            return change['value']
        case 'wrap':
            return [old]
        case 'empty':
            return type(old)() if isinstance(old, (dict, list, str)) else None
        case 'reverse' if isinstance(old, (list, str)):
            return old[::-1]
        case 'double' if isinstance(old, (list, str)):
            return old * 2
    return old


def _at(document: Any, path: Path) -> Any:
    for step in path:
        document = document[step]
    return document


def mutated_text(text: str, choose: Choose) -> str:
    """Return the text with a few changes."""
    for _ in range(1 + choose(MAX_EDITS)):
        at = choose(len(text) + 1)
        end = min(len(text), at + choose(6))
        match choose(6):
            case 0:
                text = text[:at] + pick(choose, values.ALPHABET) + text[at:]
            case 1:
                text = text[:at] + text[end:]
            case 2:
                text = text[:at] + pick(choose, values.ALPHABET) + text[at + 1 :]
            case 3:
                text = text[:at] + text[at:end] * (2 + choose(40)) + text[end:]
            case 4:
                text = text[:at]
            case _:
                text = text[:at] + values.text(choose) + text[end:]
    return text[:20_000]


def from_seeds(seeds: Sequence[Any]) -> Callable[[Choose], Any]:
    """Return a maker of cases from known documents (texts, objects, lists), and sometimes from nothing."""

    def make(choose: Choose) -> Any:
        seed = pick(choose, seeds)
        if isinstance(seed, str):
            return mutated_text(seed, choose) if choose(8) else values.text(choose)
        if not isinstance(seed, (dict, list)):
            return values.value(choose)
        return mutated(seed, choose)

    return make

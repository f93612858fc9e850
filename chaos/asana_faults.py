"""Faults that only Asana has: offsets that expire, and rows that a list repeats because it changes while it is read."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

from .faults import Answer, Kind, Patience, Script, passed


def _rows(answer: Answer) -> tuple[Any, list[Any]]:
    """Return the document of an answer and the rows in it."""
    try:
        document = json.loads(answer.body) if answer.status == 200 else None
    except ValueError:
        document = None
    rows = document.get('data') if isinstance(document, dict) else None
    return document, rows if isinstance(rows, list) else []


def _sent(answer: Answer, document: Any, dice: random.Random, patience: Patience) -> Script:
    return passed(replace(answer, body=json.dumps(document).encode()), dice, patience)


def expired(answer: Answer, dice: random.Random, patience: Patience) -> Script:
    """Refuse the offset of a list, as Asana does when it is too old."""
    if 'offset=' not in answer.target:
        return passed(answer, dice, patience)
    refusal = {'errors': [{'message': 'offset: Your pagination token has expired.'}]}
    return _sent(replace(answer, status=400), refusal, dice, patience)


def repeated(answer: Answer, dice: random.Random, patience: Patience) -> Script:
    """Show rows twice."""
    document, rows = _rows(answer)
    if not rows:
        return passed(answer, dice, patience)
    rows.extend(dice.sample(rows, k=min(3, len(rows))))
    return _sent(answer, document, dice, patience)


FAULTS: dict[str, tuple[Kind, float]] = {'expired': (expired, 3.0), 'repeated': (repeated, 2.0)}

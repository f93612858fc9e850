"""What a target is, and what all of them look at."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from .choices import Choose

# No case is worth more time; what takes longer would block a check runner.
MAX_SECONDS = 20.0
MAX_LINE = 2_000


class Finding(AssertionError):
    """The contract is broken."""


@dataclass(frozen=True)
class Target:
    """`run` raises on a defect: a Finding, or whatever escaped from the code under test."""

    name: str
    run: Callable[[Any], None]
    make: Callable[[Choose], Any]


def timed(target: Target, case: Any) -> None:
    """Run one case; a case that takes too long is a finding too."""
    started = time.perf_counter()
    target.run(case)
    seconds = time.perf_counter() - started
    if seconds > MAX_SECONDS:
        raise Finding(f'took {seconds:.0f} s')


def readable(text: Any, what: str) -> None:
    """Raises Finding unless the text is one line that the Agent can take."""
    if not isinstance(text, str):
        raise Finding(f'{what} is no text: {text!r}')
    if not text.strip() or '\n' in text or len(text) > MAX_LINE:
        raise Finding(f'{what} is not one line: {text[:300]!r}')
    encodable([text], what)


def encodable(texts: Iterable[str], what: str) -> None:
    """Raises Finding unless the Agent could take over the texts, as UTF-8 without zero bytes."""
    for text in texts:
        try:
            # The Agent reads them as C strings.
            if b'\0' in text.encode('utf-8'):
                raise Finding(f'{what} holds a zero byte: {text[:80]!r}')
        except UnicodeEncodeError:
            raise Finding(f'{what} is no UTF-8: {text[:80]!r}') from None


def finite(value: Any, what: str) -> None:
    """Raises Finding unless the value is a finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Finding(f'{what} is {value!r}, no number')
    try:
        if math.isfinite(float(value)):
            return
    except OverflowError:
        pass
    raise Finding(f'{what} is {value!r}, not finite')


def storable(value: Any, what: str) -> None:
    """Raises Finding unless the value survives as strict JSON."""
    try:
        json.loads(json.dumps(value, allow_nan=False))
    except (ValueError, TypeError, RecursionError) as error:
        raise Finding(f'{what} cannot be stored: {error}') from error

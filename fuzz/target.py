"""Targets, and the rules that they share."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from .choices import Choose

# A longer case is a finding: it would block a check runner.
MAX_SECONDS = 20.0
MAX_WAIT_SECONDS = 180.0
MAX_LINE = 2_000


class Finding(AssertionError):
    """A violation of the contract."""


@dataclass(frozen=True)
class Target:
    """A function under test: `run` raises on a defect; `make` returns a case."""

    name: str
    run: Callable[[Any], None]
    make: Callable[[Choose], Any]


def timed(target: Target, case: Any) -> None:
    """Run one case. Raises Finding also for a case that takes too long."""
    started, worked = time.perf_counter(), time.thread_time()
    target.run(case)
    seconds, worked = time.perf_counter() - started, time.thread_time() - worked
    # Other programs may keep the machine busy: only much more time than that is a wait without an end.
    if worked > MAX_SECONDS or seconds > MAX_WAIT_SECONDS:
        raise Finding(f'took {worked:.0f} s of CPU in {seconds:.0f} s')


def readable(text: Any, what: str) -> None:
    """Accept one line that the Agent can use. Raises Finding for everything else."""
    if not isinstance(text, str):
        raise Finding(f'{what} is not a text: {text!r}')
    if not text.strip() or '\n' in text or len(text) > MAX_LINE:
        raise Finding(f'{what} is not one line: {text[:300]!r}')
    encodable([text], what)


def encodable(texts: Iterable[str], what: str) -> None:
    """Accept texts that the Agent can use: UTF-8 without zero bytes. Raises Finding for others."""
    for text in texts:
        try:
            # The Agent reads them as C strings.
            if b'\0' in text.encode('utf-8'):
                raise Finding(f'{what} holds a zero byte: {text[:80]!r}')
        except UnicodeEncodeError:
            raise Finding(f'{what} is not UTF-8: {text[:80]!r}') from None


def finite(value: Any, what: str) -> None:
    """Accept a finite number. Raises Finding for everything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Finding(f'{what} is {value!r}, not a number')
    try:
        if math.isfinite(float(value)):
            return
    except OverflowError:
        pass
    raise Finding(f'{what} is {value!r}, not finite')


def storable(value: Any, what: str) -> None:
    """Accept a value that strict JSON preserves. Raises Finding for others."""
    try:
        json.loads(json.dumps(value, allow_nan=False))
    except (ValueError, TypeError, RecursionError) as error:
        raise Finding(f'{what} cannot be stored: {error}') from error

"""Damaged snapshots: the check starts cold or continues, but does not fail permanently.

A case is `{'source', 'edits'}` for the stored document, or `{'source', 'text'}` for a text in its place. The first run
may report a state that it cannot use; the later ones must be clean.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from metta_checks.check import SOURCES

from .. import mutate, values
from ..choices import Choose, pick
from ..target import Target
from .checks import PERIOD, bench

# The AWS SDK takes a quarter of a second to start; what is stored has the same form everywhere.
FAST = tuple(source for source in SOURCES if source != 'ec2')


def _run(case: Any) -> None:
    one = bench(case['source'])
    text = case.get('text')
    if text is None:
        text = json.dumps(mutate.apply(json.loads(one.snapshot), case['edits']))
    one.run_with(text, forgiving=True)
    for number in range(1, 3):
        one.run_with(one.stored(), timedelta(seconds=number * PERIOD))


def _make(choose: Choose) -> Any:
    source = pick(choose, FAST)
    snapshot = bench(source).snapshot
    match choose(8):
        case 0:
            return {'source': source, 'text': snapshot[: choose(len(snapshot))]}
        case 1:
            return {'source': source, 'text': values.text(choose)}
        case 2:
            return {'source': source, 'text': json.dumps(values.value(choose))}
    return {'source': source, 'edits': mutate.edits(json.loads(snapshot), choose)}


def targets() -> Iterator[Target]:
    """Return the target `snapshot`."""
    yield Target('snapshot', _run, _make)

"""The parts of a stored snapshot that this version of a source can use: another version may have written it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from . import stored
from .blocks import Block
from .catalog import Catalog
from .snapshot import Snapshot, StoredBlock
from .text import one_line


def keep_what_is_declared(
    snapshot: Snapshot, table: Sequence[Block[Any]], catalog: Catalog, memory: Any
) -> Iterator[str]:
    """Drop blocks that are not in the table and gauges that are not in the catalog, and give the memory its type.

    Yields a line for the log about each thing that should have been usable.
    """
    try:
        snapshot.memory = stored.load(memory, snapshot.memory)
    except ValueError as error:
        snapshot.memory = memory()
        yield f'the stored memory is of another shape: {one_line(str(error))}'
    snapshot.blocks = {key: block for key, block in snapshot.blocks.items() if _is_in(table, *key)}
    for (_, name), block in snapshot.blocks.items():
        if dropped := _drop_undeclared(name, block, catalog):
            yield f'{dropped} stored values of block {name} are not declared, left out'


def _is_in(table: Sequence[Block[Any]], subject: str, name: str) -> bool:
    return any(one.name == name and (one.subjects is not None or one.part == subject) for one in table)


def _drop_undeclared(name: str, block: StoredBlock, catalog: Catalog) -> int:
    """Forget the gauges that metrics.yaml does not declare. Returns their number."""
    before = len(block.gauges)
    block.gauges = [gauge for gauge in block.gauges if catalog.has_gauge(gauge[0], name, gauge[2])]
    return before - len(block.gauges)

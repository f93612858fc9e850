"""Items with notes that the commands print: indented on a terminal, one line per item and per note in a pipe."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from metta_checks.core.text import printable

INDENT = 4


@dataclass(frozen=True, slots=True)
class Note:
    """A fact about an item.

    Attributes:
        kind: names the fact in a pipe: change, note, error
        lines: shown below the first one, further in
    """

    kind: str
    text: str
    lines: tuple[str, ...] = ()
    style: str = ''


@dataclass(frozen=True, slots=True)
class Item:
    """A fact about an object.

    Attributes:
        cells: its values; the first one names the kind of fact, the second one the object
        sign: shown before them on a terminal
    """

    cells: tuple[str, ...]
    sign: str = ''
    style: str = ''
    notes: tuple[Note, ...] = ()


@dataclass
class Outline:
    """Items in the order in which they are shown."""

    items: list[Item] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Return True if there is something to show."""
        return bool(self.items)

    def add(self, *cells: str, sign: str = '', style: str = '', notes: tuple[Note, ...] = ()) -> None:
        """Add an item."""
        self.items.append(Item(cells, sign, style, notes))

    def renderable(self, _: int) -> RenderableType:
        """Return the items for a terminal of any width. Long lines are folded, and keep their indentation."""
        return Group(*(part for item in self.items for part in _blocks(item)))

    def lines(self) -> Iterator[str]:
        """Yield one line of tab-separated values per item, and per line of a note; each names its object."""
        for item in self.items:
            yield _row(*item.cells)
            for note in item.notes:
                if not note.lines:
                    yield _row(note.kind, item.cells[1], note.text)
                for line in note.lines:
                    yield _row(note.kind, item.cells[1], note.text, line)


def _blocks(item: Item) -> Iterator[RenderableType]:
    shown = [cell for cell in (item.sign, *item.cells) if cell]
    yield _folded('  '.join(shown), item.style, 0)
    for note in item.notes:
        yield _folded(note.text, note.style, INDENT)
        for line in note.lines:
            yield _folded(line, {'-': 'red', '+': 'green'}.get(line[:1], note.style), 2 * INDENT)


def _folded(text: str, style: str, indent: int) -> RenderableType:
    return Padding(Text(printable(text), style, overflow='fold'), (0, 0, 0, indent), expand=False)


def _row(*cells: str) -> str:
    return '\t'.join(map(printable, cells))

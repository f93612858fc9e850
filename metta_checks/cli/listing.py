"""Rows that the commands print: aligned columns on a terminal, one line of tab-separated values per row in a pipe."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from rich.table import Table
from rich.text import Text

from metta_checks.core.text import printable

Cell = str | float | None
# Values of columns of status, and their colors.
STYLES = {'ok': 'green', 'warning': 'yellow', 'critical': 'red', 'fail': 'red'}
MISSING = '-'
# Columns of the terminal that a folded column needs at least, and those between two columns.
MIN_WIDTH = 16
PADDING = 2


@dataclass(frozen=True, slots=True)
class Row:
    """The values of one row. `detail` is shown below the last one."""

    cells: tuple[Cell, ...]
    detail: str = ''
    style: str = ''


@dataclass
class Listing:
    """Rows under a title.

    Attributes:
        title: shown above the rows
        columns: the names of the columns; empty: they are not shown
        named: the title begins each line in a pipe, so that each line stands alone
        grouped: the first value is shown once where it repeats, on a terminal
    """

    title: str = ''
    columns: tuple[str, ...] = ()
    named: bool = True
    grouped: bool = False
    rows: list[Row] = field(default_factory=list)

    def add(self, *cells: Cell, detail: str = '', style: str = '') -> None:
        """Add a row."""
        self.rows.append(Row(cells, detail, style))

    def __bool__(self) -> bool:
        """Return True if there are rows."""
        return bool(self.rows)

    def renderable(self, width: int) -> Table:
        """Return the rows for a terminal with `width` columns. Names and ids are not folded unless they must be."""
        title = Text(printable(self.title), 'bold') if self.title else None
        table = Table(
            title=title, title_justify='left', box=None, padding=(0, 1), pad_edge=True, header_style='dim',
            show_header=bool(self.columns),
        )  # fmt: skip
        whole = self._whole_columns(width)
        for index in range(self._number_of_columns()):
            numbers = all(isinstance(row.cells[index], float | int | None) for row in self.rows)
            name = self.columns[index] if self.columns else ''
            table.add_column(name, justify='right' if numbers else 'left', overflow='fold', no_wrap=index in whole)
        last: Cell = None
        for row in self.rows:
            shown = [Text(printable(_for_people(cell)), STYLES.get(str(cell), '')) for cell in row.cells]
            if self.grouped and row.cells[0] == last:
                shown[0] = Text()
            last = row.cells[0]
            if row.detail:
                shown[-1].append(f'\n{printable(row.detail)}', 'bold')
            table.add_row(*shown, style=row.style)
        return table

    def _number_of_columns(self) -> int:
        return max((len(row.cells) for row in self.rows), default=0)

    def _whole_columns(self, width: int) -> set[int]:
        """Return the columns without spaces in them, if the others keep MIN_WIDTH beside them."""
        longest: dict[int, int] = {}
        others = 0
        for index in range(self._number_of_columns()):
            texts = [*self.columns[index : index + 1], *(_for_people(row.cells[index]) for row in self.rows)]
            if any(' ' in text for text in texts):
                others += MIN_WIDTH
            else:
                longest[index] = max(map(len, texts)) + PADDING
        return set(longest) if sum(longest.values()) + others <= width else set()

    def lines(self) -> Iterator[str]:
        """Yield one line per row, tab-separated, and the names of the columns before them."""
        first = (self.title,) if self.title and self.named else ()
        if self.columns:
            yield '\t'.join((*(('',) if first else ()), *self.columns))
        for row in self.rows:
            details = (row.detail,) if row.detail else ()
            yield '\t'.join(printable(text) for text in (*first, *map(_for_programs, row.cells), *details))


def _for_people(cell: Cell) -> str:
    """Return whole numbers with separators, others with significant digits."""
    if cell is None:
        return MISSING
    if isinstance(cell, str):
        return cell
    if float(cell).is_integer():
        return f'{int(cell):,}'
    return f'{cell:,.2f}' if abs(cell) >= 1 else f'{cell:.4g}'


def _for_programs(cell: Cell) -> str:
    if cell is None:
        return MISSING
    return cell if isinstance(cell, str) else f'{cell:.10g}'

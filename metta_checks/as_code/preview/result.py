"""Result of a widget's request: the interface between evaluation (evaluate.py) and drawing."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Line:
    """One series of a request. `points` are (epoch seconds, value); a gap is a value of None."""

    # The formula's alias, or the tag values of the group, or both (`p90, metta-ai/metta`).
    label: str
    # Tag key to value of the query's `by`.
    group: dict[str, str]
    points: tuple[tuple[float, float | None], ...]
    # Datadog's unit name (hour, percent, dollar ...), empty without one.
    unit: str = ''


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a toplist or table: the group's tags and one value per formula, None without data."""

    label: str
    group: dict[str, str]
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of one request.

    Timeseries fill `lines`; query values, toplists and tables fill `rows` (a query value has at most one) and `lines`
    with the series behind them (the sparkline). `problem` is set instead when the request cannot be evaluated
    faithfully: one line to be shown in a labeled box, never a wrong number.
    """

    lines: tuple[Line, ...] = ()
    rows: tuple[Row, ...] = ()
    # One header per formula: alias, unit.
    columns: tuple[tuple[str, str], ...] = ()
    problem: str = ''
    notes: tuple[str, ...] = field(default=())

    @property
    def empty(self) -> bool:
        """True if there is nothing to show; the page says "No data"."""
        return (
            not self.problem
            and not self.rows
            and not any(value is not None for line in self.lines for _, value in line.points)
        )

"""The active runs of a project, as pages of the API show them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .client import MISSING_ROWS_ALLOWED, RunPage
from .records import GpuReadings


@dataclass(frozen=True, slots=True)
class ActiveRuns:
    """The active runs that could be read, each once, and the number of the others.

    Attributes:
        readings: the GPU readings of the runs
        unreadable: number of runs that could not be read
        damaged: number of runs with fields, such as the system metrics, that could not be read
        refusal: W&B's reason for parts that it could not read; empty without one
        missing: number of runs that W&B counted and did not send
    """

    readings: tuple[GpuReadings, ...]
    unreadable: int
    damaged: int
    refusal: str
    missing: int

    @classmethod
    def of(cls, pages: Iterable[RunPage[GpuReadings]]) -> ActiveRuns:
        """Return the runs of all pages."""
        read = list(pages)
        readings = {one.id: one for page in read for one in page.rows}
        return cls(
            readings=tuple(readings.values()),
            unreadable=sum(page.unreadable for page in read),
            damaged=sum(one.damaged for one in readings.values()),
            refusal=next((page.refusal for page in read if page.refusal), ''),
            missing=read[-1].missing or 0,
        )

    @property
    def lacks_runs(self) -> bool:
        """True when figures are too small without the missing runs."""
        return self.missing > MISSING_ROWS_ALLOWED

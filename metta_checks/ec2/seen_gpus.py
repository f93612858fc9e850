"""The GPUs that were in use lately, so that their figures go to 0 before they end."""

from __future__ import annotations

from dataclasses import field
from datetime import datetime

from ..core.memo import Sightings
from ..core.stored import stored
from .measures.accelerators import SEPARATOR, pairs
from .records import Fleet

WEEK_SECONDS = 7 * 86400


@stored
class SeenGpus:
    """The GPUs that were in use in the last 7 days.

    Attributes:
        pairs: GPU model and lifecycle of instances, as `model|lifecycle`
    """

    pairs: Sightings = field(default_factory=Sightings)

    @property
    def models(self) -> set[str]:
        """The GPU models."""
        return {pair.partition(SEPARATOR)[0] for pair in self.pairs.last}

    def joined(self, fleet: Fleet, now: datetime) -> SeenGpus:
        """Return the GPUs with those of the running instances."""
        return SeenGpus(self.pairs.joined(pairs(fleet), now.timestamp(), keep=WEEK_SECONDS))

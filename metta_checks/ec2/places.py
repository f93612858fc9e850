"""Places: the regions, Local Zones and Wavelength Zones that have prices of their own.

The price list names a place by `regionCode`: the region, or the network group of a Local Zone or Wavelength Zone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from ..core.errors import BadPayload, OutOfBudget, RateLimited, SourceError, Unauthorized, Unavailable
from ..core.memo import Ages, Learned, Memo
from .client import Client
from .records import Site

DAY_SECONDS = 86400
# Errors after which the next refresh may succeed: sums wait for it.
TEMPORARY = (Unavailable, RateLimited, BadPayload)
AGES = Ages(fresh=DAY_SECONDS, usable=7 * DAY_SECONDS)
# An Availability Zone is named for its region and one letter.
_LETTER = re.compile(r'[a-z]?')


class Places:
    """The places of zones, in one refresh.

    Attributes:
        problems: errors of reading the zones of a region; the places of its Local Zones are not known then
    """

    def __init__(self, client: Client, remembered: Mapping[str, Learned[str | None]], now: float) -> None:
        self._client = client
        self._known = Memo(remembered, now, AGES)
        self._failures: dict[str, SourceError] = {}
        self.problems: list[SourceError] = []

    @property
    def learned(self) -> dict[str, Learned[str | None]]:
        """The places to remember, by zone."""
        return self._known.learned

    def learn(self, sites: Iterable[Site]) -> None:
        """Read the zones of the regions in which a site is in a Local Zone or Wavelength Zone that is not known.

        A region that fails is not asked again in this refresh.
        """
        outside = [site for site in sites if not site.on_outpost and not _is_in_region(site)]
        for region in sorted({site.region for site in outside if self._is_stale(site)} - self._failures.keys()):
            try:
                zones = self._client.zones(region)
            except (OutOfBudget, Unauthorized):
                raise
            except SourceError as error:
                self._failures[region] = error
                self.problems.append(error)
                continue
            for zone in zones:
                self._known.put((zone.name,), zone.place)

    def awaited(self, site: Site) -> SourceError | None:
        """Return the error for which the place of a site is not known for now, None for other sites.

        Sums without the site would look like a fall in costs.
        """
        error = self._failures.get(site.region)
        never_read = not site.on_outpost and not _is_in_region(site) and self._known.get((site.zone,)) is None
        return error if never_read and isinstance(error, TEMPORARY) else None

    def of(self, site: Site) -> str | None:
        """Return the place of a site, None when it is not known, and on an Outpost."""
        if site.on_outpost:
            return None
        if _is_in_region(site):
            return site.region
        known = self._known.get((site.zone,))
        return known.value if known else None

    def _is_stale(self, site: Site) -> bool:
        return any(True for _ in self._known.stale([(site.zone,)]))


def _is_in_region(site: Site) -> bool:
    return not site.zone or bool(_LETTER.fullmatch(site.zone.removeprefix(site.region)))

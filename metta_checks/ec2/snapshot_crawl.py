"""A crawl over the EBS snapshots of all regions, which may take longer than a refresh.

Accounts with backups have hundreds of thousands of snapshots, and AWS lists them slowly. The crawl keeps sums, not
rows, and goes on in the next refresh after the page at which it was interrupted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ..core.errors import OutOfBudget, Rejected, SourceError, Unauthorized
from ..core.stored import stored
from ..core.times import age
from .client import Client
from .prices import ARCHIVE, STANDARD
from .records import NO_VOLUME, Site, Snapshot

OLD = timedelta(days=90)
BYTES_PER_GIB = 2**30
# The sums of an older crawl mix data of different times.
MAX_AGE_SECONDS = 6 * 3600
SEPARATOR = '|'


@stored
class Totals:
    """Sums over completed snapshots.

    Attributes:
        begun: when the crawl began, in seconds since the epoch
        count: number of snapshots
        size: GiB of the volumes that they were taken of
        full_bytes: bytes of data in those for which AWS reports it
        with_full_bytes: number of these
        old: number of snapshots that are older than OLD
        orphaned: number of snapshots that neither a volume nor an image needs; None when that could not be found out
        gib: GiB of data at most, of those that AWS bills by the GiB, by region, zone and tier
    """

    begun: float
    count: int = 0
    size: int = 0
    full_bytes: int = 0
    with_full_bytes: int = 0
    old: int = 0
    orphaned: int | None = 0
    gib: dict[str, float] = field(default_factory=dict)

    @property
    def full_gib(self) -> float | None:
        """The GiB of data in the snapshots for which AWS reports it; None when it reports it for none of them."""
        return self.full_bytes / BYTES_PER_GIB if self.with_full_bytes or not self.count else None

    @property
    def billed(self) -> list[tuple[Site, str, float]]:
        """The GiB of data at most, with site and tier."""
        parts = ((key.split(SEPARATOR), gib) for key, gib in self.gib.items())
        return [(Site(region, zone), tier, gib) for (region, zone, tier), gib in parts]

    def joined(self, snapshots: Collection[Snapshot], now: datetime) -> Totals:
        """Return the sums with further completed snapshots, apart from `orphaned`."""
        full = [snapshot.full_bytes for snapshot in snapshots if snapshot.full_bytes is not None]
        gib = dict(self.gib)
        for snapshot in snapshots:
            for tier in _tiers(snapshot, now):
                key = SEPARATOR.join((snapshot.site.region, snapshot.site.zone, tier))
                gib[key] = gib.get(key, 0) + _gib(snapshot)
        return replace(
            self,
            count=self.count + len(snapshots),
            size=self.size + sum(snapshot.size for snapshot in snapshots),
            full_bytes=self.full_bytes + sum(full),
            with_full_bytes=self.with_full_bytes + len(full),
            old=self.old + sum(snapshot.started is not None and now - snapshot.started > OLD for snapshot in snapshots),
            gib=gib,
        )


@stored
class Crawl:
    """A crawl that is not complete.

    Attributes:
        regions: the regions that are left; the first one may be read in part
        totals: sums over all snapshots so far
        cursor: where the first region goes on; None: at its beginning
        without_volume: the snapshots of the first region, so far, whose volume is gone
        last_page: the snapshots of the last page, which AWS may repeat when snapshots are created meanwhile
    """

    regions: tuple[str, ...]
    totals: Totals
    cursor: str | None = None
    without_volume: tuple[str, ...] = ()
    last_page: frozenset[str] = frozenset()


@dataclass
class SnapshotReader:
    """Reads the snapshots of the account.

    Attributes:
        client: sends the requests
        regions: all regions
        volume_ids: the volumes that exist; None: not known
        reads_images: whether to ask for the images that need snapshots
        now: the time of the refresh
        problems: errors that cost `Totals.orphaned` alone
    """

    client: Client
    regions: Sequence[str]
    volume_ids: Collection[str] | None
    reads_images: bool
    now: datetime
    problems: list[SourceError] = field(default_factory=list)

    def read(self, unfinished: Crawl | None, save: Callable[[Crawl], None]) -> Totals:
        """Go on with a crawl, or begin one, and return its sums. Calls `save` after each page.

        Raises a SourceError. The crawl that was saved last goes on from there.
        """
        crawl = unfinished if unfinished is not None and self._is_usable(unfinished) else self._new()
        while crawl.regions:
            try:
                crawl = self._region(crawl, save)
            except Rejected:
                if crawl.cursor is None:
                    raise
                # AWS no longer takes the cursor.
                crawl = self._new()
            save(crawl)
        return crawl.totals

    def _new(self) -> Crawl:
        return Crawl(tuple(self.regions), Totals(self.now.timestamp()))

    def _is_usable(self, crawl: Crawl) -> bool:
        known_for = age(crawl.totals.begun, self.now.timestamp())
        # The regions that are left are the last ones of all regions.
        left = tuple(self.regions)[-len(crawl.regions) :] if crawl.regions else ()
        return known_for is not None and known_for < MAX_AGE_SECONDS and bool(left) and left == crawl.regions

    def _region(self, crawl: Crawl, save: Callable[[Crawl], None]) -> Crawl:
        """Read the rest of the first region, and return the crawl of the other regions."""
        region = crawl.regions[0]
        for page in self.client.snapshot_pages(region, crawl.cursor):
            rows = {snapshot.snapshot_id: snapshot for snapshot in page.rows}
            completed = [
                snapshot
                for snapshot_id, snapshot in rows.items()
                if snapshot.state == 'completed' and snapshot_id not in crawl.last_page
            ]
            crawl = replace(
                crawl,
                cursor=page.cursor,
                without_volume=(*crawl.without_volume, *self._without_volume(completed)),
                totals=crawl.totals.joined(completed, self.now),
                last_page=frozenset(rows),
            )
            if page.cursor is not None:
                save(crawl)
        orphaned = self._orphaned(region, crawl)
        return replace(
            crawl,
            regions=crawl.regions[1:],
            cursor=None,
            without_volume=(),
            last_page=frozenset(),
            totals=replace(crawl.totals, orphaned=orphaned),
        )

    def _without_volume(self, snapshots: Collection[Snapshot]) -> list[str]:
        gone = (one for one in snapshots if one.volume_id != NO_VOLUME and one.volume_id not in (self.volume_ids or ()))
        return [snapshot.snapshot_id for snapshot in gone]

    def _orphaned(self, region: str, crawl: Crawl) -> int | None:
        """Return the number of orphaned snapshots including those of a region. Images need snapshots without volume."""
        if self.volume_ids is None or not self.reads_images or crawl.totals.orphaned is None:
            return None
        if not crawl.without_volume:
            return crawl.totals.orphaned
        try:
            needed = self.client.image_snapshots(region)
        except (Unauthorized, OutOfBudget):
            raise
        except SourceError as error:
            self.problems.append(error)
            return None
        return crawl.totals.orphaned + len(set(crawl.without_volume) - needed)


def _tiers(snapshot: Snapshot, now: datetime) -> tuple[str, ...]:
    """Return the tiers in which AWS bills a snapshot; none on an Outpost, where the Outpost is billed."""
    if snapshot.site.on_outpost:
        return ()
    if not snapshot.is_archived:
        return (STANDARD,)
    is_restored = snapshot.restored_until is not None and snapshot.restored_until > now
    return (ARCHIVE, STANDARD) if is_restored else (ARCHIVE,)


def _gib(snapshot: Snapshot) -> float:
    """Return the GiB that a snapshot takes up at most: its data, or the size of its volume without its data."""
    return snapshot.size if snapshot.full_bytes is None else snapshot.full_bytes / BYTES_PER_GIB

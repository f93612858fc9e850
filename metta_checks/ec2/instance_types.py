"""The equipment of instance types, read from AWS once a week."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from ..core.errors import OutOfBudget, SourceError, Unauthorized
from ..core.memo import Ages, Learned, Memo
from .client import Client
from .records import Instance, InstanceType

WEEK_SECONDS = 7 * 86400
AGES = Ages(fresh=WEEK_SECONDS, usable=2 * WEEK_SECONDS)
SHOWN_NAMES = 5


class TypeReader:
    """Reads instance types, in one refresh.

    Attributes:
        unread: the names of types that could not be read
        problems: errors for which types are missing
    """

    def __init__(self, client: Client, remembered: Mapping[str, Learned[InstanceType]], now: datetime) -> None:
        self._client = client
        self._known = Memo(remembered, now.timestamp(), AGES)
        self.unread: set[str] = set()
        self.problems: list[SourceError] = []

    @property
    def learned(self) -> dict[str, Learned[InstanceType]]:
        """The types to remember, by name."""
        return self._known.learned

    def read(self, regions: Sequence[str], instances: Collection[Instance]) -> dict[str, InstanceType]:
        """Return the types of instances by name, without those that AWS does not describe.

        Raises Unauthorized and OutOfBudget. Other errors are problems: only figures that need a type are absent.
        """
        for region in regions:
            used = {(instance.instance_type,) for instance in instances if instance.region == region}
            # Not every region has every type: a type is read where it runs.
            self._read(region, [name for (name,) in self._known.stale(used)])
        names = sorted({instance.instance_type for instance in instances})
        found = {name: learned.value for name in names if (learned := self._known.get((name,)))}
        # An old description, or that of another region, is as good.
        self.unread -= found.keys()
        unknown = [name for name in names if name not in found and name not in self.unread]
        if unknown:
            shown = ', '.join(unknown[:SHOWN_NAMES])
            message = f'{len(unknown)} instance types are not described by AWS ({shown})'
            self.problems.append(SourceError(message, reason='unknown_type'))
        return found

    def _read(self, region: str, names: Collection[str]) -> None:
        try:
            for name, instance_type in self._client.types(region, names):
                self._known.put((name,), instance_type)
        except (Unauthorized, OutOfBudget):
            raise
        except SourceError as error:
            self.unread.update(names)
            # Once: a missing permission is missing in all regions.
            if not self.problems:
                self.problems.append(error)

"""The instances of all regions, read one region after the other: a region that fails does not hide the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ..core.errors import Forbidden, OutOfBudget, SourceError, Unauthorized
from ..core.memo import Ages, Learned
from .client import NOT_ENABLED, Client
from .records import Instance

# AWS is out of reach when this number of regions fails and none answers. Further regions are not tried.
MAX_FAILURES = 3
DAY_SECONDS = 86400
AGES = Ages(fresh=DAY_SECONDS, usable=7 * DAY_SECONDS)


@dataclass
class Survey:
    """The outcome of reading the instances of all regions.

    Attributes:
        instances: the instances by region, without regions that could not be read
        failures: the errors of regions that could not be read
        denied: the errors of regions that AWS lists but does not let the account use
    """

    instances: dict[str, list[Instance]] = field(default_factory=dict)
    failures: dict[str, SourceError] = field(default_factory=dict)
    denied: dict[str, SourceError] = field(default_factory=dict)

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions that the figures cover, those that could not be read included."""
        return tuple(sorted({*self.instances, *self.failures}))

    @property
    def warning(self) -> str | None:
        """The message about the denied regions, None without any."""
        if not self.denied:
            return None
        return (
            f'{len(self.denied)} of the regions that AWS lists are left out, because a policy denies them or they are '
            f'not enabled ({", ".join(sorted(self.denied))}). To end this warning, name the regions to read in option '
            f'`regions`. {next(iter(self.denied.values()))}'
        )

    def complete(self) -> list[Instance]:
        """Return the instances of all regions. Raises the error of a region that could not be read.

        A sum without a region is not a sum.
        """
        for error in self.failures.values():
            raise error
        return [instance for some in self.instances.values() for instance in some]


def enabled(client: Client, known: Learned[tuple[str, ...]] | None, now: float) -> Learned[tuple[str, ...]]:
    """Return the regions that are enabled for the account, read once a day. Raises SourceError."""
    if known is not None and known.is_fresh(now, AGES):
        return known
    return Learned(tuple(client.regions()), now)


def survey(regions: Iterable[str], read: Callable[[str], Iterable[Instance]], *, is_discovered: bool) -> Survey:
    """Read the instances of regions.

    Where the regions were discovered, those that are denied are left out, unless all of them are.

    Raises Unauthorized and OutOfBudget, and the error of the first region when all regions are denied.
    """
    found = Survey()
    for region in regions:
        if len(found.failures) >= MAX_FAILURES and not found.instances:
            found.failures[region] = next(iter(found.failures.values()))
            continue
        try:
            found.instances[region] = list(read(region))
        except (Unauthorized, OutOfBudget):
            raise
        except SourceError as error:
            failed = found.denied if is_discovered and _is_denied(error) else found.failures
            failed[region] = error
    if found.denied and not found.regions:
        raise next(iter(found.denied.values()))
    return found


def _is_denied(error: SourceError) -> bool:
    return isinstance(error, Forbidden) or error.reason == NOT_ENABLED

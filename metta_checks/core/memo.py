"""Learned values: facts that hardly change, stored with the time of reading and read again when they are old.

    @stored
    class Known:
        regions: Learned[tuple[str, ...]] | None = None
        prices: dict[str, Learned[float | None]] = field(default_factory=dict)

A single value is judged by its own methods. Values by key are worked on as a `Memo` and stored as its `learned`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from .stored import stored
from .times import age

V = TypeVar('V')
# The parts of a key, for instance region and type.
Parts = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ages:
    """The ages that a learned value may reach.

    Attributes:
        fresh: seconds until the value is asked for again
        usable: seconds until a `Memo` drops the value; a single `Learned` has to be asked with `is_usable`
    """

    fresh: float
    usable: float


@stored
class Learned(Generic[V]):
    """A value that was read from a service.

    Attributes:
        value: the value; None for "the service has none", which is worth remembering, too
        at: when it was read, in seconds since the epoch
    """

    value: V
    at: float

    def is_fresh(self, now: float, ages: Ages) -> bool:
        """Return whether the value need not be asked for again."""
        known_for = age(self.at, now)
        # A second of grace, because refreshes do not start to the millisecond.
        return known_for is not None and known_for < ages.fresh - 1

    def is_usable(self, now: float, ages: Ages) -> bool:
        """Return whether the value may be used."""
        known_for = age(self.at, now)
        return known_for is not None and known_for <= ages.usable


class Memo(Generic[V]):
    """Learned values by key, in one refresh."""

    def __init__(self, remembered: Mapping[str, Learned[V]], now: float, ages: Ages) -> None:
        self._now = now
        self._ages = ages
        # Values that are no longer usable are dropped.
        self._learned = {key: learned for key, learned in remembered.items() if learned.is_usable(now, ages)}

    def __contains__(self, key: Parts) -> bool:
        """Return whether something is known of a key, be it that there is none."""
        return '|'.join(key) in self._learned

    def stale(self, keys: Iterable[Parts]) -> Iterator[Parts]:
        """Yield the keys that have to be asked for."""
        for key in keys:
            learned = self.get(key)
            if learned is None or not learned.is_fresh(self._now, self._ages):
                yield key

    def get(self, key: Parts) -> Learned[V] | None:
        """Return what is known of a key, None when nothing is."""
        return self._learned.get('|'.join(key))

    def put(self, key: Parts, value: V) -> None:
        """Remember what was read now."""
        self._learned['|'.join(key)] = Learned(value, self._now)

    @property
    def learned(self) -> dict[str, Learned[V]]:
        """The values to store."""
        return dict(self._learned)


@stored
class Sightings:
    """Names that occurred lately. Their figures go to 0 before they are forgotten: graphs fall, they do not break off.

    Attributes:
        last: when each name was seen last, in seconds since the epoch
    """

    last: dict[str, float] = field(default_factory=dict)

    def joined(self, names: Iterable[str], now: float, *, keep: float) -> Sightings:
        """Return the sightings with those of now, without those that are `keep` seconds old."""
        last = {**self.last, **dict.fromkeys(names, now)}
        ages = {name: age(at, now) for name, at in last.items()}
        return replace(
            self, last={name: last[name] for name, since in ages.items() if since is not None and since < keep}
        )


def fingerprint(secret: str) -> str:
    """Return a digest that tells keys and tokens apart without revealing them."""
    return hashlib.sha256(secret.encode()).hexdigest()[:12]

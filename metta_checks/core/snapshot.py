"""The snapshot of an instance: one JSON document that survives restarts of the Agent."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from . import stored
from .stats import is_finite
from .status import Status
from .text import one_line
from .times import age, wait

SNAPSHOT_VERSION = 3
# The last good samples of a block that cannot be read are shown for this number of refresh intervals ...
KEEP_INTERVALS = 3
# ... but at least for this number of seconds.
KEEP_SECONDS = 180
# Full name, value, tags without the instance's.
Gauge = tuple[str, float, list[str]]


@dataclass(slots=True)
class StoredBlock:
    """The stored state of a block of a subject."""

    gauges: list[Gauge] = field(default_factory=list)
    refreshed_at: float | None = None
    # When the block was first tried, for one that has never succeeded.
    tried_at: float | None = None
    resume_at: float | None = None
    failures: int = 0
    truncated: bool = False
    state: Any = None
    # The names of metrics that later refreshes complete. Not stored: the first refresh of a process finds them again.
    unfinished: frozenset[str] = field(default=frozenset(), compare=False)
    # `state` is a decoded document; the core gives it its type when it is asked for.
    is_raw: bool = field(default=False, compare=False)


class Snapshot:
    """All knowledge of an instance, as one JSON document."""

    def __init__(self) -> None:
        self.blocks: dict[tuple[str, str], StoredBlock] = {}
        # The memory of the instance as a whole; a decoded document until the core has given it its type.
        self.memory: Any = None
        self.limits: dict[str, Any] = {}
        self.status = Status()
        # Fingerprint of the credentials that the last refresh used.
        self.credentials = ''
        self.refreshed_at: float | None = None
        # When the first of the latest refreshes that could not begin was tried; None after one that began.
        self.not_begun_since: float | None = None
        # When the snapshot was last written; None before that.
        self.written_at: float | None = None
        self.duration: float = 0.0

    def block(self, subject: str, name: str) -> StoredBlock:
        """Return the state of a block, made on first use."""
        return self.blocks.setdefault((subject, name), StoredBlock())

    def is_from_future(self, now: float) -> bool:
        """Return whether the clock was ahead when the snapshot was written, so that its times mean nothing."""
        return self.written_at is not None and age(self.written_at, now) is None

    def is_waiting(self, now: float) -> bool:
        """Return whether a rate limit or a block that failed waits for a time that has not come."""
        untils = [block.resume_at for block in self.blocks.values()] + [until for until, _ in self.limits.values()]
        return any(wait(until, now) for until in untils)

    def resumable(self, now: float) -> Iterable[tuple[str, str]]:
        """Yield the keys of the blocks that are to be tried again now, ahead of the next full refresh."""
        return (key for key, block in self.blocks.items() if wait(block.resume_at, now) == 0)

    def dump(self, now: float) -> str:
        """Return the document as text, and note `now` as the time of writing."""
        self.written_at = now
        return stored.dumps(
            {
                'version': SNAPSHOT_VERSION,
                'written_at': self.written_at,
                'refreshed_at': self.refreshed_at,
                'not_begun_since': self.not_begun_since,
                'duration': self.duration,
                'credentials': self.credentials,
                'status': self.status,
                'memory': self.memory,
                'limits': self.limits,
                'blocks': [
                    [
                        subject,
                        name,
                        {
                            'gauges': block.gauges,
                            'refreshed_at': block.refreshed_at,
                            'tried_at': block.tried_at,
                            'resume_at': block.resume_at,
                            'failures': block.failures,
                            'truncated': block.truncated,
                            'state': block.state,
                        },
                    ]
                    for (subject, name), block in self.blocks.items()
                ],
            }
        )

    @classmethod
    def load(cls, text: str, now: float) -> Snapshot:
        """Read a document back. Raises ValueError, saying why, when it cannot be used."""
        try:
            document = json.loads(text)
            if document['version'] != SNAPSHOT_VERSION:
                raise ValueError(f'written in format {document["version"]}, this is format {SNAPSHOT_VERSION}')
            snapshot = cls()
            snapshot.written_at = _number(document['written_at'])
            if snapshot.is_from_future(now):
                raise ValueError('written in the future')
            snapshot.refreshed_at = _past(document['refreshed_at'], now)
            # Snapshots of earlier releases lack it, as they lack `tried_at`: the time counts from the next attempt on.
            snapshot.not_begun_since = _past(document.get('not_begun_since'), now)
            snapshot.duration = _number(document['duration'])
            snapshot.credentials = _text(document['credentials'])
            snapshot.status = stored.load(Status, document['status'])
            snapshot.memory = document['memory']
            snapshot.limits = {
                str(resource): [_number(until), str(message)]
                for resource, (until, message) in document['limits'].items()
            }
            snapshot.blocks = {
                (_text(subject), _text(name)): _block(values, now) for subject, name, values in document['blocks']
            }
        except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise ValueError(f'not a snapshot ({type(error).__name__}: {one_line(str(error), 80)})') from error
        return snapshot


def _block(values: Any, now: float) -> StoredBlock:
    refreshed_at = _past(values['refreshed_at'], now)
    if refreshed_at is None and values['refreshed_at'] is not None:
        # The clock was ahead when the block was read: so are the times in its state.
        return StoredBlock()
    return StoredBlock(
        gauges=[
            (_text(metric), _number(value), [_text(tag) for tag in tags]) for metric, value, tags in values['gauges']
        ],
        refreshed_at=refreshed_at,
        tried_at=_past(values.get('tried_at'), now),
        resume_at=None if values['resume_at'] is None else _number(values['resume_at']),
        failures=int(max(_number(values['failures']), 0)),
        truncated=bool(values['truncated']),
        state=values['state'],
        is_raw=True,
    )


def _number(value: Any) -> float:
    if isinstance(value, bool) or not is_finite(value):
        raise TypeError(f'{str(value)[:20]!r} is not a number')
    return float(value)


def _past(value: Any, now: float) -> float | None:
    """Return a time that has passed; None for null and for a time in the future."""
    if value is None or age(_number(value), now) is None:
        return None
    return float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f'{str(value)[:20]!r} is not text')
    return value

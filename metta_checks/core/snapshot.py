"""What an instance knows, as one JSON document that survives restarts of the Agent."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from . import stored
from .stats import is_finite
from .text import one_line

SNAPSHOT_VERSION = 2
# A block that could not be read goes on showing its last good samples for so many refresh intervals ...
KEEP_INTERVALS = 3
# ... but at least for so many seconds.
KEEP_SECONDS = 180


@dataclass(slots=True)
class BlockState:
    """The stored state of a block of a subject.

    Gauges are stored as (full name, value, tags without the instance's).
    """

    gauges: list[tuple[str, float, list[str]]] = field(default_factory=list)
    refreshed_at: float | None = None
    resume_at: float | None = None
    failures: int = 0
    truncated: bool = False
    state: Any = None
    # `state` is a decoded document whose type nobody has asked for yet.
    is_raw: bool = field(default=False, compare=False)


class Snapshot:
    """All that an instance knows, as one JSON document."""

    def __init__(self) -> None:
        self.blocks: dict[tuple[str, str], BlockState] = {}
        # What the instance as a whole remembers; a decoded document until the core has given it its type.
        self.memory: Any = None
        self.limits: dict[str, Any] = {}
        self.refreshed_at: float | None = None
        self.duration: float = 0.0

    def block(self, subject: str, name: str) -> BlockState:
        """The state of a block, made on first use."""
        return self.blocks.setdefault((subject, name), BlockState())

    def dump(self, now: float) -> str:
        """The document as text."""
        return stored.dumps(
            {
                'version': SNAPSHOT_VERSION,
                'written_at': now,
                'refreshed_at': self.refreshed_at,
                'duration': self.duration,
                'memory': self.memory,
                'limits': self.limits,
                'blocks': [
                    [
                        subject,
                        name,
                        {
                            'gauges': block.gauges,
                            'refreshed_at': block.refreshed_at,
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
            if document['written_at'] > now + KEEP_SECONDS:
                raise ValueError('written in the future')
            snapshot = cls()
            snapshot.refreshed_at = _time(document['refreshed_at'])
            snapshot.duration = _number(document['duration'])
            snapshot.memory = document['memory']
            snapshot.limits = {
                str(resource): [_number(until), str(message)]
                for resource, (until, message) in document['limits'].items()
            }
            for subject, name, values in document['blocks']:
                snapshot.blocks[_text(subject), _text(name)] = BlockState(
                    gauges=[
                        (_text(metric), _number(value), [_text(tag) for tag in tags])
                        for metric, value, tags in values['gauges']
                    ],
                    refreshed_at=_time(values['refreshed_at']),
                    resume_at=_time(values['resume_at']),
                    failures=int(_number(values['failures'])),
                    truncated=bool(values['truncated']),
                    state=values['state'],
                    is_raw=True,
                )
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f'not a snapshot ({type(error).__name__}: {one_line(str(error), 80)})') from error
        return snapshot


def _number(value: Any) -> float:
    if isinstance(value, bool) or not is_finite(value):
        raise TypeError(f'{str(value)[:20]!r} is no number')
    return float(value)


def _time(value: Any) -> float | None:
    return None if value is None else _number(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f'{str(value)[:20]!r} is no text')
    return value

"""The status of an instance after its last refreshes: `metta.collector.up`, the service check and the warnings."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import IntEnum

from .errors import Unauthorized
from .stored import stored

# Reasons that leave the level at WARNING even when every block failed: the service answered, and the check waits.
WAITING_REASONS = frozenset({'rate_limit', 'budget', 'cancelled', 'truncated', 'dependency'})
# This many problems are spelled out; the others are counted.
MAX_WARNINGS = 10


class Level(IntEnum):
    """The level of the service check, as the Agent numbers it."""

    OK = 0
    WARNING = 1
    CRITICAL = 2


@stored
class Problem:
    """A failure or a partial failure of a block."""

    block: str
    subject: str
    reason: str
    message: str

    @property
    def line(self) -> str:
        """One line that names the block, too."""
        where = f'{self.subject}, block {self.block}' if self.subject else f'block {self.block}'
        return f'{where}: {self.message}'


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a refresh.

    Attributes:
        full: True if the refresh was a full one
        succeeded, failed: numbers of blocks; a refresh that could not begin failed once
        attempted: subject and name of the blocks that were attempted
        problems: failures and partial failures
    """

    full: bool
    succeeded: int
    failed: int
    attempted: Collection[tuple[str, str]]
    problems: tuple[Problem, ...]


@stored
class Status:
    """The status after a refresh, stored with the snapshot: a restart of the Agent does not change it.

    Attributes:
        level: 0 OK, 1 WARNING (a part failed, waits or is incomplete), 2 CRITICAL (nothing could be read); None before
            the first pass
        problems: failures of the last attempts at each block
    """

    level: Level | None = None
    problems: tuple[Problem, ...] = ()

    @property
    def is_up(self) -> bool:
        """The value of `metta.collector.up`."""
        return self.level is not Level.CRITICAL

    @property
    def message(self) -> str:
        """The message of the service check: the first problem and the number of others; empty without any."""
        lines = self._lines()
        more = f' (and {len(lines) - 1} more)' if len(lines) > 1 else ''
        return lines[0] + more if lines else ''

    def warnings(self) -> Iterator[str]:
        """Yield the lines for the status page of the Agent."""
        lines = self._lines()
        yield from lines[:MAX_WARNINGS]
        if len(lines) > MAX_WARNINGS:
            yield f'and {len(lines) - MAX_WARNINGS} more problems (metta.collector.errors counts them)'

    def after(self, outcome: Outcome, known: Collection[tuple[str, str]]) -> Status:
        """Return the status after a further pass. `known` are the blocks that the snapshot holds."""
        # Blocks that were not attempted keep their problems.
        untried = (one for one in self.problems if _key(one) in known and _key(one) not in outcome.attempted)
        problems = (*outcome.problems, *untried)
        if not problems:
            return Status(Level.OK)
        reasons = {problem.reason for problem in outcome.problems}
        # A pass over a few blocks says nothing about the others, unless the credentials were refused.
        covers_all = outcome.full or Unauthorized.reason in reasons or not self.is_up
        read_nothing = bool(outcome.failed) and not outcome.succeeded
        is_down = covers_all and read_nothing and not reasons <= WAITING_REASONS
        return Status(Level.CRITICAL if is_down else Level.WARNING, problems)

    def _lines(self) -> list[str]:
        return list(dict.fromkeys(problem.line for problem in self.problems))


def _key(problem: Problem) -> tuple[str, str]:
    return problem.subject, problem.block

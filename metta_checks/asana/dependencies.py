"""Reads the states of dependencies of which Asana's lists show only the gid."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from ..core.errors import SourceError
from ..core.refresh import Attempt
from .client import Client
from .records import Task

# Requests of one refresh. Completed dependencies are remembered, so later refreshes know more.
MAX_REQUESTS = 20


class Dependencies(NamedTuple):
    """Dependencies that are not in the table of tasks, and whose state is known.

    Attributes:
        completed: gids of completed tasks
        open: gids of tasks that are not completed
    """

    completed: frozenset[str] = frozenset()
    open: frozenset[str] = frozenset()


def is_blocked(task: Task, table: Mapping[str, Task], known: Dependencies) -> bool | None:
    """Return whether an open task depends on a task that is not completed; None when that is unknown."""
    # A blocker may have been completed after the task that depends on it was read.
    if any(gid not in table or table[gid].open for gid in task.blockers):
        return True
    states = [_is_open(gid, table, known) for gid in task.dependencies]
    return True if True in states else None if None in states else False


def _is_open(gid: str, table: Mapping[str, Task], known: Dependencies) -> bool | None:
    if gid in table:
        return table[gid].open
    return True if gid in known.open else False if gid in known.completed else None


def read(client: Client, table: Mapping[str, Task], completed: Collection[str], attempt: Attempt[Any]) -> Dependencies:
    """Ask for the dependencies of tasks of which the table does not tell whether they are blocked.

    Reports an error of Asana, and the number of tasks that remain unknown. `completed` are the gids of dependencies
    that are known to be completed.
    """
    used = {gid for task in table.values() if task.open for gid in task.dependencies}
    known = Dependencies(frozenset(used.intersection(completed)))
    requests = 0
    for task in _unknown(table, known):
        if is_blocked(task, table, known) is not None:
            # The answer about another task has told its state.
            continue
        if requests == MAX_REQUESTS:
            attempt.unfinished(['tasks.blocked'])
            break
        requests += 1
        try:
            known = _with_states(client, task.gid, known)
        except SourceError as error:
            attempt.problem(error.reason, f'tasks.blocked: the dependencies of a task cannot be read: {error}')
            break
    if unknown := len(list(_unknown(table, known))):
        attempt.problem(
            'missing_field',
            f'{unknown} tasks have dependencies of unknown state, so tasks.blocked is absent; a refresh asks for those '
            f'of {MAX_REQUESTS} tasks',
        )
    return known


def _unknown(table: Mapping[str, Task], known: Dependencies) -> Iterator[Task]:
    return (task for task in table.values() if task.open and is_blocked(task, table, known) is None)


def _with_states(client: Client, task: str, known: Dependencies) -> Dependencies:
    rows = [row for page in client.dependencies(task) for row in page.rows]
    completed = {row.gid for row in rows if row.completed}
    still_open = {row.gid for row in rows if row.completed is False}
    return Dependencies(known.completed | completed, known.open | still_open)

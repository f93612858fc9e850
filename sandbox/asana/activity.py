"""Changes that people make while time passes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta

from .data import SECTIONS, Generator
from .model import Task, User

# Per hour and thousand tasks.
MODIFIED, COMPLETED, CREATED, MOVED, REOPENED = 20, 4, 4, 4, 0.2
# Tasks that were completed longer ago are not reopened.
REOPENED_WITHIN = timedelta(days=60)
LEAVES_AFTER = timedelta(hours=6)
LEFT_BEHIND = 25
# Search may not find later changes yet.
SETTLED = timedelta(seconds=60)


class Activity:
    """Modifies, completes, creates, moves and reopens tasks; one day somebody leaves.

    Parameters:
        reopening_dice: decides on reopened tasks, which came later than all other changes
    """

    def __init__(
        self, generator: Generator, dice: random.Random, reopening_dice: random.Random, *, creations: bool
    ) -> None:
        self._generator = generator
        self._workspace = generator.workspace
        self._dice = dice
        self._reopening_dice = reopening_dice
        self._creations = creations
        self._leaving_at: datetime | None = generator.now + LEAVES_AFTER

    def happen(self, start: datetime, end: datetime) -> None:
        """Make all changes of the time from start to end."""
        last = end - SETTLED
        if last <= start:
            return
        opened = [t for t in self._workspace.tasks.values() if not t.completed and not t.separator and t.memberships]
        amount = len(self._workspace.tasks) / 1000 * (last - start) / timedelta(hours=1)
        for act, rate in (
            (self._modify, MODIFIED),
            (self._complete, COMPLETED),
            (self._move, MOVED),
            (self._create, CREATED if self._creations else 0),
        ):
            for _ in range(self._number(amount * rate)):
                moment = start + (last - start) * self._dice.random()
                act(self._dice.choice(opened), moment.replace(microsecond=self._dice.randrange(1000) * 1000))
        self._reopen(start, last, amount * REOPENED)
        if self._leaving_at is not None and self._leaving_at <= last:
            self.leave(self._workspace.users[-1], self._leaving_at)
            self._leaving_at = None

    def leave(self, person: User, at: datetime) -> list[Task]:
        """Let somebody leave, whose tasks then have no owner. Returns those tasks."""
        own = [t for t in self._workspace.tasks.values() if not t.completed and self._workspace.counts(t)]
        own.sort(key=lambda task: task.assignee is not person)
        left = own[:LEFT_BEHIND]
        for task in left:
            task.assignee = None
            task.modified_at = at
        return left

    def _number(self, expected: float, dice: random.Random | None = None) -> int:
        """Return a whole number that is the expected one on average."""
        return int(expected) + ((dice or self._dice).random() < expected % 1)

    def _reopen(self, start: datetime, end: datetime, expected: float) -> None:
        """Reopen tasks that were completed before `start`."""
        dice = self._reopening_dice
        earliest = start - REOPENED_WITHIN
        done = [
            task
            for task in self._workspace.tasks.values()
            if task.completed_at is not None and earliest <= task.completed_at < start and task.memberships
        ]
        for task in dice.sample(done, min(len(done), self._number(expected, dice))):
            at = start + (end - start) * dice.random()
            self._workspace.reopen(task, at.replace(microsecond=dice.randrange(1000) * 1000))

    def _modify(self, task: Task, at: datetime) -> None:
        if task.completed:
            return
        if self._dice.random() < 0.3:
            task.assignee = self._dice.choice((*self._workspace.users, None))
        if self._dice.random() < 0.3:
            task.due_on = at.date() + timedelta(days=self._dice.randint(0, 30))
            task.due_at = None
        task.modified_at = max(task.modified_at, at)

    def _complete(self, task: Task, at: datetime) -> None:
        if task.completed or task.created_at > at:
            return
        task.completed_at = task.modified_at = max(task.modified_at, at)
        task.completer = self._dice.choice(self._workspace.users)

    def _create(self, near: Task, at: datetime) -> None:
        task = self._generator.new_task(at, near.memberships, self._dice)
        task.assignee = self._dice.choice((*self._workspace.users, None))

    def _move(self, task: Task, at: datetime) -> None:
        """Move a task to another section of a project. Asana does not count this as a modification."""
        project = next(iter(task.memberships))
        sections: Sequence[str] = self._workspace.projects[project].sections or SECTIONS
        self._workspace.place(task, project, self._dice.choice(sections), at)

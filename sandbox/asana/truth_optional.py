"""The figures that options switch on, and those that need a time of observation."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime

from ..server import Figure
from .model import CustomField, Task
from .truth import HOUR, Truth, one, quantile

# Kind of section, begin, end; None: not over.
Stay = tuple[str, datetime, datetime | None]


class OptionalTruth(Truth):
    """The truth with figures of their own methods, since `figures` has those of an instance without options."""

    def single_projects(self, gids: Iterable[str]) -> Iterator[Figure]:
        """Compute the figures of single projects. Projects of the same name are one."""
        by_name: dict[str, dict[str, Task]] = {}
        for gid in gids:
            tasks = by_name.setdefault(self._workspace.projects[gid].name.lower(), {})
            tasks.update({task.gid: task for task in self._workspace.tasks_of(gid) if self._workspace.counts(task)})
        for name, own in by_name.items():
            tags = (f'project:{name}',)
            opened = [task for task in own.values() if not task.completed]
            yield from one('project.open', len(opened), tags)
            yield from one('project.overdue', sum(map(self._is_overdue, opened)), tags)
            yield from one('project.completed_7d', len(self._completed(own.values(), self._week)), tags)

    def milestones(self) -> Iterator[Figure]:
        """Compute milestones.*."""
        milestones = [task for task in self._opened() if task.subtype == 'milestone']
        yield from one('milestones.open', len(milestones))
        yield from one('milestones.overdue', sum(map(self._is_overdue, milestones)))

    def blocked(self) -> Iterator[Figure]:
        """Compute tasks.blocked."""
        tasks = self._workspace.tasks
        yield from one(
            'tasks.blocked',
            sum(any(gid in tasks and not tasks[gid].completed for gid in task.dependencies) for task in self._opened()),
        )

    def severities(self, field: CustomField) -> Iterator[Figure]:
        """Compute bugs.open_by_severity with a field of the Bugs project. Enabled values, and none, show even at 0."""
        names = {choice.gid: choice.name.lower() for choice in field.choices}
        shown = [choice.name.lower() for choice in field.choices if choice.enabled]
        bugs = [bug for bug in self._workspace.tasks_of(self._bugs_project) if not bug.separator and not bug.completed]
        values = [names[bug.choices[field.gid]] if field.gid in bug.choices else 'none' for bug in bugs]
        for name in dict.fromkeys([*shown, 'none', *values]):
            yield from one('bugs.open_by_severity', values.count(name), (f'severity:{name}',))

    def in_progress(self, sections: Collection[str]) -> Iterator[Figure]:
        """Compute wip.count, given the names of the sections in which people work."""
        projects = self._workspace.projects
        yield from one(
            'wip.count',
            sum(
                any(name in sections and not projects[gid].archived for gid, name in task.memberships.items())
                for task in self._opened()
            ),
        )

    def cycle_times(self, sections: Collection[str]) -> Iterator[Figure]:
        """Compute cycle_time.* from the first move into one of the sections."""
        counted = [task for task in self._workspace.tasks.values() if self._workspace.counts(task)]
        hours = []
        for task, at in self._completed(counted, self._month):
            starts = [move.at for move in task.moves if move.section in sections and move.at <= at]
            if starts:
                hours.append((at - min(starts)) / HOUR)
        tags = ('basis:started',)
        if hours:
            yield from one('cycle_time.avg_hours', sum(hours) / len(hours), tags)
            yield from one('cycle_time.p50_hours', quantile(hours, 0.5), tags)
            yield from one('cycle_time.p90_hours', quantile(hours, 0.9), tags)

    def reopened(self) -> Iterator[Figure]:
        """Compute projects.bugs.reopened_7d, which a check knows after 7 days."""
        bugs = [bug for bug in self._workspace.tasks_of(self._bugs_project) if not bug.separator]
        number = sum(any(reopening.at >= self._week for reopening in bug.reopenings) for bug in bugs)
        yield from one('projects.bugs.reopened_7d', number)

    def section_times(self, since: datetime) -> Iterator[Figure]:
        """Compute bugs.section_time_hours and bugs.section_stay_hours from the entries after a time."""
        bugs = [bug for bug in self._workspace.tasks_of(self._bugs_project) if not bug.separator]
        stays = [stay for bug in bugs for stay in self._stays(bug) if stay[1] > since]
        for kind in ('triage', 'active', 'backlog'):
            tags = (f'section:{kind}',)
            here = [(self._now - begin) / HOUR for name, begin, end in stays if name == kind and end is None]
            left = [
                (end - begin) / HOUR
                for name, begin, end in stays
                if name == kind and end is not None and end >= self._month
            ]
            if here:
                yield from one('bugs.section_time_hours.p50', quantile(here, 0.5), tags)
            if left:
                yield from one('bugs.section_stay_hours.p50', quantile(left, 0.5), tags)
                yield from one('bugs.section_stay_hours.p90', quantile(left, 0.9), tags)

    def _stays(self, bug: Task) -> Iterator[Stay]:
        """List the stays of a bug in kinds of sections, from its first move to its completion."""
        end = bug.completed_at
        moves = [move for move in bug.moves if move.project == self._bugs_project and (end is None or move.at <= end)]
        kind, begin = '', None
        for move in sorted(moves, key=lambda move: move.at):
            entered = self._kind_of_section(move.section)
            if entered != kind:
                if begin is not None:
                    yield kind, begin, move.at
                kind, begin = entered, move.at
        if begin is not None:
            yield kind, begin, end

    def _opened(self) -> list[Task]:
        return [task for task in self._workspace.tasks.values() if not task.completed and self._workspace.counts(task)]

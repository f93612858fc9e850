"""The organization's workspace: projects of very different sizes and a Bugs project.

The week: a sprint ends on Friday, a release has brought a spike of new bugs, one status is forgotten.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from ..organization import Organization
from .model import Choice, CustomField, Project, Reopening, Status, Task, User, Workspace
from .options import AsanaOptions

WORKSPACE_GID = '1198000000000001'
ZONES = ('Europe/Berlin', 'America/Los_Angeles')
PEOPLE = 15
SECTIONS = ('To do', 'In progress', 'Review', 'Done')
BUG_SECTIONS = ('Triage', 'Active', 'Backlog', 'Inactive - parked')

# Severities of bugs and their shares; the other bugs have no severity. The last one is disabled and still in use.
SEVERITIES = {'Critical': 0.05, 'High': 0.2, 'Medium': 0.3, 'Low': 0.2, 'Trivial': 0.05}

# Of the demo, to which other sizes are in proportion.
DEMO_TASKS = 1_400
DEMO_PROJECTS = 33
DEMO_BUGS = 330
ARCHIVED_PROJECTS = 3
# (status, projects, age of the update in days); one more project is completed, and one forgotten status is of old.
STATUSES = (('on_track', 18), ('at_risk', 5), ('off_track', 3), ('on_hold', 2), (None, 4), ('complete', 1))
FORGOTTEN_STATUS_DAYS = 40
OPEN_BUGS = (('Triage', 22), ('Active', 31), ('Backlog', 55), ('Inactive - parked', 12))
DEMO_OPEN_BUGS = 120
RELEASE_HOURS = 30
SPIKE = 14
OLDEST_BUG_DAYS = 211
BUGS_ELSEWHERE = 8
OVERDUE = 9
DUE_THIS_WEEK = 40

SUBTASK_SHARE = 0.12
OPEN_SHARE = 0.30
# Of all tasks.
RECENT_SHARE = 0.048
SECOND_PROJECT_SHARE = 0.05
# Project sizes: a few hold most of the tasks.
PARETO = 1.16

TOPICS = (
    'Evals', 'Curriculum', 'Cluster', 'Replays', 'Docs', 'Hiring', 'Website', 'Observability', 'Scheduler', 'Datasets',
    'Policy zoo', 'Onboarding', 'Security', 'Budget', 'Interpretability', 'Navigation',
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of a workspace. `tasks` includes subtasks and bugs, `projects` excludes archived ones."""

    tasks: int
    projects: int
    bugs: int

    @classmethod
    def of(cls, options: AsanaOptions) -> Sizes:
        """Return the sizes that options ask for: the demo's times `scale`, except those that are given as numbers."""
        scale = options.scale
        return cls(
            tasks=round(DEMO_TASKS * scale) if options.tasks is None else options.tasks,
            projects=max(DEMO_PROJECTS, round(DEMO_PROJECTS * scale)) if options.projects is None else options.projects,
            bugs=round(DEMO_BUGS * scale) if options.bugs is None else options.bugs,
        )


class Generator:
    """Builds the workspace as it is at `now`."""

    def __init__(self, organization: Organization, now: datetime, sizes: Sizes) -> None:
        self._dice = organization.random('asana')
        # Details came later: with dice of their own, everything else stays the same.
        self._detail_dice = organization.random('asana-details')
        self.now = now
        self._tasks = sizes.tasks
        self._projects = sizes.projects
        self._bugs = sizes.bugs
        users = [
            User(f'11970000000{100 + index}', person.name, ZONES[index % 2])
            for index, person in enumerate(organization.people[:PEOPLE])
        ]
        self.workspace = Workspace(WORKSPACE_GID, organization.name, users)
        self.bugs_project = ''

    def build(self) -> Workspace:
        """Make everything."""
        self._make_projects()
        self._make_bugs()
        self._make_tasks()
        self._make_noise()
        self._make_details()
        return self.workspace

    # Projects.

    def _make_projects(self) -> None:
        statuses = [status for status, number in STATUSES for _ in range(number)]
        statuses = [statuses[index % len(statuses)] for index in range(self._projects)]
        self._dice.shuffle(statuses)
        for index, status in enumerate(statuses):
            number = index // len(TOPICS)
            name = 'Bugs' if index == 0 else TOPICS[index % len(TOPICS)] + (f' {number + 1}' if number else '')
            sections = BUG_SECTIONS if index == 0 else SECTIONS
            project = Project(self.workspace.new_gid(), name, sections)
            if status is not None:
                project.status = Status(status, self._ago(hours=self._dice.uniform(2, 12 * 24)))
            if self._dice.random() < 0.4:
                project.due_on = self.now.date() + timedelta(days=self._dice.randint(-5, 90))
            project.completed = status == 'complete'
            self.workspace.add_project(project)
        self.bugs_project = next(iter(self.workspace.projects))
        forgotten = next(p for p in self.workspace.projects.values() if p.status and p.status.type == 'on_track')
        forgotten.status = Status('on_track', self._ago(days=FORGOTTEN_STATUS_DAYS))
        for index in range(ARCHIVED_PROJECTS):
            self.workspace.add_project(
                Project(self.workspace.new_gid(), f'Old {index + 1}', SECTIONS, archived=True, completed=index == 0)
            )

    def _others(self) -> list[Project]:
        return [p for p in self.workspace.projects.values() if not p.archived and p.gid != self.bugs_project]

    # Bugs.

    def _make_bugs(self) -> None:
        share = self._bugs / DEMO_BUGS
        open_bugs = [section for section, number in OPEN_BUGS for _ in range(round(number * share))]
        others = self._others()
        spike = round(SPIKE * share)
        for index, section in enumerate(open_bugs):
            # The first ones stand in triage: those of the release.
            if index < spike:
                created = self._ago(hours=self._dice.uniform(0.5, RELEASE_HOURS))
            elif index == len(open_bugs) - 1:
                created = self._ago(days=OLDEST_BUG_DAYS)
            else:
                created = self._ago(days=min(OLDEST_BUG_DAYS - 1, 8 + self._dice.expovariate(1 / 50)))
            bug = self._task(created, {self.bugs_project: section})
            bug.assignee = self._anyone() if section == 'Active' or self._dice.random() < 0.5 else None
            if index % (DEMO_OPEN_BUGS // BUGS_ELSEWHERE) == 7:
                # First in the other project, whose section says something else.
                other = others[index % len(others)].gid
                self._replace_memberships(bug, {other: 'In progress', self.bugs_project: section})
        for index in range(self._bugs - len(open_bugs)):
            recent = index < round(self._bugs * 0.08)
            ended = self._ago(days=self._dice.uniform(0.1, 29) if recent else self._dice.uniform(31, 500))
            created = ended - timedelta(days=self._dice.expovariate(1 / (3 if index % 2 else 20)))
            self._complete(self._task(created, {self.bugs_project: self._dice.choice(BUG_SECTIONS)}), ended)

    # All other tasks.

    def _make_tasks(self) -> None:
        places = self._places()
        number = self._tasks - self._bugs
        opened = round(self._tasks * OPEN_SHARE) - round(DEMO_OPEN_BUGS * self._bugs / DEMO_BUGS)
        recent = round(self._tasks * RECENT_SHARE) - round(self._bugs * 0.08)
        made: list[Task] = []
        for index in range(number):
            memberships = next(places)
            if index < opened:
                created = self._ago(days=min(700, 0.05 + self._dice.expovariate(1 / 60)))
                task = self._task(created, memberships)
            else:
                days = self._dice.uniform(0.05, 29.9) if index < opened + recent else self._dice.uniform(30.1, 700)
                ended = self._ago(days=days)
                task = self._task(ended - timedelta(hours=self._dice.expovariate(1 / 120)), memberships)
                self._complete(task, ended)
            if made and self._dice.random() < SUBTASK_SHARE:
                task.parent = self._dice.choice(made).gid
                # Subtasks are in no list of a project, unless somebody adds them.
                if self._dice.random() < 0.9:
                    self._replace_memberships(task, {})
            elif not task.completed:
                made.append(task)
        self._dice.shuffle(made)
        self._give_due_dates(made)
        for task, other in zip(made[::9], made[1::9], strict=False):
            task.dependencies.append(other.gid)

    def _places(self) -> Iterator[dict[str, str | None]]:
        others = self._others()
        weights = [self._dice.paretovariate(PARETO) for _ in others]
        # Every project has something.
        waiting = deque(others)
        while True:
            first = waiting.popleft() if waiting else self._dice.choices(others, weights)[0]
            places: dict[str, str | None] = {first.gid: self._dice.choice(SECTIONS[:3])}
            if self._dice.random() < SECOND_PROJECT_SHARE:
                places[self._dice.choice(others).gid] = self._dice.choice((*SECTIONS[:3], None))
            yield places

    def _give_due_dates(self, opened: list[Task]) -> None:
        share = self._tasks / DEMO_TASKS
        today = self.now.astimezone(ZoneInfo(ZONES[0])).date()
        overdue, this_week = round(OVERDUE * share), round(DUE_THIS_WEEK * share)
        for index, task in enumerate(opened):
            if index < overdue:
                task.due_on = today - timedelta(days=self._dice.randint(1, 20))
            elif index < overdue + this_week:
                # Most of the sprint on its last day.
                left = 7 - today.isoweekday()
                friday = 5 - today.isoweekday()
                days = friday if friday >= 0 and index % 3 else self._dice.randint(0, left)
                task.due_on = today + timedelta(days=days)
            elif index % 2:
                task.due_on = today + timedelta(days=7 + self._dice.randint(1, 80))
            if task.due_on is not None and index % 4 == 0:
                self._give_time(task, task.due_on, index)

    def _give_time(self, task: Task, due_on: date, index: int) -> None:
        zone = ZoneInfo((task.assignee or task.creator).zone)
        hour = time(23, 30) if index % 8 == 0 else time(12, 0)
        task.due_at = datetime.combine(due_on, hour, zone).astimezone(self.now.tzinfo)

    def _make_noise(self) -> None:
        """Make separators, tasks of archived projects and private tasks, which the check must not count.

        Make milestones, too, which it must count.
        """
        others = self._others()
        for project in others[:: max(1, len(others) // 10)]:
            separator = self._task(self._ago(days=200), {project.gid: None})
            separator.separator = True
            milestone = self._task(self._ago(days=40), {project.gid: SECTIONS[0]})
            milestone.subtype = 'milestone'
        bugs_separator = self._task(self._ago(days=300), {self.bugs_project: None})
        bugs_separator.separator = True
        for project in [p for p in self.workspace.projects.values() if p.archived]:
            for index in range(6):
                task = self._task(self._ago(days=100 + index), {project.gid: SECTIONS[0]})
                task.modified_at = self._ago(hours=5)
        for index in range(5):
            self._task(self._ago(days=index + 0.5), {})

    def _make_details(self) -> None:
        """Give bugs a severity, milestones and completed tasks a due date, and reopen a few bugs of the past."""
        dice = self._detail_dice
        today = self.now.date()
        bugs = [task for task in self.workspace.tasks_of(self.bugs_project) if not task.separator]
        names, weights = list(SEVERITIES), list(SEVERITIES.values())
        choices = [Choice(self.workspace.new_gid(), name, name != names[-1]) for name in names]
        severity = CustomField(self.workspace.new_gid(), 'Severity', 'enum', tuple(choices))
        notes = CustomField(self.workspace.new_gid(), 'Customer', 'text')
        self.workspace.projects[self.bugs_project].custom_fields = (notes, severity)
        for bug in bugs:
            choice = dice.choices((*choices, None), (*weights, 1 - sum(weights)))[0]
            if choice is not None:
                bug.choices[severity.gid] = choice.gid
        for bug in [bug for bug in bugs if bug.completed_at is not None][::17]:
            ended = bug.completed_at
            assert ended is not None
            between = sorted(_whole(bug.created_at + (ended - bug.created_at) * dice.random()) for _ in range(2))
            bug.reopenings.append(Reopening(*between))
        for task in self.workspace.tasks.values():
            if task.subtype == 'milestone':
                task.due_on = today + timedelta(days=dice.randint(-10, 60))
            elif task.completed_at is not None and dice.random() < 0.5:
                task.due_on = (task.completed_at + timedelta(days=dice.randint(-3, 6))).date()
                if dice.random() < 0.3:
                    self._give_time(task, task.due_on, dice.randrange(16))

    # Single tasks.

    def new_task(self, at: datetime, memberships: dict[str, str | None], dice: random.Random) -> Task:
        """Create a task, by anyone."""
        at = _whole(at)
        creator = dice.choice(self.workspace.users)
        return self.workspace.add_task(Task(self.workspace.new_gid(), at, at, creator, memberships=dict(memberships)))

    def _task(self, created: datetime, memberships: dict[str, str | None]) -> Task:
        task = self.new_task(created, memberships, self._dice)
        if self._dice.random() < 0.8:
            task.assignee = self._anyone()
        # Half of the time nobody has looked at it since.
        task.modified_at = self._between(created, self.now if self._dice.random() < 0.5 else created)
        if 'In progress' in memberships.values():
            self.workspace.place(task, next(iter(memberships)), 'In progress', self._between(created, task.modified_at))
            task.memberships.update(memberships)
        return task

    def _complete(self, task: Task, at: datetime) -> None:
        task.completed_at = task.modified_at = at
        task.completer = task.assignee or self._anyone()
        task.assignee = task.completer
        task.moves = [move for move in task.moves if move.at < at]

    def _replace_memberships(self, task: Task, memberships: dict[str, str | None]) -> None:
        for project in list(task.memberships):
            self.workspace.withdraw(task, project)
        for project, section in memberships.items():
            self.workspace.place(task, project, section, task.created_at)
        task.moves = []

    def _anyone(self) -> User:
        return self._dice.choice(self.workspace.users)

    def _ago(self, **delta: float) -> datetime:
        return _whole(self.now - timedelta(**delta))

    def _between(self, start: datetime, end: datetime) -> datetime:
        return _whole(start + (end - start) * self._dice.random())


def _whole(at: datetime) -> datetime:
    """Round a time to milliseconds, as Asana does."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)

"""Check, `verify` and truth on small workspaces of edge cases: limits of windows, time zones, names, odd places."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import chain
from zoneinfo import ZoneInfo

import pytest

from metta_checks import verify
from metta_checks.testing import Driver, as_truth
from sandbox import Clock
from sandbox.asana.model import Choice, CustomField, Status
from sandbox.asana.truth_optional import OptionalTruth

pytest.importorskip('asana')

pytestmark = pytest.mark.integration

PREFIX = 'metta.asana.'
SECTIONS = (
    'In progress', 'In-Progress 🚧', 'Not in progress', 'in  progress', 'In progress (EU)', 'Inprogress', 'Triage',
    'No longer in progress', '対応中 In progress', 'In progress, not started', 'Un-triaged', 'Untriaged', 'Backlog',
    'Not triage / active', 'Back log', 'Active', 'Inactive', 'non active', 'NOT YET ACTIVE', 'Active - not',
    'Re\u0301vision active', None,
)  # fmt: skip
SEVERITY = CustomField(
    '30',
    'Severity',
    'enum',
    (
        Choice('31', 'High'),
        Choice('32', 'high'),
        Choice('33', 'Low', enabled=False),
        Choice('34', 'Ünder'),
        Choice('35', 'None'),
    ),
)
STATUSES = ('on_track', 'at_risk', 'off_track', 'on_hold', 'complete', 'dropped')
ZONES = ('Europe/Berlin', 'Pacific/Auckland', 'America/Los_Angeles', 'UTC', 'Asia/Kathmandu')
# The truth does not read names of sections with options.
BY_SECTION = ('wip.count', 'cycle_time.', 'triage_count', 'active_count', 'backlog_count', 'other_count')


class EdgeCases:
    """Fills an empty workspace with tasks whose times lie at or beside a limit."""

    def __init__(self, service, dice, zone):
        self.service, self.dice, self.zone = service, dice, ZoneInfo(zone)
        self.start = service.clock.now()
        service.clear()
        service.workspace.projects[service.bugs_project].custom_fields = (SEVERITY,)
        self.projects = [service.bugs_project, *(self.project(number).gid for number in range(5))]
        self.tasks = []
        for _ in range(80):
            self.tasks.append(self.task())

    def ago(self, *days):
        return self.start - timedelta(days=self.dice.choice(days), seconds=self.dice.choice((0, 0, 1)))

    def project(self, number):
        project = self.service.create_project(self.dice.choice(('Alpha', 'alpha', 'Beta', 'Gämma')), ())
        project.archived, project.completed = number == 4, number == 3
        if self.dice.random() < 0.6:
            project.status = Status(self.dice.choice(STATUSES), self.ago(1, 13.99, 14, 14.01, 40))
        if self.dice.random() < 0.6:
            project.due_on = self.start.date() + timedelta(days=self.dice.randint(-1, 1))
        return project

    def task(self):
        dice, service = self.dice, self.service
        created = self.ago(0, 0.5, 6.9999, 7, 7.0001, 29.9, 30, 30.001, 90, 200)
        places = {gid: dice.choice(SECTIONS) for gid in dice.sample(self.projects, dice.choice((0, 1, 1, 2, 3)))}
        task = service.create_task(places, created_at=created)
        task.modified_at = min(self.start, created + timedelta(days=dice.choice((0, 5, 31))))
        if dice.random() < 0.4:
            task.completed_at = task.modified_at = max(created, self.ago(0.01, 6.999, 7, 29.99, 30, 30.01, 60))
            task.completer = dice.choice((*service.workspace.users, None))
        self.give_due_date(task)
        task.assignee = dice.choice((service.workspace.users[0], None))
        task.separator = dice.random() < 0.1
        task.subtype = dice.choice(('default_task', 'milestone', 'approval'))
        if self.tasks and dice.random() < 0.15:
            task.parent = dice.choice(self.tasks).gid
        if dice.random() < 0.3:
            task.dependencies = [one.gid for one in dice.sample(self.tasks, min(len(self.tasks), 2))]
        if service.bugs_project in places and dice.random() < 0.8:
            task.choices[SEVERITY.gid] = dice.choice(SEVERITY.choices).gid
        for project, section in places.items():
            at = created + ((task.completed_at or self.start) - created) * dice.random()
            service.workspace.place(task, project, section, at.replace(microsecond=0))
        return task

    def give_due_date(self, task):
        reference = task.completed_at or self.start
        kind = self.dice.choice(('time', 'date', 'none'))
        if kind == 'date':
            task.due_on = reference.astimezone(self.zone).date() + timedelta(days=self.dice.choice((-1, 0, 0, 1, 7)))
        elif kind == 'time':
            task.due_at = reference + timedelta(seconds=self.dice.choice((-3600, -1, 0, 1, 3600)))
            task.due_on = task.due_at.date()


def by_series(figures):
    return {(figure.name, figure.tags): pytest.approx(figure.value) for figure in figures}


@pytest.mark.parametrize('seed', range(12))
def test_all_three_agree_on_edge_cases(serve, seed):
    dice = random.Random(seed)
    day, hour, minute = dice.choice((8, 15, 28, 29, 30)), dice.choice((0, 1, 7, 12, 22, 23)), dice.choice((0, 30, 59))
    clock = Clock(datetime(2026, 3, day, hour, minute, tzinfo=UTC))
    service = serve('asana', clock=clock, premium=seed % 3 > 0, activity=False)
    zone = dice.choice(ZONES)
    projects = EdgeCases(service, dice, zone).projects
    options = {
        'timezone': zone,
        'projects': projects,
        'section_map': {'triage': ['triage', 'inbox'], 'active': ['active', 'in progress']},
        'bugs_severity_field': 'severity' if service.premium else '',
        'milestones': True,
        'blocked_fields': True,
        'started_sections': ['In Progress', 'révision'],
        'cycle_time_basis': dice.choice(('created', 'started')),
        'use_stories': True,
    }
    run = Driver.of(service, **options).run()
    ours = {key: value for key, value in run.values.items() if key[0].startswith(PREFIX)}
    assert ours == by_series(verify.recompute('asana', {**service.instance(), **options}, clock.now()).figures)
    truth = OptionalTruth(service.workspace, service.bugs_project, clock.now(), zone)
    optional = [truth.single_projects(projects[:-1]), truth.blocked(), truth.milestones()]
    if service.premium:
        optional.append(truth.severities(SEVERITY))
    expected = as_truth(chain(truth.figures(total=True), *optional))
    of_truth = {key: value for key, value in ours.items() if not any(part in key[0] for part in BY_SECTION)}
    assert of_truth == {
        key: pytest.approx(value) for key, value in expected.items() if not any(part in key[0] for part in BY_SECTION)
    }


def test_dependencies_are_known_by_their_gids(serve, monkeypatch):
    # Asana documents the gid of a dependency only: https://developers.asana.com/reference/tasks
    service = serve('asana', tasks=300, bugs=60, projects=6, activity=False)
    show = service._shown.task

    def only_gids(task):
        row = show(task)
        return {**row, 'dependencies': [{'gid': one['gid']} for one in row['dependencies']]}

    monkeypatch.setattr(service._shown, 'task', only_gids)
    instance = {**service.instance(), 'blocked_fields': True}

    def blocked():
        figures = verify.recompute('asana', instance, service.clock.now()).figures
        return [figure for figure in figures if figure.name == f'{PREFIX}tasks.blocked']

    assert by_series(blocked()) == by_series(service.truths(service.clock.now()).blocked())
    # A task without a project is in no list.
    private = service.create_task({})
    service.create_task({service.bugs_project: 'Triage'}, dependencies=[private.gid])
    assert blocked() == []


def test_an_empty_workspace_has_figures_without_a_series(serve):
    service = serve('asana', tasks=60, bugs=10, activity=False)
    filled = verify.recompute('asana', service.instance(), service.clock.now())
    service.clear()
    empty = verify.recompute('asana', service.instance(), service.clock.now())
    names = {figure.name for figure in empty.figures}
    assert names == Driver.of(service).run().names
    assert f'{PREFIX}wip.age_p50_days' in empty.without_series
    assert empty.without_series | names == filled.without_series | {figure.name for figure in filled.figures}

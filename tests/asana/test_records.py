"""Parsing of Asana's answers."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metta_checks.asana.client import format_milliseconds
from metta_checks.asana.records import (
    Bug,
    CountedTask,
    CustomField,
    Me,
    Project,
    Story,
    Task,
    Unreadable,
)
from metta_checks.asana.section_names import SectionNames
from metta_checks.core import stored

pytestmark = pytest.mark.unit

# A row as the API answers it, without the fields that the check does not ask for.
MEMBERSHIPS = [
    {'project': {'gid': '21'}, 'section': {'gid': '31', 'name': 'In progress'}},
    {'project': {'gid': '22'}, 'section': {'gid': '32', 'name': 'Triage'}},
]
ROW = {
    'gid': '1204619611402340',
    'created_at': '2026-03-01T09:00:00.123Z',
    'modified_at': '2026-03-02T10:00:00.456Z',
    'completed': True,
    'completed_at': '2026-03-02T10:00:00.400Z',
    'completed_by': {'gid': '11'},
    'created_by': {'gid': '12'},
    'assignee': {'gid': '13'},
    'due_on': '2026-03-05',
    'due_at': '2026-03-05T22:30:00.000Z',
    'parent': None,
    'is_rendered_as_separator': False,
    'projects': [{'gid': '21'}, {'gid': '22'}],
    'memberships': MEMBERSHIPS,
    'dependencies': [{'gid': '41', 'completed': False}, {'gid': '42', 'completed': True}],
}
PROJECT = {
    'gid': '21',
    'name': 'Evals',
    'completed': False,
    'due_on': '2026-04-01',
    'current_status': {'gid': '51', 'color': 'green', 'created_at': '2026-03-01T09:00:00.000Z'},
    'current_status_update': {'gid': '51', 'status_type': 'at_risk', 'created_at': '2026-03-03T09:00:00.000Z'},
}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


at = datetime.fromisoformat


def task_of(row) -> Task:
    _, task = Task.parse(row)
    assert task is not None
    return task


def bug_of(row, project='22') -> Bug:
    _, bug = Bug.parse(row, project)
    assert bug is not None
    return bug


def test_a_complete_task():
    gid, task = Task.parse(ROW, SectionNames(['in progress']))
    assert gid == '1204619611402340'
    assert task == Task(
        gid='1204619611402340',
        created_epoch=at('2026-03-01T09:00:00.123+00:00').timestamp(),
        modified_epoch=at('2026-03-02T10:00:00.456+00:00').timestamp(),
        open=False,
        completed_epoch=at('2026-03-02T10:00:00.400+00:00').timestamp(),
        due_epoch=at('2026-03-05T22:30:00+00:00').timestamp(),
        due_ordinal=date(2026, 3, 5).toordinal(),
        assignee='13',
        creator='12',
        completer='11',
        projects=('21', '22'),
        blockers=('41',),
        dependencies=(),
        started_in=('21',),
    )


def test_a_task_with_nothing_but_what_every_task_has():
    task = task_of({'gid': '1', 'created_at': '2026-03-01T09:00:00.000Z', 'completed': False, 'projects': []})
    assert (task.open, task.completed, task.assignee, task.projects) == (True, None, None, ())
    assert task.modified == task.created
    assert not task.started_in


@pytest.mark.parametrize('change', [{'parent': {'gid': '9'}}, {'is_rendered_as_separator': True}])
def test_subtasks_and_separators_do_not_count(change):
    assert Task.parse({**ROW, **change}) == (ROW['gid'], None)
    assert not CountedTask.parse({**ROW, **change}).counts


def test_a_completed_task_without_a_time_is_neither_open_nor_in_any_window():
    task = task_of({**ROW, 'completed_at': None})
    assert (task.open, task.completed) == (False, None)


def test_an_open_task_keeps_no_time_of_an_earlier_completion():
    task = task_of({**ROW, 'completed': False})
    assert (task.open, task.completed) == (True, None)


@pytest.mark.parametrize('parse', [Task.parse, lambda row: Bug.parse(row, '22')])
@pytest.mark.parametrize('change', [{'gid': None}, {'created_at': 'lately'}, {'completed': 'yes'}])
def test_a_row_without_a_gid_or_with_a_value_that_makes_no_sense_is_unreadable(change, parse):
    with pytest.raises(Unreadable):
        parse({**ROW, **change})


@pytest.mark.parametrize('parse', [task_of, bug_of])
@pytest.mark.parametrize('lacking', [{'created_at'}, {'completed'}, {'created_at', 'completed'}])
def test_a_row_without_creation_or_state_says_so(lacking, parse):
    found = parse({key: value for key, value in ROW.items() if key not in lacking})
    assert found.lacks == tuple(sorted(lacking, reverse=True))
    assert (found.created is None, found.open is None) == ('created_at' in lacking, 'completed' in lacking)
    # It tells when it was completed.
    assert found.completed == at('2026-03-02T10:00:00.400+00:00')
    assert found == parse({**ROW, **dict.fromkeys(lacking)})


def test_a_bug_has_the_section_of_the_bugs_project_wherever_that_stands():
    assert bug_of(ROW).section == 'Triage'
    assert bug_of({**ROW, 'memberships': MEMBERSHIPS[::-1]}).section == 'Triage'
    assert bug_of(ROW, project='21').section == 'In progress'


@pytest.mark.parametrize('memberships', [None, [], [{'project': {'gid': '22'}, 'section': None}], [None]])
def test_a_bug_without_section(memberships):
    assert bug_of({**ROW, 'memberships': memberships}).section is None


def test_a_subtask_in_the_bugs_project_is_a_bug_and_a_separator_is_none():
    assert Bug.parse({**ROW, 'parent': {'gid': '9'}}, '22')[1] is not None
    assert Bug.parse({**ROW, 'is_rendered_as_separator': True}, '22') == (ROW['gid'], None)


def test_the_status_of_a_project_is_that_of_the_update():
    project = Project.parse(PROJECT)
    assert (project.status, project.status_at) == ('at_risk', at('2026-03-03T09:00:00+00:00'))
    assert (project.name, project.completed, project.due_on) == ('Evals', False, date(2026, 4, 1))


@pytest.mark.parametrize(
    ('color', 'status'),
    [
        ('green', 'on_track'),
        ('yellow', 'at_risk'),
        ('red', 'off_track'),
        ('blue', 'on_hold'),
        ('complete', 'complete'),
        ('purple', 'purple'),
    ],
)
def test_the_color_stands_for_a_status_that_is_not_sent(color, status):
    update = {'gid': '51', 'created_at': '2026-03-03T09:00:00.000Z'}
    project = Project.parse({**PROJECT, 'current_status_update': update, 'current_status': {'color': color}})
    assert (project.status, project.status_at) == (status, at('2026-03-03T09:00:00+00:00'))


def test_a_project_without_status():
    project = Project.parse({**PROJECT, 'current_status_update': None, 'current_status': None})
    assert (project.status, project.status_at) == (None, None)


def test_the_user_of_the_token():
    me = Me.parse({'gid': '1', 'name': 'Ada', 'workspaces': [{'gid': '5', 'name': 'Lab'}, {'gid': '6'}]})
    assert (me.name, me.workspaces) == ('Ada', {'5': 'Lab', '6': ''})
    assert Me.parse({'gid': '1'}).workspaces is None


def test_a_story_is_an_entry_when_the_section_is_a_started_one():
    story = {'gid': '1', 'resource_subtype': 'section_changed', 'created_at': '2026-03-01T09:00:00.000Z'}
    started = SectionNames(['in progress'])
    entry = Story.parse({**story, 'new_section': {'gid': '3', 'name': 'In Progress'}}, started)
    assert entry == Story('1', entered=at('2026-03-01T09:00:00+00:00'))
    assert Story.parse({**story, 'new_section': {'gid': '3', 'name': 'Done'}}, started) == Story('1')
    assert Story.parse({**story, 'new_section': None}, started) == Story('1')
    assert Story.parse({'gid': '1', 'resource_subtype': 'comment_added'}, started) == Story('1')
    reopened = Story.parse({**story, 'resource_subtype': 'marked_incomplete'}, started)
    assert reopened == Story('1', reopened=at('2026-03-01T09:00:00+00:00'))


def test_the_severity_of_a_bug_is_its_value_of_one_custom_field():
    row = {'gid': '1', 'created_at': '2026-03-01T09:00:00.000Z', 'completed': False, 'memberships': []}
    row['is_rendered_as_separator'] = False
    other, field = {'gid': '5', 'enum_value': {'name': 'Berlin'}}, {'gid': '6', 'enum_value': {'name': 'High'}}

    def parsed(*fields):
        bug = Bug.parse({**row, 'custom_fields': list(fields)}, '22', '6')[1]
        assert bug is not None
        return bug.severity, bug.lacks

    assert parsed(other, field) == ('High', ())
    assert parsed(other, {**field, 'enum_value': None}) == (None, ())
    # The token does not see the field.
    assert parsed(other) == (None, ('custom_fields',))


def test_a_custom_field_has_the_choices_that_are_enabled():
    options = [{'name': 'High', 'enabled': True}, {'name': 'Old', 'enabled': False}, {'name': 'Low'}]
    row = {'gid': '1', 'custom_field': {'gid': '6', 'name': 'S', 'resource_subtype': 'enum', 'enum_options': options}}
    assert CustomField.parse(row) == ('6', 'S', 'enum', ('High', 'Low'))
    with pytest.raises(Unreadable):
        CustomField.parse({'gid': '1'})


@given(st.dictionaries(st.sampled_from([*ROW, *PROJECT, 'workspaces', 'new_section']), json_values))
def test_any_object_is_read_or_refused(row):
    for parse in (Task.parse, lambda row: Bug.parse(row, '22'), lambda row: Story.parse(row, SectionNames())):
        with contextlib.suppress(Unreadable):
            assert parse(row)[0] == row['gid']
    readable = isinstance(row.get('gid'), str) and row['gid'] != ''
    with contextlib.nullcontext() if readable else pytest.raises(Unreadable):
        assert Project.parse(row).gid == row['gid']
    # A row that lacks one of these fields may be a subtask or a separator, unless the other one says so.
    kind_is_known = {'parent', 'is_rendered_as_separator'} <= row.keys()
    excluded = row.get('parent') is not None or row.get('is_rendered_as_separator') is True
    with contextlib.nullcontext() if readable and (kind_is_known or excluded) else pytest.raises(Unreadable):
        counted = CountedTask.parse(row)
        assert (counted.gid, counted.counts) == (row['gid'], not excluded)
    Me.parse(row)


@given(st.sampled_from(sorted(set(ROW) - {'gid', 'created_at', 'completed'})), json_values)
def test_one_odd_field_never_makes_a_task_unreadable(field, value):
    gid, task = Task.parse({**ROW, field: value}, SectionNames(['in progress']))
    assert gid == ROW['gid']
    assert task is None or Task._make(json.loads(json.dumps(task))).gid == gid


@given(st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))
def test_times_survive_to_the_millisecond(moment):
    precise = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    assert datetime.fromisoformat(format_milliseconds(moment)) == precise
    task = task_of({**ROW, 'created_at': format_milliseconds(moment)})
    assert stored.load(Task, json.loads(stored.dumps(task))).created == precise


@given(st.builds(dict, due=st.none() | st.floats(0, 4 * 10**9), names=st.lists(st.text(max_size=5), max_size=3)))
def test_a_task_survives_being_stored(values):
    task = task_of(ROW)
    changed = task._replace(due_epoch=values['due'], projects=tuple(values['names']))
    assert stored.load(Task, json.loads(stored.dumps(changed))) == changed

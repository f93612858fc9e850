"""Every definition of the catalog, on records made for it."""

from __future__ import annotations

from datetime import UTC, timedelta
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metta_checks.asana.dependencies import Dependencies
from metta_checks.asana.measures import bugs as bug_measures
from metta_checks.asana.measures import projects as project_measures
from metta_checks.asana.measures import reopened, section_time, severity
from metta_checks.asana.measures import tasks as task_measures
from metta_checks.asana.measures.flow import flow
from metta_checks.asana.records import CustomField
from metta_checks.asana.settings import SECTIONS, SectionMap
from metta_checks.core.errors import NotFound, Rejected

from .rows import NOW, ago, bug, figures, project, task

pytestmark = pytest.mark.unit

TODAY = NOW.date()
DAY = timedelta(days=1)
section_of = SectionMap({kind: (kind,) for kind in SECTIONS})


def of_tasks(*tasks, now=NOW, zone=UTC, started=None):
    samples = (task_measures.tasks(tasks, now, zone), flow(tasks, now, started), task_measures.active_users(tasks, now))
    return figures(chain.from_iterable(samples))


def of_bugs(*bugs, now=NOW):
    return figures(bug_measures.bugs(bugs, now, section_of))


def known(values):
    """Return the figures that are not absent."""
    return {name: value for name, value in values.items() if value is not None}


def of_projects(*projects, now=NOW):
    return figures(project_measures.projects(projects, now, UTC))


# Tasks.


def test_open_and_completed_and_created():
    values = of_tasks(
        task(age=50),
        task(age=6.9),
        task(done=6.9, age=40),
        task(done=7.1, age=7.2),
        task(done=30.1, age=60),
        task(done=1, age=2),
    )
    assert values['tasks.open'] == 2
    assert values['tasks.completed_7d'] == 2
    assert values['tasks.completed_30d'] == 3
    assert values['tasks.created_7d'] == 2
    assert values['velocity.completed_per_day_7d'] == 2 / 7
    assert values['velocity.completion_rate_pct'] == 60
    # Three completed, three created in 30 days.
    assert values['velocity.throughput_ratio'] == 1


def test_windows_are_closed_and_exact_to_the_millisecond():
    edge = ago(days=7)
    before = edge - timedelta(milliseconds=1)
    inside = of_tasks(task(done=7, age=8)._replace(completed_epoch=edge.timestamp()))
    outside = of_tasks(task(done=7, age=8)._replace(completed_epoch=before.timestamp()))
    assert (inside['tasks.completed_7d'], outside['tasks.completed_7d']) == (1, 0)


def test_assigned_and_unassigned_are_all_open_ones():
    values = of_tasks(task(assignee='u1'), task(), task(), task(done=1, assignee='u1'))
    assert (values['tasks.assigned'], values['tasks.unassigned'], values['tasks.open']) == (1, 2, 3)


def test_due_dates_are_one_of_four_kinds_and_those_ahead():
    values = of_tasks(
        task(due_on=TODAY - DAY),
        task(due_on=TODAY),
        # Sunday of the same week, and the Monday after it.
        task(due_on=TODAY + 4 * DAY),
        task(due_on=TODAY + 5 * DAY),
        task(),
        task(done=1, due_on=TODAY - DAY),
    )
    assert values['tasks.overdue'] == 1
    assert values['tasks.due_today'] == 1
    assert values['tasks.due_this_week'] == 2
    assert values['tasks.no_due_date'] == 1


def test_a_due_time_counts_more_than_the_due_date():
    hour = timedelta(hours=1)
    values = of_tasks(
        # Earlier today: overdue, and therefore not due today any more.
        task(due_on=TODAY, due_at=NOW - hour),
        task(due_on=TODAY, due_at=NOW + hour),
        # The instant itself has not passed.
        task(due_on=TODAY, due_at=NOW),
    )
    assert (values['tasks.overdue'], values['tasks.due_today'], values['tasks.due_this_week']) == (1, 2, 2)


def test_stale_tasks_are_open_ones_that_nobody_modified():
    month = ago(days=30)
    values = of_tasks(
        task(modified=month - timedelta(milliseconds=1)),
        task(modified=month),
        task(done=1, modified=month - timedelta(milliseconds=1)),
    )
    assert values['tasks.stale_30d'] == 1


def test_cycle_time_from_the_creation():
    values = of_tasks(task(done=1, age=2), task(done=2, age=4), task(done=3, age=6), task(done=40, age=90), task())
    assert values['cycle_time.avg_hours created'] == 48
    assert values['cycle_time.p50_hours created'] == 48
    assert values['cycle_time.p90_hours created'] == pytest.approx(48 + 0.8 * 24)
    assert values['lead_time.p85_hours'] == pytest.approx(48 + 0.7 * 24)


def test_cycle_time_from_the_start_leaves_out_what_was_never_started():
    started = {'1': ago(days=1.5), '2': None}
    values = of_tasks(task('1', done=1, age=9), task('2', done=2, age=9), task('3', done=3, age=9), started=started)
    assert values['cycle_time.avg_hours started'] == 12
    # Lead time begins with the creation in any case.
    assert values['lead_time.p85_hours'] == pytest.approx(6 * 24 + 1.7 * 24)
    assert 'cycle_time.avg_hours created' not in values


def test_durations_are_never_negative():
    values = of_tasks(task(done=2, age=1), task('2', age=-1))
    assert values['cycle_time.avg_hours created'] == 0
    assert values['wip.age_p50_days'] == 0


def test_age_of_open_tasks():
    values = of_tasks(task(age=10), task(age=20), task(age=30.5), task(done=1, age=500))
    assert values['wip.age_p50_days'] == 20
    assert values['wip.age_p85_days'] == pytest.approx(20 + 0.7 * 10.5)


def test_active_users_created_or_completed_something():
    values = of_tasks(
        task(age=1, creator='a'),
        task(age=3, creator='a', done=1, completer='b'),
        task(age=50, creator='c', done=1, completer=None),
        task(age=50, creator='d', done=8, completer='e'),
        task(age=1, creator=None),
    )
    assert values['users.active_7d'] == 2


def test_without_tasks_counts_are_zero_and_everything_else_is_unknown():
    values = of_tasks()
    unknown = {name for name, value in values.items() if value is None}
    assert unknown == {
        'velocity.completion_rate_pct',
        'velocity.throughput_ratio',
        'cycle_time.avg_hours created',
        'cycle_time.p50_hours created',
        'cycle_time.p90_hours created',
        'lead_time.p85_hours',
        'wip.age_p50_days',
        'wip.age_p85_days',
    }
    assert {value for value in values.values() if value is not None} == {0}


def test_tasks_in_progress():
    samples = task_measures.in_progress(
        [task(started_in=('p1',)), task(), task(done=1, started_in=('p1',)), task(started_in=('archived',))], ['p1']
    )
    assert figures(samples) == {'wip.count': 1}


NOTHING = Dependencies()


def blocked(listed, known=NOTHING):
    return figures(task_measures.blocked(listed, known))['tasks.blocked']


def test_a_dependency_of_unknown_state_makes_the_number_of_blocked_tasks_unknown():
    waiting = task('1', dependencies=('2',))
    assert blocked([waiting]) is None
    assert blocked([waiting, task('2')]) == 1
    assert blocked([waiting, task('2', done=1)]) == 0
    assert blocked([waiting], Dependencies(completed=frozenset('2'))) == 0
    assert blocked([waiting], Dependencies(open=frozenset('2'))) == 1
    # One open dependency is enough.
    assert blocked([task('1', blockers=('3',), dependencies=('2',))]) == 1


def test_a_task_is_blocked_until_what_it_waits_for_is_done():
    waiting = task('1', blockers=('2',))
    assert blocked([waiting, task('2')]) == 1
    assert blocked([waiting, task('2', done=1)]) == 0
    # For a task outside of the table, the dependency is all that is known.
    assert blocked([waiting]) == 1
    assert blocked([task('1', done=1, blockers=('2',))]) == 0


def test_single_projects():
    tasks = [
        task('1', projects=('p1', 'p2')),
        task('2', projects=('p2',), due_on=TODAY - DAY),
        task('3', projects=('p3',)),
        task('4', projects=('p1',), done=1),
        task('5', projects=('p1',), done=8),
    ]
    values = figures(task_measures.single_projects(tasks, {'p1': 'Evals', 'p2': 'Docs'}, NOW, UTC))
    assert values == {
        'project.open evals': 1,
        'project.overdue evals': 0,
        'project.completed_7d evals': 1,
        'project.open docs': 2,
        'project.overdue docs': 1,
        'project.completed_7d docs': 0,
    }


def test_projects_of_one_name_are_one_series():
    tasks = [task('1', projects=('p1', 'p2')), task('2', projects=('p2',))]
    samples = list(task_measures.single_projects(tasks, {'p1': 'Evals', 'p2': 'EVALS'}, NOW, UTC))
    assert figures(samples)['project.open evals'] == 2
    assert len(samples) == 3


def test_the_total():
    assert figures(task_measures.total(17)) == {'tasks.total': 17}


# Projects.


def test_one_project_of_each_status_adds_up():
    """The first system dropped on_hold, complete and none: its numbers did not add up."""
    statuses = ('on_track', 'at_risk', 'off_track', 'on_hold', 'complete', None)
    values = of_projects(*(project(str(index), status=status) for index, status in enumerate(statuses)))
    assert values['projects.active'] == 6
    shown = ('on_track', 'at_risk', 'off_track', 'on_hold', 'no_status')
    assert [values[f'projects.{name}'] for name in shown] == [1, 1, 1, 1, 1]


def test_completed_projects_are_not_active():
    values = of_projects(project(completed=True, status='on_track', due_on=TODAY - DAY, status_at=ago(days=40)))
    assert set(values.values()) == {0}


def test_an_unknown_status_is_counted_in_none():
    listed = [project(status='paused'), project('p2', status='paused', completed=True), project('p3')]
    values = of_projects(*listed)
    assert (values['projects.active'], values['projects.no_status']) == (2, 1)
    assert sum(values[f'projects.{track}'] for track in ('on_track', 'at_risk', 'off_track', 'on_hold')) == 0
    assert project_measures.unknown_statuses(listed) == {'paused': 1}


def test_a_complete_status_is_known():
    assert project_measures.unknown_statuses([project(status='complete'), project('p2', status='dropped')]) == {}


def test_a_status_is_stale_after_two_weeks():
    edge = ago(days=14)
    values = of_projects(
        project(status='on_track', status_at=edge),
        project('p2', status='on_track', status_at=edge - timedelta(milliseconds=1)),
        project('p3'),
    )
    assert values['projects.status_stale'] == 1


def test_overdue_projects():
    values = of_projects(project(due_on=TODAY - DAY), project('p2', due_on=TODAY), project('p3'))
    assert values['projects.overdue'] == 1


# Bugs.


def test_bugs_by_section():
    values = of_bugs(
        bug(section='Triage'),
        bug(section='Active bugs'),
        bug(section='active'),
        bug(section='Backlog (P2)'),
        bug(section='Inactive - parked'),
        bug(section=None),
        bug(section='Active', done=1),
    )
    counts = [values[f'projects.bugs.{kind}_count'] for kind in (*SECTIONS, 'other')]
    assert counts == [1, 2, 1, 2]
    assert values['projects.bugs.total_open'] == sum(counts)


def test_a_bug_created_and_closed_in_the_window_was_created():
    """The first system looked at open bugs only."""
    values = of_bugs(bug(age=3, done=1), bug(age=5), bug(age=8), bug(age=20, done=6))
    assert values['projects.bugs.created_7d'] == 2
    assert values['projects.bugs.completed_7d'] == 2
    assert values['projects.bugs.completed_30d'] == 2


def test_ages_of_bugs_are_exact_fractions():
    values = of_bugs(bug(age=0.25), bug(age=1.5), bug(age=100, done=1))
    assert values['projects.bugs.avg_age_days'] == 0.875
    assert values['projects.bugs.oldest_bug_days'] == 1.5
    assert values['bugs.age_days.p50'] == 0.875
    assert values['bugs.age_days.p90'] == pytest.approx(1.375)


def test_bugs_by_age_have_half_open_buckets():
    values = of_bugs(bug(age=0), bug(age=6.999), bug(age=7), bug(age=30), bug(age=89.9), bug(age=90), bug(age=900))
    assert [values[f'bugs.open_by_age {age}'] for age, _ in bug_measures.AGE_BUCKETS] == [2, 1, 2, 2]


def test_without_bugs_their_age_is_unknown():
    values = of_bugs()
    assert values['projects.bugs.total_open'] == 0
    assert values['projects.bugs.avg_age_days'] is None
    assert values['projects.bugs.oldest_bug_days'] is None


def test_time_in_a_section_is_known_from_an_observed_entry_on():
    def look(before, after_hours, *bugs):
        return section_time.observe(bugs, before, NOW + timedelta(hours=after_hours), section_of, '')

    def hours(sections, after_hours):
        return figures(section_time.section_time(sections, NOW + timedelta(hours=after_hours)))

    first = look(None, 0, bug('1', section='Triage'), bug('2', section='Active'))
    assert set(hours(first, 0).values()) == {None}
    new = bug('3', section='Triage', age=-0.5 / 24)
    second = look(first, 1, bug('1', section='Active'), bug('2', section='Active'), new)
    third = look(second, 5, bug('1', section='Active'), bug('2', section='Active'), new)
    # Bug 2 was there at the first look: the time of its entry is unknown.
    assert known(hours(third, 5)) == {
        'bugs.section_time_hours.p50 triage': 4,
        'bugs.section_time_hours.p50 active': 4,
    }
    # Bug 1 is completed 4.5 hours after its entry, bug 3 leaves after 5 hours. Bug 2 had no known entry.
    fourth = look(third, 6, bug('1', section='Active', done=-5.5 / 24), bug('2'), bug('3', section='Backlog'))
    assert known(hours(fourth, 7)) == {
        'bugs.section_time_hours.p50 triage': 1,
        'bugs.section_time_hours.p50 backlog': 1,
        'bugs.section_stay_hours.p50 active': 4.5,
        'bugs.section_stay_hours.p90 active': 4.5,
        'bugs.section_stay_hours.p50 triage': 5,
        'bugs.section_stay_hours.p90 triage': 5,
    }
    # Ended stays count for 30 days.
    assert known(hours(look(fourth, 6 + 31 * 24), 6 + 31 * 24)) == {}


def test_time_in_a_section_after_a_missing_row_is_unknown():
    def look(before, after_hours, *bugs):
        return section_time.observe(bugs, before, NOW + timedelta(hours=after_hours), section_of, '')

    sections = look(look(look(None, 0, bug('1')), 1), 2, bug('1'))
    assert sections.bugs == {'1': section_time.Stay('triage', None)}


def test_time_in_a_section_starts_again_with_another_map():
    first = section_time.observe([bug('1')], None, NOW, section_of, 'a')
    moved = section_time.observe([bug('1', section='Active')], first, NOW + timedelta(hours=1), section_of, 'b')
    assert moved.bugs == {'1': section_time.Stay('active', None)}


# Bugs that were reopened.


def comparisons(*looks):
    """Return the state after looks at bugs, each as (days after NOW, bugs)."""
    state = None
    for after_days, *bugs in looks:
        state = reopened.observe(bugs, state, NOW + timedelta(days=after_days))
    return state


def reopened_7d(state, after_days):
    return figures(reopened.reopened(state, NOW + timedelta(days=after_days)))['projects.bugs.reopened_7d']


def test_reopened_bugs_are_unknown_until_comparisons_cover_7_days():
    state = comparisons((0, bug('1', done=1)), (1, bug('1')))
    assert reopened_7d(state, 6.9) is None
    assert reopened_7d(state, 7) == 1
    assert reopened_7d(comparisons((0, bug('1', done=1)), (1, bug('1')), (5, bug('1')), (8.1, bug('1'))), 8.1) == 0


def test_a_later_completion_means_that_a_bug_was_reopened():
    state = comparisons((0, bug('1', done=1), bug('2', done=1)), (1, bug('1', done=-0.5), bug('2', done=1)))
    assert list(state.reopened) == ['1']


def test_comparisons_begin_again_after_a_long_pause():
    state = comparisons((0, bug('1', done=1)), (7.1, bug('1')))
    assert (state.reopened, state.since) == ({}, (NOW + timedelta(days=7.1)).timestamp())


def test_a_bug_that_was_not_listed_needs_its_history():
    state = comparisons((0, bug('1')), (1, bug('1'), bug('old'), bug('new', age=-0.5)))
    assert list(state.unknown) == ['old']
    state = comparisons((0,), (5, bug('old')), (8, bug('old')))
    assert reopened_7d(state, 8) is None
    assert reopened_7d(reopened.with_history(state, 'old', None), 8) == 0
    assert reopened_7d(reopened.with_history(state, 'old', NOW + timedelta(days=0.9)), 8) == 0
    assert reopened_7d(reopened.with_history(state, 'old', NOW + timedelta(days=4.9)), 8) == 1


# Bugs by severity.


def field(gid='s', name='Severity', kind='enum', values=('High', 'Low')):
    return CustomField(gid, name, kind, values)


@pytest.mark.parametrize('wanted', ['s', 'Severity', ' severity '])
def test_a_custom_field_is_found_by_gid_or_name(wanted):
    assert severity.find_field([field('1', 'Customer', 'text'), field()], wanted).gid == 's'


@pytest.mark.parametrize(
    ('fields', 'message'),
    [
        ([], 'the Bugs project has no field Severity; it has: none'),
        ([field('1'), field('2')], r'several fields have this name, use the gid of one: 1 \(Severity\), 2'),
        ([field(kind='text')], 'is of the type text; a single choice is needed'),
    ],
)
def test_a_custom_field_that_cannot_be_used_is_refused(fields, message):
    with pytest.raises((NotFound, Rejected), match=message):
        severity.find_field(fields, 'Severity')


def test_open_bugs_by_severity_add_up():
    bugs = [bug(str(n), severity=one) for n, one in enumerate(('High', 'high', None, 'Urgent'))]
    values = figures(severity.by_severity([*bugs, bug('9', done=1, severity='High')], ('High', 'Low')))
    assert values == {
        'bugs.open_by_severity none': 1,
        'bugs.open_by_severity high': 2,
        'bugs.open_by_severity low': 0,
        'bugs.open_by_severity urgent': 1,
    }


def test_many_severities_are_shown_as_other():
    bugs = [bug(str(n), severity=f'S{n}') for n in range(30)]
    values = figures(severity.by_severity(bugs, ()))
    assert (len(values), sum(known(values).values())) == (22, 30)
    assert values['bugs.open_by_severity other'] == 10


def test_resolution_is_over_bugs_completed_in_30_days():
    values = of_bugs(bug(done=1, age=2), bug(done=2, age=5), bug(done=31, age=40), bug())
    assert values['projects.bugs.resolution_hours.p50'] == 48
    assert values['projects.bugs.resolution_hours.p90'] == pytest.approx(24 + 0.9 * 48)


def test_tasks_completed_on_time():
    def values(*listed):
        return list(figures(task_measures.punctuality(listed, NOW, UTC)).values())

    day, night = TODAY - timedelta(days=1), ago(days=1).replace(hour=23)
    on_the_day = task(done=0.6, due_on=day)
    late = task(done=0.4, due_on=day)
    before, after = task(done=1, due_on=day, due_at=night), task(done=0.1, due_on=TODAY, due_at=night)
    assert values(on_the_day, late, before, after) == [2, 2, 50]
    assert values(task(done=1), task(due_on=day), task(done=31, due_on=day)) == [0, 0, None]


def test_milestones():
    listed = [
        task('1', milestone=True),
        task('2', milestone=True, due_on=TODAY - timedelta(days=1)),
        task('3', milestone=True, done=1, due_on=TODAY - timedelta(days=1)),
        task('4', due_on=TODAY - timedelta(days=1)),
    ]
    assert figures(task_measures.milestones(listed, NOW, UTC)) == {'milestones.open': 2, 'milestones.overdue': 1}


# Invariants of all workspaces.

moments = st.integers(0, 400 * 24 * 60).map(lambda minutes: ago(minutes=minutes).timestamp())
days = st.none() | st.integers(-40, 40).map(lambda days: TODAY.toordinal() + days)


@st.composite
def some_tasks(draw):
    created = draw(moments)
    completed = draw(st.none() | st.floats(created, NOW.timestamp()))
    return task(draw(st.text('0123456789', min_size=1, max_size=3)))._replace(
        created_epoch=created,
        modified_epoch=draw(moments),
        open=completed is None,
        completed_epoch=completed,
        due_ordinal=draw(days),
        assignee=draw(st.none() | st.just('u')),
    )


@given(st.lists(some_tasks(), max_size=30))
def test_parts_add_up(tasks):
    values = of_tasks(*tasks)
    opened = values['tasks.open']
    assert values['tasks.assigned'] + values['tasks.unassigned'] == opened
    assert values['tasks.completed_7d'] <= values['tasks.completed_30d']
    assert values['tasks.due_today'] <= values['tasks.due_this_week']
    assert values['tasks.overdue'] + values['tasks.due_this_week'] + values['tasks.no_due_date'] <= opened
    for statistic in ('cycle_time.avg_hours created', 'lead_time.p85_hours', 'wip.age_p50_days'):
        assert values[statistic] is None or values[statistic] >= 0
    if values['velocity.completion_rate_pct'] is not None:
        assert 0 <= values['velocity.completion_rate_pct'] <= 100


@given(st.lists(some_tasks(), min_size=1, max_size=20), st.data())
def test_a_task_less_raises_no_total_and_the_order_does_not_matter(tasks, data):
    values = of_tasks(*tasks)
    turned = of_tasks(*tasks[::-1])
    assert {name: value is None for name, value in values.items()} == {name: turned[name] is None for name in values}
    assert all(value is None or value == pytest.approx(turned[name]) for name, value in values.items())
    left = list(tasks)
    del left[data.draw(st.integers(0, len(tasks) - 1))]
    less = of_tasks(*left)
    totals = [name for name in values if name.startswith(('tasks.', 'users.', 'velocity.completed'))]
    assert [name for name in totals if less[name] > values[name]] == []


@given(st.lists(st.tuples(st.floats(0, 400), st.sampled_from(['Triage', 'Active', 'Backlog', 'x', None])), max_size=30))
def test_sections_and_ages_add_up(rows):
    values = of_bugs(*(bug(age=age, section=section) for age, section in rows))
    assert sum(values[f'projects.bugs.{kind}_count'] for kind in (*SECTIONS, 'other')) == len(rows)
    assert sum(values[f'bugs.open_by_age {age}'] for age, _ in bug_measures.AGE_BUCKETS) == len(rows)
    assert values['projects.bugs.total_open'] == len(rows)

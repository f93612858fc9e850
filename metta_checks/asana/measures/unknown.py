"""Figures that are unknown because rows lack the fields that they need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import Protocol

from ...core.refresh import Sample
from .flow import BASIS_CREATED

# Fields without which nobody can tell whether a row is a task, so that every figure is unknown.
KINDS = frozenset({'parent', 'is_rendered_as_separator'})
CREATION = frozenset({'created_at'})
# Of a task: whether it is open. Of a project: whether work on it goes on.
STATE = frozenset({'completed'})
DUE = frozenset({'due_at', 'due_on'})
COMPLETION = frozenset({'completed_at'})
STATUS = STATE | {'current_status_update'}
SECTION = frozenset({'memberships'})
KIND = frozenset({'resource_subtype'})
# Fields without which nobody can tell when a bug was reopened, or entered and left a section.
REOPENING = COMPLETION | STATE | CREATION
STAY = SECTION | STATE | CREATION


def _each(*names: str, needs: frozenset[str]) -> dict[str, frozenset[str]]:
    return dict.fromkeys(names, needs)


# Fields that a figure needs, by its name. Figures that are not listed need only what every row has.
NEEDS = {
    'tasks.open': STATE,
    **_each('tasks.overdue', 'tasks.due_today', 'tasks.due_this_week', 'tasks.no_due_date', needs=STATE | DUE),
    **_each('tasks.assigned', 'tasks.unassigned', needs=STATE | {'assignee'}),
    'tasks.stale_30d': STATE | {'modified_at'},
    'tasks.blocked': STATE | {'dependencies'},
    'tasks.created_7d': CREATION,
    **_each('tasks.completed_7d', 'tasks.completed_30d', 'project.completed_7d', needs=COMPLETION),
    **_each(*(f'tasks.completed_{kind}_30d' for kind in ('on_time', 'late', 'on_time_pct')), needs=DUE | COMPLETION),
    'milestones.open': STATE | KIND,
    'milestones.overdue': STATE | DUE | KIND,
    'project.open': STATE,
    'project.overdue': STATE | DUE,
    'wip.count': STATE | SECTION,
    **_each('wip.age_p50_days', 'wip.age_p85_days', needs=STATE | CREATION),
    'users.active_7d': CREATION | COMPLETION | {'created_by', 'completed_by'},
    'velocity.completed_per_day_7d': COMPLETION,
    'velocity.completion_rate_pct': STATE | COMPLETION,
    'velocity.throughput_ratio': CREATION | COMPLETION,
    **_each('cycle_time.avg_hours', 'cycle_time.p50_hours', 'cycle_time.p90_hours', needs=COMPLETION),
    'lead_time.p85_hours': CREATION | COMPLETION,
    'projects.bugs.total_open': STATE,
    **_each(
        *(f'projects.bugs.{kind}_count' for kind in ('triage', 'active', 'backlog', 'other')), needs=STATE | SECTION
    ),
    **_each('projects.bugs.avg_age_days', 'projects.bugs.oldest_bug_days', needs=STATE | CREATION),
    **_each('bugs.age_days.p50', 'bugs.age_days.p90', 'bugs.open_by_age', needs=STATE | CREATION),
    **_each('projects.bugs.completed_7d', 'projects.bugs.completed_30d', needs=COMPLETION),
    'projects.bugs.created_7d': CREATION,
    **_each(*(f'projects.bugs.resolution_hours.{name}' for name in ('p50', 'p90')), needs=CREATION | COMPLETION),
    'projects.bugs.reopened_7d': REOPENING,
    'bugs.open_by_severity': STATE | {'custom_fields'},
    'bugs.section_time_hours.p50': STAY,
    **_each('bugs.section_stay_hours.p50', 'bugs.section_stay_hours.p90', needs=STAY),
    **_each(*(f'projects.{status}' for status in ('on_track', 'at_risk', 'off_track', 'on_hold')), needs=STATUS),
    **_each('projects.no_status', 'projects.status_stale', needs=STATUS),
    'projects.active': STATE,
    'projects.overdue': STATE | {'due_on'},
}


class Row(Protocol):
    """A record that knows which fields its row lacks."""

    @property
    def lacks(self) -> tuple[str, ...]:
        """Names of fields that were asked for and are not in the row."""


def missing_fields(rows: Iterable[Row]) -> Counter[str]:
    """Return the number of rows that lack a field, by its name."""
    return Counter(field for row in rows for field in row.lacks)


def without_unknown(samples: Iterable[Sample], missing: Collection[str]) -> Iterator[Sample]:
    """Yield the samples that need none of the missing fields."""
    fields = frozenset(missing)
    if fields & KINDS:
        return iter(())
    return (sample for sample in samples if fields.isdisjoint(_needs(sample)))


def _needs(sample: Sample) -> frozenset[str]:
    """Return the fields that a figure needs."""
    needs = NEEDS.get(sample.name, frozenset())
    return needs | CREATION if sample.tags == BASIS_CREATED else needs

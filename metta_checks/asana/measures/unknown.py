"""Figures that are unknown because rows lack the fields that they need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import Protocol

from ...core.refresh import Sample

# Fields without which nobody can tell whether a row is a task, so that every figure is unknown.
KINDS = frozenset({'parent', 'is_rendered_as_separator'})
DUE = frozenset({'due_at', 'due_on'})
COMPLETION = frozenset({'completed_at'})
ACTIVE = frozenset({'completed'})
STATUS = ACTIVE | {'current_status_update'}
SECTION = frozenset({'memberships'})
KIND = frozenset({'resource_subtype'})
# Fields that a figure needs, by its name. Figures that are not listed need only what every row has.
NEEDS = {
    **dict.fromkeys(('tasks.overdue', 'tasks.due_today', 'tasks.due_this_week', 'tasks.no_due_date'), DUE),
    **dict.fromkeys((f'tasks.completed_{kind}_30d' for kind in ('on_time', 'late', 'on_time_pct')), DUE | COMPLETION),
    'milestones.open': KIND,
    'milestones.overdue': DUE | KIND,
    'project.overdue': DUE,
    **dict.fromkeys(('tasks.assigned', 'tasks.unassigned'), frozenset({'assignee'})),
    'tasks.stale_30d': frozenset({'modified_at'}),
    'tasks.blocked': frozenset({'dependencies'}),
    'wip.count': SECTION,
    'users.active_7d': frozenset({'created_by', 'completed_by', 'completed_at'}),
    **dict.fromkeys(('tasks.completed_7d', 'tasks.completed_30d', 'project.completed_7d'), COMPLETION),
    **dict.fromkeys(('projects.bugs.completed_7d', 'projects.bugs.completed_30d'), COMPLETION),
    **dict.fromkeys(
        ('velocity.completed_per_day_7d', 'velocity.completion_rate_pct', 'velocity.throughput_ratio'), COMPLETION
    ),
    **dict.fromkeys(('cycle_time.avg_hours', 'cycle_time.p50_hours', 'cycle_time.p90_hours'), COMPLETION),
    'lead_time.p85_hours': COMPLETION,
    **dict.fromkeys((f'projects.bugs.{kind}_count' for kind in ('triage', 'active', 'backlog', 'other')), SECTION),
    **dict.fromkeys((f'projects.bugs.resolution_hours.{name}' for name in ('p50', 'p90')), COMPLETION),
    'projects.bugs.reopened_7d': COMPLETION,
    'bugs.open_by_severity': frozenset({'custom_fields'}),
    'bugs.section_time_hours.p50': SECTION,
    **dict.fromkeys((f'bugs.section_stay_hours.{name}' for name in ('p50', 'p90')), SECTION),
    **dict.fromkeys(
        (f'projects.{status}' for status in ('on_track', 'at_risk', 'off_track', 'on_hold', 'no_status')), STATUS
    ),
    'projects.status_stale': STATUS,
    'projects.active': ACTIVE,
    'projects.overdue': ACTIVE | {'due_on'},
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
    return (sample for sample in samples if fields.isdisjoint(NEEDS.get(sample.name, ())))

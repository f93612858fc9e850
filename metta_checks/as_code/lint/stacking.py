"""MC12: values that are drawn on top of each other are parts of one whole."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from metta_checks.as_code.query_tree import Reference, Series

from .findings import Problem, rule
from .view import Query, Request, View, Widget, text

STACKED = ('area', 'bars')
# Families of metrics that share no member: their sum counts every thing once.
DISJOINT = tuple(
    frozenset(f'metta.{prefix}.{name}' for name in names.split())
    for prefix, names in (
        ('asana.projects', 'on_track at_risk off_track on_hold no_status'),
        ('asana.projects.bugs', 'triage_count active_count backlog_count other_count'),
        ('asana.tasks', 'assigned unassigned'),
        ('asana.tasks', 'completed_late_30d completed_on_time_30d'),
        ('ec2.ebs.volumes', 'attached unattached'),
        ('ec2.instances', 'cpu_count gpu_count'),
        ('ec2.instances', 'ondemand spot'),
        ('ec2.instances', 'running stopped'),
        ('github.api', 'points shared_points'),
        ('github.ci', 'runs_in_progress runs_queued'),
        # Events: a pull request that is opened and merged is two of them.
        ('github.prs', 'closed merged opened'),
        ('kubernetes.gpu', 'free requested'),
        ('skypilot.jobs', 'queued running'),
        ('skypilot.jobs.runtime_buckets', '0_1h 1_4h 4_24h over_24h'),
        ('skypilot.regions', 'other us_east_1 us_west_2'),
        ('skypilot.resources', 'ondemand_jobs spot_jobs'),
        ('skypilot.resources.gpus', 'a10g_count h100_count l4_count'),
    )
)


@rule('MC12', own=True)
def stacked_parts(view: View) -> Iterator[Problem]:
    """Areas and bars are stacked, so they show parts of one whole: never a subset on its set, nothing twice."""
    for widget in view.leaves():
        if widget.kind == 'timeseries':
            for right in (False, True):
                yield from _overlaps(view, widget, right)


def _overlaps(view: View, widget: Widget, right: bool) -> Iterator[Problem]:
    stacked = [one for one in widget.requests if _is_stacked(one) and _is_on_right(one) == right]
    found = [(query.place, one) for request in stacked for query in _plain(request) for one in query.series]
    known = [(place, one, metric) for place, one in found if (metric := view.metric(one.metric))]
    for place, one, metric in known:
        for tag in set(metric.overlapping).intersection(one.by):
            yield Problem(place, f'{one.metric} by {tag} counts a thing in several groups: use lines')
        if one.by and not metric.additive:
            yield Problem(place, f'{one.metric} is not a number of things: its groups do not add up; use lines')
    for (_, first, _), (place, second, _) in combinations(known, 2):
        if not _are_disjoint(first, second):
            yield Problem(place, f'{second.metric} is stacked on {first.metric}, and they may share members: use lines')


def _is_stacked(request: Request) -> bool:
    return text(request.definition, 'display_type') in STACKED


def _plain(request: Request) -> Iterator[Query]:
    """Yield the queries that are shown as they are; of a calculated value, the metrics do not tell what it is."""
    shown = {one.text.strip() for one in request.formulas if isinstance(one.tree, Reference)}
    return (query for query in request.queries if query.name in shown)


def _is_on_right(request: Request) -> bool:
    return request.definition.get('on_right_yaxis') is True


def _are_disjoint(first: Series, second: Series) -> bool:
    """Return whether no thing counts in both series."""
    if first.metric == second.metric:
        return first.filter != second.filter
    return any(first.metric in family and second.metric in family for family in DISJOINT)

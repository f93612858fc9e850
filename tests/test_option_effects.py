"""A change of one option changes its own figures, and no others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

import sandbox
from metta_checks.core import catalog
from metta_checks.testing import Driver
from sandbox import Running, Service
from sandbox.every_option import EVERY_OPTION

pytestmark = pytest.mark.integration

Figures = Mapping[tuple[str, tuple[str, ...]], float]
SMALL: dict[str, dict[str, Any]] = {
    'github': {'scale': 0.03, 'prs': 20, 'commits': 30, 'past_prs': 10},
    'asana': {'tasks': 200, 'bugs': 60, 'projects': 20, 'activity': False},
}
# Options that change figures which all instances have, with the beginnings of their names.
CHANGED = {
    'benchmark_workflows': ('ci.benchmarks_passing',),
    'bots': ('developers.', 'commits.per_developer_7d', 'prs.'),
    'hotfix_patterns': ('commits.hotfix',),
    'max_workflows': ('ci.',),
    'organization_runners': ('runners.',),
    'workflow_timeouts': ('ci.timeout_cancellations_7d',),
    'cycle_time_basis': ('cycle_time.',),
    'section_map': ('projects.bugs.', 'bugs.section_'),
    'tasks_total': ('tasks.total',),
}
# Options that another one needs.
NEEDED = {'cycle_time_basis': ('started_sections',), 'use_stories': ('started_sections', 'cycle_time_basis')}
# Options without an effect on these services: nothing is there that they concern, or they have the default value.
WITHOUT_EFFECT = {
    'benchmark_workflows',
    'bots',
    'bugs_section_time',
    'section_map',
    'tasks_total',
    'use_stories',
    'workflow_timeouts',
}


def figures(service: Service, options: Mapping[str, Any]) -> Figures:
    """Return the figures of a fresh instance by name and tags, without those about the cost of the check itself."""
    found = Driver.of(service, **options).run().figures()
    return {key: value for key, value in found.items() if '.api.' not in key[0]}


@pytest.mark.parametrize('source', SMALL)
def test_an_option_changes_its_own_figures_only(source):
    options, prefix = EVERY_OPTION[source], catalog.load(source).prefix
    with Running(sandbox.service(source, **SMALL[source])) as service:
        for option, value in options.items():
            needed = {name: options[name] for name in NEEDED.get(option, ())}
            plain, changed = figures(service, needed), figures(service, {**needed, option: value})
            keys = plain.keys() | changed.keys()
            names = {key[0].removeprefix(prefix) for key in keys if plain.get(key) != changed.get(key)}
            own = {metric.name for metric in catalog.load(source).metrics if metric.option == option}
            assert {name for name in names - own if not name.startswith(CHANGED.get(option, ('-',)))} == set(), option
            assert names or option in WITHOUT_EFFECT, option

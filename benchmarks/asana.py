"""Loads of source `asana`. Sizes of projects follow a Pareto distribution; 30 % of the tasks are open."""

from __future__ import annotations

from .harness import Scenario

# Counted once a day, so a warm refresh does not show it: with new tasks, it would differ from the truth.
SETTLED = {'creations': False}
SMALL = {'tasks': 2_000, 'projects': 200, 'bugs': 150, 'tasks_total': False}
LARGE = {'tasks': 20_000, 'projects': 200, 'bugs': 1_500, 'tasks_total': False}

SCENARIOS = (
    Scenario(
        name='2,000 tasks, 200 projects',
        service=SMALL,
        cold_requests=20,
        warm_requests=12,
        cold_cpu=1.5,
        warm_cpu=0.2,
        memory_mib=20,
    ),
    Scenario(
        name='20,000 tasks, 200 projects, 1,500 bugs',
        service=LARGE,
        cold_requests=90,
        warm_requests=12,
        cold_cpu=4,
        warm_cpu=0.3,
        memory_mib=60,
    ),
    Scenario(
        name='20,000 tasks, with tasks.total',
        service={**LARGE, **SETTLED, 'tasks_total': True},
        cold_requests=300,
        warm_requests=11,
        cold_cpu=6,
        warm_cpu=0.3,
        memory_mib=60,
    ),
    # One more request a day, for the custom fields of the Bugs project.
    Scenario(
        name='1,400 tasks, 33 projects, all options of bugs and milestones',
        service={'tasks_total': False},
        instance={'bugs_severity_field': 'Severity', 'bugs_section_time': True, 'milestones': True},
        cold_requests=45,
        warm_requests=6,
        cold_cpu=1,
        warm_cpu=0.2,
        memory_mib=20,
    ),
    # The free plan has no search: a crawl reads the lists of all projects, here in each refresh and not once an hour.
    Scenario(
        name='20,000 tasks, 200 projects, free plan',
        # In one run, so that the figures of all blocks describe the same time.
        service={**LARGE, 'premium': False, 'rate_limit': 300},
        instance={'free_crawl_interval': 900, 'requests_per_run': 300},
        cold_requests=240,
        warm_requests=240,
        cold_cpu=4,
        warm_cpu=4,
        memory_mib=60,
    ),
    Scenario(
        name='1,400 tasks, 33 projects, free plan',
        service={'premium': False, 'tasks_total': False},
        instance={'free_crawl_interval': 900},
        cold_requests=45,
        warm_requests=45,
        cold_cpu=1,
        warm_cpu=1,
        memory_mib=20,
    ),
)

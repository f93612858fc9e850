"""Loads of the source github, for one repository and for an organization.

The standard scenario: 46 open pull requests, 150 merged or closed ones updated in the window, 300 commits, 2,000
workflow runs in the window of a history of 60,000, 1,158 branches. POST is GraphQL, GET is REST.

The organizations consist of small repositories, in which nothing happens between two refreshes. They are read through
an App, whose token is renewed once an hour. At 100 ms per request, one after the other, 3,000 requests take five
minutes.
"""

from __future__ import annotations

from .harness import Scenario

ONE = {'repositories': ['metta-ai/metta']}
TAGS = ('repo:metta-ai/metta',)
WARM = {'POST': 3, 'GET': 3}
# Runs that were run again: the conclusion of an earlier attempt of each costs a request, of which the first refresh of
# the busy repository sends at most 60 and the next one the others.
RERUNS = 12
RERUNS_BUSY, RERUNS_BUSY_LEFT = 60, 13

SMALL = {'scale': 0.05, 'as_app': True, 'required_workflows': []}
EVERYTHING = {'repositories': None, 'organization': 'metta-ai', 'max_repositories': 2_000}

SCENARIOS = (
    Scenario(
        'standard, 60,000 lifetime runs',
        service={'history': 60_000},
        instance=ONE,
        only=TAGS,
        cold_requests={'POST': 9, 'GET': 22 + RERUNS},
        warm_requests=WARM,
        cold_cpu=2.0,
        warm_cpu=0.2,
        memory_mib=30,
    ),
    Scenario(
        'standard, 4,000 lifetime runs',
        service={'history': 4_000},
        instance=ONE,
        only=TAGS,
        cold_requests={'POST': 9, 'GET': 22 + RERUNS},
        warm_requests=WARM,
        cold_cpu=2.0,
        warm_cpu=0.2,
        memory_mib=30,
    ),
    Scenario(
        'busy, 9,000 runs in the window',
        service={'history': 60_000, 'runs_in_window': 9_000},
        instance=ONE,
        only=TAGS,
        cold_requests={'POST': 9, 'GET': 92 + RERUNS_BUSY},
        warm_requests={'POST': 3, 'GET': 3 + RERUNS_BUSY_LEFT},
        warm_cpu=0.4,
        memory_mib=60,
    ),
    Scenario(
        'standard, options of pull requests and issues',
        service={'history': 4_000},
        instance={
            **ONE,
            'hotfix_labels': ['hotfix'],
            'issues': True,
            'merge_commit_patterns': [r'\(#(\d+)\)$'],
        },
        only=TAGS,
        # One more for the issues.
        cold_requests={'POST': 10, 'GET': 22 + RERUNS},
        warm_requests={'POST': 4, 'GET': 3},
        cold_cpu=2.0,
        warm_cpu=0.25,
        memory_mib=30,
    ),
    Scenario(
        'options deployments, dora, jobs and runners',
        service={'history': 4_000},
        instance={
            **ONE,
            'deployments': True,
            'dora': {'source': 'deployments'},
            'jobs': True,
            'runners': True,
            'organization_runners': True,
        },
        only=TAGS,
        # The jobs of 50 attempts in each refresh until those of a day are known, and the comparisons of deployments.
        cold_requests={'POST': 11, 'GET': 130},
        warm_requests={'POST': 5, 'GET': 85},
        cold_cpu=2.0,
        warm_cpu=0.8,
        memory_mib=30,
    ),
    Scenario(
        'an organization of 301 small repositories',
        service={**SMALL, 'more_repositories': 298},
        instance=EVERYTHING,
        only=TAGS,
        cold_requests=700,
        # 320 in the refresh of an hour that lists the organization. The others take 315, and 4 for earlier attempts of
        # workflow runs until those of the first week are known.
        warm_requests=320,
        counted={'core': 60, 'graphql': 100},
        hour={'core': 450, 'graphql': 400},
    ),
    Scenario(
        'an organization of 1,000 small repositories',
        service={**SMALL, 'more_repositories': 997},
        instance=EVERYTHING,
        only=TAGS,
        cold_requests=3_000,
        warm_requests=1_080,
        counted={'core': 60, 'graphql': 312},
        hour={'core': 1_250, 'graphql': 1_250},
    ),
)

"""SkyPilot at 200 and at 2,000 jobs. A refresh is 7 requests whatever the number of jobs; 2 more every 12 hours.

Pools take 2 more in each refresh. Option `idle_minutes` takes 2 for each cluster that is up, every 15 minutes.
"""

from __future__ import annotations

from .harness import Scenario

SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        '201 jobs',
        service={'scale': 1},
        cold_requests=9,
        warm_requests=7,
        cold_cpu=0.15,
        warm_cpu=0.1,
        memory_mib=20,
    ),
    Scenario(
        '2,010 jobs',
        service={'scale': 10},
        cold_requests=9,
        warm_requests=7,
        cold_cpu=0.3,
        warm_cpu=0.15,
        memory_mib=20,
    ),
    Scenario(
        '2,010 jobs, all options',
        service={'scale': 10},
        instance={'by_user': True, 'by_workspace': True, 'per_job': True, 'api_timing': True},
        cold_requests=9,
        warm_requests=7,
        cold_cpu=0.3,
        warm_cpu=0.2,
        memory_mib=20,
    ),
    Scenario(
        '201 jobs, pools',
        service={'scale': 1, 'rare': True},
        instance={'pools': True},
        cold_requests=11,
        warm_requests=9,
        cold_cpu=0.15,
        warm_cpu=0.1,
        memory_mib=20,
    ),
    Scenario(
        '201 jobs, pools, idle_minutes with 8 clusters up',
        service={'scale': 1, 'rare': True},
        instance={'pools': True, 'idle_minutes': 60},
        cold_requests=27,
        warm_requests=25,
        cold_cpu=0.2,
        warm_cpu=0.15,
        memory_mib=20,
    ),
)

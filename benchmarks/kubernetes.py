"""Clusters of 1,000 and 10,000 pods of about 11 kB of JSON. Nothing is incremental: a warm refresh costs as much."""

from __future__ import annotations

from .harness import Scenario

SCENARIOS = (
    Scenario(
        '1,000 pods',
        service={'pods': 1_000},
        cold_requests=6,
        warm_requests=6,
        cold_cpu=0.25,
        warm_cpu=0.25,
        memory_mib=40,
    ),
    Scenario(
        '10,000 pods',
        service={'pods': 10_000},
        cold_requests=25,
        warm_requests=25,
        cold_cpu=1.5,
        warm_cpu=1.5,
        memory_mib=150,
        json_ratio=1.2,
    ),
    Scenario(
        '10,000 pods, gpu_usage',
        service={'pods': 10_000},
        instance={'gpu_usage': {'prometheus_url': '<url>/prometheus'}},
        cold_requests=28,
        warm_requests=28,
        memory_mib=150,
        json_ratio=1.2,
    ),
)

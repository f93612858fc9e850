"""Loads of source `wandb`: 2,600 and 26,000 runs of history, beside 44 running ones."""

from __future__ import annotations

from sandbox.every_option import EVERY_OPTION

from .harness import Scenario

MAIN = ['metta']

SCENARIOS = (
    Scenario(
        '2,600 runs, 212 ended in 7 days',
        service={'scale': 1, 'projects': MAIN},
        # Key, dialect, counts, readings, and three pages of runs.
        cold_requests=7,
        warm_requests=3,
        cold_cpu=0.3,
        warm_cpu=0.05,
        memory_mib=20,
    ),
    Scenario(
        '26,000 runs, 1,300 ended in 7 days',
        service={'scale': 10, 'week_scale': 6.13, 'projects': MAIN},
        cold_requests=18,
        warm_requests=3,
        cold_cpu=0.5,
        warm_cpu=0.05,
        memory_mib=20,
    ),
    Scenario(
        '26,000 runs, every option',
        service={'scale': 10, 'week_scale': 6.13, 'projects': MAIN, 'instance_options': EVERY_OPTION['wandb']},
        # The best run of all time and the sweeps; the other options need no request.
        cold_requests=20,
        warm_requests=5,
        cold_cpu=0.6,
        warm_cpu=0.1,
        memory_mib=20,
    ),
    Scenario(
        '26,000 runs, server without heartbeat filter',
        service={'scale': 10, 'week_scale': 6.13, 'projects': MAIN, 'heartbeat_filter': 'error'},
        # The live runs and the latest heartbeats are read apart.
        cold_requests=19,
        warm_requests=4,
        cold_cpu=0.5,
        warm_cpu=0.05,
        memory_mib=20,
    ),
    Scenario(
        'quiet project, 2 running',
        service={'scale': 1, 'projects': ['metta-evals'], 'activity': False},
        cold_requests=5,
        warm_requests=3,
        cold_cpu=0.2,
        warm_cpu=0.03,
        memory_mib=20,
    ),
)

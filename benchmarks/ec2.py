"""Loads of source `ec2`. Cold: also types, CloudWatch, and list prices, one request per kind of instance and volume."""

from __future__ import annotations

from sandbox.every_option import EVERY_OPTION

from .harness import Scenario

ONE_REGION = ['us-east-1']

SCENARIOS = (
    Scenario(
        name='500 instances, 500 volumes',
        service={'instances': 500, 'volumes': 500, 'regions': ONE_REGION},
        cold_requests=30,
        warm_requests=8,
        cold_cpu=3.0,
        warm_cpu=0.6,
        memory_mib=30,
    ),
    Scenario(
        name='5,000 instances, 5,000 volumes',
        service={'instances': 5000, 'volumes': 5000, 'regions': ONE_REGION},
        # By default, the check reads metrics of only 1,000 instances.
        instance={'idle': {'max_instances': 5000}},
        cold_requests=75,
        warm_requests=25,
        cold_cpu=15.0,
        warm_cpu=4.0,
        memory_mib=80,
    ),
    Scenario(
        name='5,000 instances, every option',
        service={
            'instances': 5000,
            'volumes': 5000,
            'regions': ONE_REGION,
            'situations': ['archive', 'images', 'capacity', 'interruptions', 'commitments'],
        },
        instance={
            'idle': {'max_instances': 5000},
            **EVERY_OPTION['ec2'],
        },
        cold_requests=85,
        warm_requests=28,
        cold_cpu=16.0,
        warm_cpu=4.5,
        memory_mib=85,
    ),
)

"""The check compared with the official typed client, on the sandbox."""

from __future__ import annotations

import warnings

import pytest

from metta_checks.core import catalog
from metta_checks.testing import Driver
from metta_checks.verify import Figure, compare, left_out, recompute
from sandbox.every_option import every_option
from sandbox.kubernetes.service import CLUSTER_NAME

pytestmark = pytest.mark.integration


def both(service, **overrides):
    driver = Driver.of(service, refresh_interval=0, **overrides)
    run = driver.run()
    assert run.error == ''
    ours = [Figure(name, value, tags) for (name, tags), value in run.values.items()]
    theirs = recompute('kubernetes', driver.check.instance, service.clock.now())
    return list(compare(ours, theirs.figures)), theirs


@pytest.mark.parametrize(
    'overrides',
    [
        {},
        {
            'thresholds': {
                'overallocated_ratio': 0.5,
                'high_restarts': 0,
                'idle_cpu_millicores': 500,
                'idle_memory_mib': 500,
            }
        },
        {'namespaces': {'include': ['team-*'], 'exclude': ['*-d*']}, 'max_namespaces': 3, 'per_deployment': 2},
        {'namespaces': {'include': ['team-data', 'team-web', 'team-eval']}},
        {'cluster_name': None, 'collect_nodes': False, 'cluster_idle': None, 'prices': None, 'per_deployment': None},
        {'collect_usage': False, 'cluster_idle': None, 'image_pull_error_reasons': ['ErrImagePull']},
    ],
)
def test_the_official_client_agrees(serve, overrides):
    comparisons, _ = both(serve('kubernetes', pods=200), **overrides)
    assert comparisons
    assert [comparison for comparison in comparisons if not comparison.agrees] == []


def test_everything_is_recomputed(serve):
    service = serve('kubernetes', pods=200)
    comparisons, theirs = both(service, **every_option(service))
    known = catalog.load('kubernetes')
    expected = {known.full_name(metric.name) for metric in known.metrics} - {
        known.full_name(name) for name in left_out('kubernetes')
    }
    assert {comparison.name for comparison in comparisons} == expected
    assert [comparison for comparison in comparisons if not comparison.agrees] == []
    assert all(f'cluster:{CLUSTER_NAME}' in comparison.tags for comparison in comparisons)
    # A look at the number of pods, six lists (pods, deployments, nodes, slices, claims, samples), and three queries.
    assert theirs.requests == 10


def test_many_pods_are_warned_of(serve, monkeypatch):
    monkeypatch.setattr('metta_checks.verify.kubernetes.reading.MANY_PODS', 90)
    service = serve('kubernetes', pods=100)
    with pytest.warns(UserWarning, match='10 to 20 times'):
        recompute('kubernetes', service.instance(), service.clock.now())


def test_few_pods_are_not_warned_of(serve):
    service = serve('kubernetes', pods=100)
    with warnings.catch_warnings():
        warnings.simplefilter('error', UserWarning)
        recompute('kubernetes', service.instance(), service.clock.now())

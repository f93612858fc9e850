"""A clock of this machine that is wrong: ages are told by the clock of the API server."""

from __future__ import annotations

from datetime import timedelta

import pytest

from metta_checks.testing import Clock, Driver

from ..case import case
from .world import PLAIN, PREFIX

SKEWS = [timedelta(minutes=20), timedelta(hours=-6)]


def run(world, skew, **options):
    """Refresh with a clock that differs from that of the API server."""
    instance = {**world.service.instance(), **PLAIN, 'collect_usage': False, **options}
    return Driver(instance, Clock(world.service.clock.now() + skew)).run()


@case('I', 'https://github.com/kubernetes/kubernetes/issues/48447')
@pytest.mark.parametrize('skew', SKEWS)
def test_pods_that_have_just_been_made(world, skew):
    """The clock of the machine is 20 minutes ahead, or 6 hours behind.

    A pod has waited for a node for 2 minutes, and another one for 10; a third one has not been ready for 5 minutes. The
    thresholds are 5 and 15 minutes.

    Right: `pods.pending_stuck` is 1, and `namespace.pods_unhealthy` is 1. The header `Date` of the API server tells its
    time.

    Unchanged: `pods.pending` is 2.
    """
    world.node('n1')
    for name, minutes in (('new', 2), ('old', 10)):
        metadata = {'creationTimestamp': world.ago(minutes=minutes)}
        world.pod(name, node='', metadata=metadata, status={'phase': 'Pending', 'conditions': []})
    not_ready = {'type': 'Ready', 'status': 'False', 'lastTransitionTime': world.ago(minutes=5)}
    world.pod('starts', status={'conditions': [not_ready]})
    found = run(world, skew)
    assert found.value(f'{PREFIX}pods.pending_stuck') == 1
    assert found.value(f'{PREFIX}namespace.pods_unhealthy', 'kube_namespace:team-a') == 1
    assert found.value(f'{PREFIX}pods.pending') == 2


@case('I', 'https://github.com/oracle/weblogic-kubernetes-operator/pull/2027')
@pytest.mark.parametrize('skew', SKEWS)
def test_deletions_and_kills_of_the_last_day(world, skew):
    """Ends by the clock of the API server.

    The grace period of a pod ended 2 minutes ago, and that of another one 10 minutes ago. A container was killed for
    its memory 23 h 50 min ago, another one 26 h ago. The clock of the machine is 20 minutes ahead, or 6 hours behind.

    Right: `pods.terminating_stuck` is 1, with a threshold of 5 minutes, and `pods.oomkilled_24h` is 1.

    Unchanged: `pods.terminating` is 2.
    """
    world.node('n1')
    for minutes in (2, 10):
        world.pod(f'ends-{minutes}', metadata={'deletionTimestamp': world.ago(minutes=minutes)})
    for number, hours in enumerate((24 - 1 / 6, 26)):
        killed = {'reason': 'OOMKilled', 'exitCode': 137, 'finishedAt': world.ago(hours=hours)}
        status = {'name': 'main', 'restartCount': 1, 'state': {'running': {}}, 'lastState': {'terminated': killed}}
        world.pod(f'killed-{number}', status={'containerStatuses': [status]})
    found = run(world, skew)
    assert found.value(f'{PREFIX}pods.terminating_stuck') == 1
    assert found.value(f'{PREFIX}pods.oomkilled_24h') == 1
    assert found.value(f'{PREFIX}pods.terminating') == 2

"""GPUs that pods claim, and the utilization of GPUs: the check and the official client compared with the truth."""

from __future__ import annotations

import pytest

from metta_checks.testing import Driver, as_truth, compare
from metta_checks.verify import recompute

pytestmark = pytest.mark.integration

PREFIX = 'metta.kubernetes.'
COUNTS = {f'{PREFIX}containers.restarts', f'{PREFIX}containers.oom_kills'}
GPU_HOUR = {'h100': 3.0, 'l4': 0.7}


@pytest.fixture
def service(serve):
    return serve('kubernetes', claims=True)


@pytest.fixture
def driver(service):
    prices = {**service.instance()['prices'], 'gpu_hour': GPU_HOUR}
    usage = service.gpu_usage()
    return Driver.of(service, refresh_interval=0, resource_claims=True, gpu_usage=usage, prices=prices)


def truth(service):
    now = service.clock.now()
    return as_truth([*service.truth(now), *service.usage_truth(now, GPU_HOUR)])


def test_claims_and_utilization_equal_the_truth_cold_and_warm(service, driver):
    for _ in range(3):
        run = driver.run()
        assert (run.error, run.warnings) == ('', [])
        figures = {key: value for key, value in run.figures().items() if key[0] not in COUNTS}
        assert compare(figures, truth(service)).lines == []
        service.pass_time(900)


def test_the_official_client_equals_the_truth(service, driver):
    for _ in range(2):
        theirs = recompute('kubernetes', driver.check.instance, service.clock.now())
        assert compare(as_truth(theirs.figures), truth(service)).lines == []
        service.pass_time(3600)


def test_what_pods_were_given_is_counted_once(driver):
    run = driver.run()
    # Two pods share two devices, one has another, one is being deleted, and a claim keeps the device of a failed pod.
    # Monitoring takes none from others.
    expected = {'allocatable': 6, 'requested': 5, 'terminating': 1, 'free': 1, 'largest_free_block': 1}
    for name, value in expected.items():
        assert run.value(f'{PREFIX}gpu.{name}', 'gpu_type:h200') == value, name

"""Pauses of runs that share a machine with others, as the check sees them from refresh to refresh."""

from __future__ import annotations

import pytest

from metta_checks.testing import Driver, as_truth
from sandbox.wandb.options import EVALS

pytestmark = pytest.mark.integration

OPTIONS = {'by_state': True, 'by_user': True, 'by_group': True, 'prices': {'l4': 0.8}}
# Figures of changes, for which the sandbox has no truth.
OF_CHANGES = ('gpus.utilization_24h_pct', 'gpus.utilization_24h_coverage_pct', 'runs.finished')


def test_pauses_on_a_shared_machine(serve):
    """The truth knows when the run paused; the check has seen the end and the resumption."""
    service = serve('wandb', scale=0.01, activity=False, projects=[EVALS], instance_options=OPTIONS)
    service.projects[EVALS].runs.clear()
    driver = Driver.of(service)
    first = service.start_run(EVALS, 'pauses', gpus=8)
    second = service.join_run(first, EVALS, 'goes on', (0, 1))

    def refresh(hours):
        service.pass_time(hours * 3600)
        run = driver.run()
        truth = as_truth(service.truth(service.clock.now()))
        found = {
            key: value
            for key, value in run.values.items()
            if key[0].startswith('metta.wandb.') and not key[0].endswith(OF_CHANGES)
        }
        assert {key: value for key, value in found.items() if key in truth or value} == pytest.approx(truth, rel=1e-4)
        return run.value('metta.wandb.training.total_gpu_hours_7d')

    assert refresh(2) == pytest.approx(16, abs=0.1)
    service.end_run(first, 'crashed')
    refresh(0.25)
    alone = refresh(3)
    service.resume_run(first)
    service.pass_time(1800)
    service.end_run(second)
    together = refresh(0.25)
    # The machine has 8 GPUs, whether one run or both are there.
    assert together - alone == pytest.approx(0.75 * 8, abs=0.1)
    refresh(4)

"""A W&B project in which only the runs of a test are."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from metta_checks.testing import Driver
from metta_checks.testing import Run as CheckRun
from sandbox.wandb.data import Run
from sandbox.wandb.machines import Machine, Writer
from sandbox.wandb.options import MAIN
from sandbox.wandb.service import WandbService

M = 'metta.wandb.'
H100 = 'NVIDIA H100 80GB HBM3'
EIGHT = Machine.of('node-1', H100, 8)


class World:
    """A project and its server."""

    def __init__(self, service: WandbService) -> None:
        self.service = service
        self.runs = service.projects[MAIN].runs
        self.runs.clear()

    def run(
        self,
        *writers: Writer,
        state: str = 'running',
        began: float = 1.0,
        ended: float = 0.0,
        busy: float = 90.0,
        **fields: Any,
    ) -> Run:
        """Add a run that began and was heard of last the given numbers of hours ago.

        The GPUs of its machines are busy to `busy` percent. A run with `system={}` has no system metrics.
        """
        now = self.service.server_time()
        created, heartbeat = now - timedelta(hours=began), now - timedelta(hours=ended)
        number = len(self.runs) + 1
        values = {
            'display_name': f'run-{number}',
            'compute': (heartbeat - created).total_seconds(),
            'user': self.service.organization.people[0],
            'gpu_type': '',
            'gpus': 0,
            'run_type': 'other',
            'system': dict(
                reading for writer in writers for reading in writer.readings(dict.fromkeys(writer.machine.uuids, busy))
            ),
            **fields,
        }
        run = Run(number=number, state=state, created=created, heartbeat=heartbeat, writers=writers, **values)
        self.runs[run.id] = run
        return run

    def driver(self, **options: Any) -> Driver:
        """Return a check of the project."""
        return Driver.of(self.service, projects=[MAIN], **options)

    def read(self, **options: Any) -> CheckRun:
        """Return the first refresh of a check of the project."""
        return self.driver(**options).run()


def hours(run: CheckRun) -> float | None:
    """Return the GPU-hours of the week."""
    return run.value(f'{M}training.total_gpu_hours_7d')


def in_use(run: CheckRun) -> dict[str, float]:
    """Return the GPUs in use by type."""
    return {
        next(tag.split(':', 1)[1] for tag in tags if tag.startswith('gpu_type:')): value
        for tags, value in run.series(f'{M}gpus.in_use').items()
    }

"""SkyPilot and Weights & Biases in a working week."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from ..skypilot.model import SPOT, Cluster, ClusterJob, Job
from ..wandb.data import ACCURACY, LOSS, Run
from .life import HOUR, Life, intensity, spot_is_short, weekend_cluster_is_up

if TYPE_CHECKING:
    from ..skypilot.service import SkyPilotService
    from ..wandb.service import WandbService


class SkyPilotLife(Life):
    """Jobs that are queued, run and end; on Wednesday spot machines are taken away, and the queue builds up.

    On Friday evening somebody launches a cluster with eight GPUs, whose only job ends after an hour; nobody stops it
    before Monday.
    """

    service: SkyPilotService

    # Accelerator, how many, and out of 20.
    SHAPES = (('L4', 1, 7), ('L4', 4, 7), ('A10G', 1, 3), ('L40S', 4, 1), ('H100', 8, 2))

    def begin(self) -> None:
        """Plan the ends of running jobs."""
        self._lost: list[Job] = []
        self._weekend: Cluster | None = None
        running = self._running()
        for job in self.dice.sample(running, len(running) // 2):
            self.later(self.dice.uniform(2, 165), partial(self._end, job))

    def _running(self) -> list[Job]:
        return [job for job in self.service.jobs.values() if job.status == 'RUNNING' and not job.is_group]

    def beat(self, before: datetime) -> None:
        """Queue jobs; take spot machines away and return them."""
        for _ in range(self.often(1.4, before)):
            self._queue()
        if spot_is_short(self.now) and not self._lost:
            spot = [job for job in self._running() if job.current.market == SPOT and job.current.gpu == 'L4']
            self._lost = self.dice.sample(spot, len(spot) // 3)
            for job in self._lost:
                self.service.life.lose(job)
        elif not spot_is_short(self.now) and self._lost:
            for job in self._lost:
                self.later(self.dice.uniform(0, 1.5), partial(self.service.life.recover, job))
            self._lost = []
        self._weekend_cluster()

    def _weekend_cluster(self) -> None:
        if weekend_cluster_is_up(self.now) and self._weekend is None:
            owner = self.service.organization.people[5]
            cluster = Cluster(
                'eval-weekend', owner, 'UP', 1, 'H100', 8, False, 'aws', 'us-east-1', self.now, workspace='research'
            )
            cluster.open(self.now)
            cluster.jobs.append(ClusterJob(self.now, self.now + HOUR))
            self.service.clusters.append(cluster)
            self._weekend = cluster
        elif not weekend_cluster_is_up(self.now) and self._weekend is not None:
            self._weekend.close(self.now, 'STOPPED')
            self._weekend = None

    def _queue(self) -> None:
        life = self.service.life
        gpu, gpus, _ = self.dice.choices(self.SHAPES, [share for _, _, share in self.SHAPES])[0]
        owner = self.dice.choice(self.service.organization.people[:24])
        name = f'{self.dice.choice(("sweep", "ptm", "eval"))}-{self._planned:04d}'
        job = life.queue(name, owner, gpu=gpu, gpus=gpus)

        def start() -> None:
            if spot_is_short(self.now):
                self.later(self.dice.uniform(0.5, 2), start)
            else:
                life.start(job)
                self.later(0.1, run)

        def run() -> None:
            life.run(job, self.dice.choices(('us-east-1', 'us-west-2'), (3, 1))[0])
            self.later(min(40, self.dice.lognormvariate(1.0, 1.1)), partial(self._end, job))

        self.later(self.dice.expovariate(1 / (0.1 + 0.4 * intensity(self.now))), start)

    def _end(self, job: Job) -> None:
        if job.status == 'RUNNING':
            statuses = ('SUCCEEDED', 'FAILED', 'FAILED_SETUP', 'CANCELLED')
            self.service.life.end(job, self.dice.choices(statuses, (82, 10, 2, 6))[0])
        elif job.status == 'RECOVERING':
            self.later(2, partial(self._end, job))


class WandbLife(Life):
    """Runs that are started and end, better and better ones; those on spot machines crash on Wednesday."""

    service: WandbService

    def begin(self) -> None:
        """Remember the start, from which the loss improves."""
        self._began = self.now

    def beat(self, before: datetime) -> None:
        """Start runs."""
        names = list(self.service.projects)
        for _ in range(self.often(1.6, before)):
            project = names[0] if self.dice.random() < 0.7 else names[-1]
            gpu, gpus = self.dice.choice((('l4', 1), ('l4', 4), ('a10g', 1), ('h100', 8)))
            kind = self.dice.choice(('sweep', 'stable', 'local'))
            run = self.service.start_run(project, f'{kind}-{self._planned:04d}', gpu, gpus, kind)
            run.summary.update({LOSS: self._loss()})
            self.later(min(30, self.dice.lognormvariate(0.9, 1.0)), partial(self._end, run))

    def _loss(self) -> float:
        days = (self.now - self._began) / timedelta(days=1)
        return round(0.25 + 0.5 * math.exp(-days / 4) + abs(self.dice.gauss(0, 0.05)), 4)

    def _end(self, run: Run) -> None:
        if run.state != 'running':
            return
        weights = (30, 20, 45, 5) if spot_is_short(self.now) else (76, 11, 8, 5)
        state = self.dice.choices(('finished', 'failed', 'crashed', 'killed'), weights)[0]
        results = {LOSS: self._loss()}
        if state == 'finished':
            results[ACCURACY] = round(min(0.94, 0.96 - 0.25 * results[LOSS] + self.dice.gauss(0, 0.03)), 4)
        self.service.end_run(run, state, **results)

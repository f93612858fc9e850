"""The runs: the organization's running training jobs and the history before them.

They match SkyPilot's running jobs: one run per GPU job but one that logs nothing, the same
owners, start times and GPUs. Two have been "running" for two weeks and have fallen silent.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from ..organization import Organization, Person, TrainingJob
from .machines import Machine, Writer
from .options import EVALS, MAIN

ENTITY = 'metta-ai'
# GPU type -> what W&B calls the product.
PRODUCTS = {
    'l4': 'NVIDIA L4',
    'a10g': 'NVIDIA A10G',
    'l40s': 'NVIDIA L40S',
    'h100': 'NVIDIA H100 80GB HBM3',
    't4': 'Tesla T4',
    '': None,
}
ENDED = ('finished', 'failed', 'crashed', 'killed', 'preempted')
# At scale 1: runs in the main project, and how those of the last 7 days ended.
MAIN_RUNS = 2600
ENDED_IN_WEEK = {'finished': 150, 'failed': 24, 'crashed': 26, 'killed': 10, 'preempted': 2}
EVALS_RUNS = 120
EVALS_ENDED_IN_WEEK = {'finished': 17, 'failed': 1}
SILENT_HOURS = (31.0, 6.0)
WEEK_HOURS = 168.0
IDLE_PERCENT = 3.0

ACCURACY = 'accuracy'
LOSS = 'loss'
SPS = 'overview/steps_per_second'
HEARTS = 'env_agent/heart.gained'
LATENCY = 'skypilot/queue_latency_s'


@dataclass(slots=True)
class Run:
    """A run, with facts that W&B does not show."""

    number: int
    display_name: str
    state: str
    created: datetime
    heartbeat: datetime | None
    # Running time in seconds.
    compute: float
    user: Person | None
    gpu_type: str
    gpus: int
    # 'ptm', 'sweep', 'stable', 'local' or 'other'.
    run_type: str
    tags: tuple[str, ...] = ()
    group: str | None = None
    job_type: str | None = None
    sweep: str | None = None
    summary: dict[str, Any] = field(default_factory=dict)
    system: dict[str, float] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    # Seconds since the last heartbeat while the run is healthy; None when it is silent or over.
    pulse: float | None = None
    # The processes that log to the run; by default one, on a machine of its own.
    writers: tuple[Writer, ...] = ()
    # runInfo of the API: null; the name of the GPU that it shows instead of the machine's; without a count.
    no_info: bool = False
    gpu_name: str | None = None
    no_count: bool = False
    # Fields of the API that the server fails to read.
    unreadable: tuple[str, ...] = ()
    # Begin and end of a run that was recorded without a network and sent to the server later.
    recorded: tuple[datetime, datetime] | None = None
    # Begin, end and running time in seconds of what came before the last resumption.
    past: list[tuple[datetime, datetime, float]] = field(default_factory=list)
    # The last resumption.
    resumed: datetime | None = None

    def __post_init__(self) -> None:
        """Put a run without writers on a machine of its own; every fourth run has an SDK that does not describe it."""
        if not self.writers:
            machine = Machine.of(f'node-{self.number:05d}', PRODUCTS[self.gpu_type], self.gpus)
            self.writers = (Writer(machine, sends_environment=self.number % 4 != 0),)

    @property
    def id(self) -> str:
        """The run id, eight characters."""
        return f'r{self.number:07d}'

    def record(self, hours: float) -> None:
        """Make this a run that was recorded without a network for these hours since its creation.

        The server's running time is that of the transfer.
        """
        self.recorded = (self.created, self.created + timedelta(hours=hours))
        self.compute = 20.0
        self.summary['_wandb'] = {'runtime': hours * 3600}
        self.summary['_runtime'] = hours * 3600 - 4.5
        self.summary['_timestamp'] = self.created.timestamp() + hours * 3600 - 4.5

    @property
    def last_seen(self) -> datetime:
        """The last heartbeat; without one, the creation."""
        return self.heartbeat or self.created

    @property
    def ended(self) -> datetime:
        """The real end, or the last sign of life until then."""
        return self.recorded[1] if self.recorded else self.last_seen

    @property
    def seconds(self) -> float:
        """The real running time in seconds."""
        return (self.recorded[1] - self.recorded[0]).total_seconds() if self.recorded else self.compute

    @property
    def stretches(self) -> list[tuple[datetime, datetime, float]]:
        """Begin, end and running time in seconds of each uninterrupted part, as far as they are known."""
        if self.recorded:
            return [(*self.recorded, self.seconds)]
        running = self.compute - sum(seconds for _, _, seconds in self.past)
        return [*self.past, (self.resumed or self.created, self.last_seen, running)]

    @property
    def host(self) -> str:
        """The machine that logs, the first of several."""
        return self.writers[0].machine.host

    @property
    def info(self) -> dict[str, Any] | None:
        """The hardware as `runInfo` shows it: that of the first machine, whoever uses it; None where it is missing."""
        if self.no_info:
            return None
        machine = self.writers[0].machine
        count = None if self.no_count else len(machine.uuids) or None
        return {'gpu': self.gpu_name or machine.product, 'gpuCount': count, 'cpuCount': 32}

    @property
    def settings(self) -> dict[str, Any]:
        """The configuration as the API shows it, with the machines of those writers that describe them."""
        entries = {key: {'value': value, 'desc': None} for key, value in self.config.items()}
        told = {writer.id: writer.environment(self.created) for writer in self.writers if writer.sends_environment}
        if told:
            entries['_wandb'] = {'value': {'cli_version': '0.31.0', 'e': told}, 'desc': None}
        return entries


class Project:
    """A project: its runs by id, and its sweeps (id, state)."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.runs: dict[str, Run] = {}
        self.sweeps: list[tuple[str, str]] = []

    def add(self, run: Run) -> Run:
        """Add a run."""
        self.runs[run.id] = run
        return run


class Generator:
    """Makes the projects, from the organization's random numbers."""

    def __init__(self, organization: Organization, now: datetime, scale: float, week_scale: float) -> None:
        self.organization = organization
        self.dice = organization.random('wandb')
        self.now = now
        self.scale = scale
        self.week_scale = week_scale
        self.number = 0

    def projects(self) -> dict[str, Project]:
        """Make the visible projects, by name."""
        main = Project(MAIN)
        main.sweeps = [
            (f'sweep{index:02d}', state)
            for index, state in enumerate(('RUNNING', 'RUNNING', 'PAUSED', *['FINISHED'] * 9))
        ]
        present = [*self.running(), *self.waiting()]
        for run in (*self.past(round(MAIN_RUNS * self.scale) - len(present), ENDED_IN_WEEK, main), *present):
            main.add(run)
        evals = Project(EVALS)
        for run in (*self.past(round(EVALS_RUNS * self.scale), EVALS_ENDED_IN_WEEK, evals), *self.evaluations()):
            evals.add(run)
        return {MAIN: main, EVALS: evals}

    def next_number(self) -> int:
        """Return a number that no run has."""
        self.number += 1
        return self.number

    # Running.

    def running(self) -> Iterator[Run]:
        """Make one run per running GPU job, except one: the youngest of those over a day logs nothing."""
        jobs = [job for job in self.organization.running_jobs if job.gpu]
        mute = min((job for job in jobs if job.age_hours > 24), key=lambda job: job.age_hours)
        longest = sorted(jobs, key=lambda job: -job.age_hours)[: len(SILENT_HOURS)]
        silent = {job.number: hours for job, hours in zip(longest, SILENT_HOURS, strict=True)}
        hesitant = next(job for job in jobs if 24 < job.age_hours < 200 and job is not mute)
        silent[hesitant.number] = 40 / 60
        idle = next(job for job in jobs if job.gpu == 'H100' and job.nodes == 1)
        for job in jobs:
            if job is not mute:
                yield self.of_job(job, silent.get(job.number), idle=job is idle)

    def of_job(self, job: TrainingJob, silent_hours: float | None, *, idle: bool) -> Run:
        """Make the run that a SkyPilot job logs to, from the first of its nodes."""
        dice = self.dice
        family = job.name.split('-')[0]
        created = self.now - timedelta(hours=job.age_hours)
        if silent_hours is None:
            pulse = dice.uniform(2, 40)
            heartbeat = self.now - timedelta(seconds=pulse)
        else:
            pulse = None
            heartbeat = self.now - timedelta(hours=silent_hours)
        # Every recovery cost 25 minutes; the run was resumed.
        compute = max(60.0, (heartbeat - created).total_seconds() - job.recoveries * 1500)
        level = IDLE_PERCENT if idle else dice.gauss(78, 5)
        run = Run(
            number=self.next_number(),
            display_name=job.name,
            state='running',
            created=created,
            heartbeat=heartbeat,
            compute=compute,
            user=job.owner,
            gpu_type=job.gpu.lower(),
            gpus=job.gpus_per_node,
            run_type='stable' if family == 'stable' else family,
            tags=(family,) if family == 'stable' else (),
            sweep='sweep00' if family == 'sweep' else None,
            group=family,
            job_type='train',
            summary={SPS: round(dice.uniform(2e4, 9e4), 1), LOSS: round(dice.uniform(0.4, 1.5), 4)},
            config={'num_gpus': job.gpus, 'learning_rate': 0.0003},
            pulse=pulse,
        )
        if job.nodes > 1 and job.gpu == 'H100':
            run.writers = tuple(replace(writer, label='rank0') for writer in run.writers)
        run.system = self.system(run, level)
        return run

    def system(self, run: Run, level: float) -> dict[str, float]:
        """Make the system metrics of a run whose GPUs are busy to about `level` percent."""
        spread = 0.5 if level <= 2 * IDLE_PERCENT else 6.0
        metrics: dict[str, float] = {'system.cpu': 41.5, 'system.memory': 37.0}
        for writer in run.writers:
            uuids = writer.machine.uuids
            busy = {uuid: min(100.0, max(0.0, self.dice.gauss(level, spread))) for uuid in uuids}
            metrics.update(writer.readings(busy))
        return metrics

    def waiting(self) -> Iterator[Run]:
        """Make two pending runs, which have no heartbeat, and one that is being preempted."""
        for hours in (0.4, 6.5):
            run = self.blank('sweep-queued', self.now - timedelta(hours=hours), 'sweep')
            run.state = 'pending'
            run.sweep = 'sweep01'
            yield run
        run = self.blank('local-evicted', self.now - timedelta(hours=3), 'local', 'l4', 4)
        run.state = 'preempting'
        run.heartbeat = self.now - timedelta(minutes=1)
        run.compute = 3 * 3600.0 - 60
        yield run

    def evaluations(self) -> Iterator[Run]:
        """Make two running evaluations."""
        for index in range(2):
            run = self.blank(f'eval-{index}', self.now - timedelta(hours=1 + index), 'other', 'l4', 1)
            run.state = 'running'
            run.pulse = 5.0 + index
            run.heartbeat = self.now - timedelta(seconds=run.pulse)
            run.compute = 3600.0 * (1 + index) - run.pulse
            run.system = self.system(run, 60)
            yield run

    def blank(self, name: str, created: datetime, run_type: str, gpu_type: str = '', gpus: int = 0) -> Run:
        """Make a run that has just been created."""
        number = self.next_number()
        return Run(
            number=number,
            display_name=name,
            state='pending',
            created=created.replace(microsecond=250000) if number % 3 == 2 else created.replace(microsecond=0),
            heartbeat=None,
            compute=0.0,
            user=self.dice.choice(self.organization.people),
            gpu_type=gpu_type,
            gpus=gpus,
            run_type=run_type,
            tags=('stable',) if run_type == 'stable' else (),
            config={'num_gpus': gpus},
        )

    # The past.

    def past(self, total: int, in_week: dict[str, int], project: Project) -> list[Run]:
        """Make `total` runs that have ended; `in_week`: numbers of the last 7 days, by state."""
        states = [state for state, number in in_week.items() for _ in range(round(number * self.week_scale))]
        self.dice.shuffle(states)
        recent = [self.ended_run(state, self.dice.uniform(0.1, WEEK_HOURS - 0.5)) for state in states]
        older = [
            self.ended_run(self.dice.choices(ENDED, (70, 11, 12, 5, 2))[0], self.dice.uniform(WEEK_HOURS + 1, 365 * 24))
            for _ in range(total - len(recent))
        ]
        self.results([run for run in recent if run.state == 'finished'], project, week=True)
        self.results([run for run in older if run.state == 'finished'], project, week=False)
        # A crashed run that looked better than every finished one of the week.
        for run in [run for run in recent if run.state == 'crashed'][:1]:
            run.summary[ACCURACY] = 0.95
        return [*older, *recent]

    def ended_run(self, state: str, hours_ago: float) -> Run:
        """Make a run that ended this many hours ago."""
        dice = self.dice
        end = (self.now - timedelta(hours=hours_ago)).replace(microsecond=0)
        life = min(80.0, max(0.05, dice.lognormvariate(1.0, 1.2))) * 3600
        kind = dice.choices(('ptm', 'sweep', 'stable', 'local', 'other'), (30, 25, 15, 20, 10))[0]
        gpu_type, gpus = dice.choices(
            (('l4', 4), ('l4', 8), ('l4', 1), ('a10g', 1), ('l40s', 4), ('h100', 8), ('t4', 1), ('', 0)),
            (40, 15, 10, 8, 8, 6, 6, 7),
        )[0]
        name = {
            'ptm': f'ptm-{dice.randrange(1000)}',
            'sweep': f'agent-{dice.randrange(1000)}',
            'stable': f'baseline-{dice.randrange(1000)}',
            'local': f'local-{dice.randrange(1000)}',
            'other': f'localization-{dice.randrange(10, 100)}',
        }[kind]
        run = self.blank(name, end - timedelta(seconds=life), kind, gpu_type, gpus)
        run.state = state
        run.heartbeat = end
        # One in ten was resumed after a pause.
        active = dice.uniform(0.2, 0.7) if dice.random() < 0.1 else 1.0
        run.compute = round((end - run.created).total_seconds() * active, 1)
        run.sweep = f'sweep{dice.randrange(12):02d}' if kind == 'sweep' else None
        run.group = kind
        run.job_type = 'train'
        run.system = {'system.cpu': 12.0}
        run.summary = {SPS: round(dice.uniform(1e4, 9e4), 1), HEARTS: round(dice.uniform(0, 40), 3)}
        if dice.random() < 0.5:
            run.summary[LATENCY] = round(dice.expovariate(1 / 300), 1)
        return run

    def results(self, finished: list[Run], project: Project, *, week: bool) -> None:
        """Set the accuracy of 60 % and the loss of 70 % of the finished runs.

        Some values are not numbers, as people log them.
        """
        dice: random.Random = self.dice
        with_accuracy = dice.sample(finished, round(0.6 * len(finished)))
        best = 0.93 if week else 0.92
        for run in with_accuracy:
            run.summary[ACCURACY] = round(min(best - 0.005, max(0.3, dice.gauss(0.78, 0.08))), 4)
        with_loss = dice.sample(finished, round(0.7 * len(finished)))
        for run in with_loss:
            run.summary[LOSS] = round(max(0.05, dice.gauss(0.8, 0.3)), 4)
        if project.name != MAIN or len(with_accuracy) < 20:
            return
        if week:
            with_accuracy[0].summary[ACCURACY] = best
            for run in with_accuracy[1:7]:
                run.summary[ACCURACY] = 'NaN'
            with_loss[0].summary[LOSS] = 'diverged'
            with_loss[1].summary[LOSS] = {'mean': 0.5, 'max': 0.9}
        else:
            three_weeks = self.now - timedelta(days=21)
            run = min(with_accuracy, key=lambda run: abs(run.last_seen - three_weeks))
            run.summary[ACCURACY] = 0.97

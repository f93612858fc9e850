"""Rare situations: machines that several runs share, runs on several machines, and facts that W&B lacks.

The project metta-fleet has all facts that the figures need; the project metta-unclear lacks some.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from ..organization import Organization
from .data import LOSS, PRODUCTS, Project, Run
from .machines import NO_CPU_READINGS, Machine, Writer
from .options import FLEET, UNCLEAR

# Product names of further GPUs, with their types.
NAMES = {
    'NVIDIA RTX 6000 Ada Generation': 'rtx-6000-ada',
    'Quadro RTX 6000': 'quadro-rtx-6000',
    'NVIDIA GeForce RTX 3090': 'rtx-3090',
    'NVIDIA GeForce RTX 3090 Ti': 'rtx-3090-ti',
    'Tesla V100-SXM2-16GB': 'v100',
    'Tesla V100-SXM2-32GB': 'v100-32gb',
}
L4 = 'NVIDIA L4'
A100 = 'NVIDIA A100-SXM4-80GB'
SLICE = f'{A100} MIG 1g.10gb'
WITHOUT_GPUS = Machine.of('cpu-01', None, 0)


class RareSituations:
    """Makes the projects of rare situations.

    Attributes:
        start: the time of the server at which the sandbox starts
        next_number: returns a number that no run has
    """

    def __init__(self, organization: Organization, start: datetime, next_number: Callable[[], int]) -> None:
        self.dice = organization.random('wandb rare')
        self.people = organization.people
        self.start = start
        self.next_number = next_number

    def projects(self) -> dict[str, Project]:
        """Make the projects, by name."""
        made = {}
        for name, situations in (
            (
                FLEET,
                (
                    self.sweep_on_one_machine,
                    self.one_run_per_rank,
                    self.machines_of_one_name,
                    self.shared_gpu,
                    self.shared_runs,
                    self.names_of_gpus,
                    self.late_metadata,
                    self.preempted,
                    self.offline,
                    self.resumed,
                ),
            ),
            (UNCLEAR, (self.missing_metadata, self.resumed_before_the_week)),
        ):
            project = made[name] = Project(name)
            for situation in situations:
                for run in situation():
                    project.add(run)
        return made

    def run(self, name: str, hours: float, *writers: Writer, gpu_type: str = 'h100', **fields: Any) -> Run:
        """Make a healthy run that began this many hours ago."""
        number = self.next_number()
        machine = writers[0].machine
        pulse = 3.0 + number % 20
        run = Run(
            number=number,
            display_name=name,
            state='running',
            created=self.start - timedelta(hours=hours),
            heartbeat=self.start - timedelta(seconds=pulse),
            compute=hours * 3600 - pulse,
            user=self.people[number % 6],
            gpu_type=gpu_type if machine.uuids else '',
            gpus=len(machine.uuids),
            run_type='other',
            writers=writers,
            pulse=pulse,
            summary={LOSS: round(self.dice.uniform(0.4, 1.5), 4)},
            config={'num_gpus': len(machine.uuids)},
        )
        for key, value in fields.items():
            setattr(run, key, value)
        return run

    def end(self, run: Run, hours_ago: float, state: str = 'finished') -> Run:
        """End a run that many hours before the start."""
        run.state = state
        run.pulse = None
        run.heartbeat = self.start - timedelta(hours=hours_ago)
        run.compute = (run.heartbeat - run.created).total_seconds()
        return run

    def measure(self, *runs: Run, level: float = 80) -> None:
        """Give runs the readings of their machines: a GPU that no process uses is idle."""
        writers = [writer for run in runs for writer in run.writers]
        used = sorted({uuid for writer in writers for uuid in writer.held_uuids})
        busy = {uuid: min(100.0, max(10.0, self.dice.gauss(level, 8))) for uuid in used}
        for run in runs:
            run.system = {**NO_CPU_READINGS}
            for writer in run.writers:
                run.system.update(writer.readings(busy))

    # Situations.

    def sweep_on_one_machine(self) -> Iterator[Run]:
        """Eight agents with a GPU each, and one without; before them, eight others on the same machine."""
        machine = Machine.of('sweep-box', PRODUCTS['h100'], 8)
        agents = [
            self.run(f'agent-{index}', 10, Writer(machine, (index,)), sweep='sweep00', group='sweep', run_type='sweep')
            for index in range(8)
        ]
        evaluator = self.run('agent-cpu', 9, Writer(machine, ()), sweep='sweep00', group='sweep', run_type='sweep')
        self.measure(*agents, evaluator)
        yield from (*agents, evaluator)
        earlier = [
            self.run(f'agent-{index}', 30, Writer(machine, (index,)), sweep='sweep00', group='sweep', run_type='sweep')
            for index in range(8)
        ]
        self.measure(*earlier)
        states = ('finished', 'finished', 'failed', 'crashed', 'killed', 'finished', 'finished', 'preempted')
        for index, (run, state) in enumerate(zip(earlier, states, strict=True)):
            yield self.end(run, 20 + index / 4, state)

    def one_run_per_rank(self) -> Iterator[Run]:
        """Two groups with a run for each of eight ranks on two machines; the second group has crashed."""
        for group, hours in (('ddp-1', 5.0), ('ddp-2', 60.0)):
            machines = [Machine.of(f'{group}-{node}', PRODUCTS['l40s'], 4) for node in range(2)]
            ranks = [
                self.run(f'{group}-rank-{rank}', hours, Writer(machines[rank // 4], (rank % 4,)), gpu_type='l40s')
                for rank in range(8)
            ]
            self.measure(*ranks)
            for rank, run in enumerate(ranks):
                run.group = group
                yield self.end(run, 40 + rank / 60, 'crashed') if group == 'ddp-2' else run

    def machines_of_one_name(self) -> Iterator[Run]:
        """Two machines with the host name `vm`, a run on each, and one that logs from rank 0 of a third machine."""
        for serial in ('one', 'two'):
            run = self.run(f'on-vm-{serial}', 4, Writer(Machine.of('vm', PRODUCTS['l4'], 1, serial)), gpu_type='l4')
            self.measure(run, level=55)
            yield run
        # The processes of the other ranks do not descend from the one that logs.
        machine = Machine.of('rank-zero', PRODUCTS['a10g'], 4)
        alone = self.run('rank-0-only', 7, Writer(machine, (0,)), gpu_type='a10g')
        alone.system = {**NO_CPU_READINGS, **dict(Writer(machine, (0,)).readings(dict.fromkeys(machine.uuids, 91.0)))}
        yield alone

    def shared_gpu(self) -> Iterator[Run]:
        """Two runs on the only GPU of a machine, and one that does not use it."""
        machine = Machine.of('shared-gpu', PRODUCTS['h100'], 1)
        runs = [
            self.run(f'shares-{index}', 3 + index, Writer(machine, held)) for index, held in enumerate([(0,), (0,), ()])
        ]
        self.measure(*runs, level=99)
        yield from runs

    def shared_runs(self) -> Iterator[Run]:
        """A run with a writer on each of two machines, and one with two writers on one machine."""
        two = [Writer(Machine.of(f'shared-{node}', PRODUCTS['h100'], 8), label=f'node-{node}') for node in range(2)]
        run = self.run('shared-mode', 12, *two)
        self.measure(run)
        yield run
        machine = Machine.of('shared-labels', PRODUCTS['a10g'], 2)
        writers = [Writer(machine, (rank,), label=f'rank_{rank}') for rank in range(2)]
        run = self.run('shared-mode-one-host', 2, *writers, gpu_type='a10g')
        self.measure(run)
        yield run

    def names_of_gpus(self) -> Iterator[Run]:
        """Runs on GPUs with unusual names, a slice of one among them, and names in the form of a list."""
        for index, (product, gpu_type) in enumerate(NAMES.items()):
            run = self.run(f'on-{gpu_type}', 6, Writer(Machine.of(f'named-{index}', product, 1)), gpu_type=gpu_type)
            self.measure(run)
            yield run
        for product, count, gpu_type in ((L4, 1, 'l4'), (A100, 2, 'a100-80gb'), (SLICE, 1, 'nvidia-mig-1g.10gb')):
            writer = Writer(Machine.of(f'listed-{gpu_type}', product, count), sends_environment=False)
            run = self.run(f'list-of-{count}', 6, writer, gpu_type=gpu_type)
            run.gpu_name = f'[{", ".join([product] * count)}]'
            self.measure(run)
            yield run
        writer = Writer(Machine.of('listed-mixed', L4, 2), sends_environment=False)
        run = self.run('list-of-types', 6, writer, gpu_type='mixed', gpu_name=f'[{L4}, Tesla T4]')
        self.measure(run)
        yield run

    def late_metadata(self) -> Iterator[Run]:
        """Runs whose hardware only the readings show, and a driver on a machine without GPUs."""
        for name, gpu_type, fields in (
            ('no-info-yet', 'unknown', {'no_info': True}),
            ('no-count', 'l4', {'no_count': True}),
        ):
            writer = Writer(Machine.of(name, PRODUCTS['l4'], 2), sends_environment=False)
            run = self.run(name, 0.5, writer, gpu_type=gpu_type, **fields)
            self.measure(run, level=40)
            yield run
        yield self.run('driver', 8, Writer(WITHOUT_GPUS), system={**NO_CPU_READINGS})

    def preempted(self) -> Iterator[Run]:
        """A run that is being preempted and still has its GPUs."""
        run = self.run('preempting', 16, Writer(Machine.of('preempting', PRODUCTS['a10g'], 2)), gpu_type='a10g')
        self.measure(run)
        run.state = 'preempting'
        yield run

    def offline(self) -> Iterator[Run]:
        """Runs that were recorded without a network and sent hours before the start.

        The first one ended three weeks ago, and the last one was created by the transfer.
        """
        for name, hours in (('offline-old', 21 * 24.0), ('offline-new', 50.0), ('offline-created', 30.0)):
            run = self.end(self.run(name, hours, Writer(Machine.of(name, PRODUCTS['l4'], 1)), gpu_type='l4'), 5)
            self.measure(run)
            run.record(2)
            if name == 'offline-created':
                run.created = run.last_seen - timedelta(seconds=20)
            yield run

    def resumed(self) -> Iterator[Run]:
        """A run that was resumed this week after a pause, all of which lies in the week."""
        run = self.run('resumed', 90, Writer(Machine.of('resumed', PRODUCTS['l4'], 4)), gpu_type='l4')
        run.compute -= 60 * 3600
        self.measure(run)
        yield run

    def missing_metadata(self) -> Iterator[Run]:
        """Ended runs without any sign of their hardware, and one with the name of its GPU alone."""
        bare = Writer(Machine.of('bare', PRODUCTS['l4'], 2), sends_environment=False)
        yield self.end(self.run('no-info', 30, bare, gpu_type='l4', no_info=True, system={}), 20)
        yield self.end(self.run('no-number', 30, bare, gpu_type='l4', no_count=True, system={}), 25)

    def resumed_before_the_week(self) -> Iterator[Run]:
        """A run that was resumed after a pause that began before the week, so nobody knows its time in the week."""
        run = self.run('resumed-long', 400, Writer(Machine.of('resumed-long', PRODUCTS['l4'], 1)), gpu_type='l4')
        run.compute = 100 * 3600.0
        self.measure(run)
        yield run

"""Small random projects: machines that runs share or not, facts that are missing, times at or beside a limit."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta

from sandbox.organization import Person
from sandbox.wandb.data import ACCURACY, ENDED, LOSS, PRODUCTS, SPS, Project, Run
from sandbox.wandb.machines import Machine, Writer

# Names of machines that the SDK describes; the host of others is all that identifies them.
HOSTS = ('vm', 'vm', 'box', 'localhost')
TYPES = ('l4', 'a10g', 'h100', 't4')
HOURS = (0, 0.01, 0.16, 0.17, 0.24, 0.26, 3, 23.99, 24.01, 90, 167.9, 168.1, 300)
STATES = (*['running'] * 4, 'preempting', 'pending', *ENDED)
NUMBERS = (None, None, None, 0, 1, '2', 16, 'many', 2.5)
VALUES = (0.5, 1, True, 'NaN', None, {'max': 2}, float('inf'))


class World:
    """A project whose runs are drawn from situations that people reported."""

    def __init__(self, seed: int, now: datetime, people: Sequence[Person]) -> None:
        self.dice = random.Random(seed)
        self.now = now
        self.people = people
        self.machines = [self.machine(number) for number in range(self.dice.randint(1, 4))]
        self.project = Project(f'world-{seed}')
        for number in range(self.dice.randint(1, 12)):
            self.project.add(self.run(number))
        self.project.sweeps = [(f's{index}', self.dice.choice(('RUNNING', 'FINISHED'))) for index in range(3)]

    def machine(self, number: int) -> tuple[Machine, bool, str]:
        """Return a machine, True when the SDK describes it, and the type of its GPUs."""
        gpu_type = self.dice.choice((*TYPES, ''))
        gpus = self.dice.choice((1, 2, 8)) if gpu_type else 0
        told = self.dice.random() < 0.6
        host = self.dice.choice(HOSTS if told else (f'host-{number}', 'localhost'))
        return Machine.of(host, PRODUCTS[gpu_type], gpus, f'serial-{number}'), told, gpu_type

    def writers(self) -> tuple[tuple[Writer, ...], str]:
        """Return the writers of a run and the type of its GPUs: mostly one, seldom two on two new machines."""
        dice = self.dice
        machine, told, gpu_type = dice.choice(self.machines)
        if dice.random() < 0.1 and gpu_type:
            both = [
                Machine.of(f'node-{dice.random()}', PRODUCTS[gpu_type], len(machine.uuids), f'{dice.random()}')
                for _ in range(2)
            ]
            return tuple(
                Writer(one, label=f'node-{index}', sends_environment=told) for index, one in enumerate(both)
            ), gpu_type
        everything = range(len(machine.uuids))
        held = tuple(sorted(dice.sample(everything, dice.randint(0, len(everything)))))
        return (Writer(machine, dice.choice((None, held)), sends_environment=told),), gpu_type

    def run(self, number: int) -> Run:
        """Return a run."""
        dice = self.dice
        writers, gpu_type = self.writers()
        begin, end = sorted((dice.choice(HOURS) + dice.choice((0, 1 / 3600)) for _ in range(2)), reverse=True)
        created, heard = (self.now - timedelta(hours=hours) for hours in (begin, end))
        state = dice.choice(STATES)
        run = Run(
            number,
            dice.choice(('ptm-1', 'local', 'other')),
            state,
            created,
            None if state == 'pending' else heard,
            (heard - created).total_seconds() * dice.choice((1, 1, 0.9, 0.3)),
            dice.choice(self.people[:3]),  # the SDK cannot read runs without a user
            gpu_type,
            len(writers[0].machine.uuids),
            'other',
            group=dice.choice((None, 'A', 'b')),
            summary={key: dice.choice(VALUES) for key in (ACCURACY, LOSS, SPS)},
            config={'num_gpus': stated} if gpu_type and (stated := dice.choice(NUMBERS)) is not None else {},
            writers=writers,
            no_info=bool(gpu_type) and dice.random() < 0.07,
            no_count=bool(gpu_type) and dice.random() < 0.07,
        )
        run.run_type = {'ptm-1': 'ptm', 'local': 'local'}.get(run.display_name, 'other')
        # The labels of the readings tell how many machines a run has.
        if dice.random() < 0.8 or len(writers) > 1:
            self.measure(run)
        return run

    def measure(self, run: Run) -> None:
        """Give a run the readings of its machines. All runs of a machine read the same."""
        for writer in run.writers:
            busy = {uuid: int(uuid[-2:], 16) / 2.56 for uuid in writer.machine.uuids}
            run.system.update(writer.readings(busy))

"""The organization behind all services: the same people, training jobs, GPU types and prices everywhere.

Seeded: the same seed gives the same organization. Ages are hours before the sandbox's start.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

NAMES = (
    'Ada Okafor', 'Ben Lindqvist', 'Chiara Rossi', 'Daniel Park', 'Elif Demir', 'Farid Haddad', 'Grace Nakamura',
    'Hugo Martens', 'Ines Duarte', 'Jonas Weber', 'Keiko Tanaka', 'Liam Murphy', 'Mina Sato', 'Noah Fischer',
    'Olivia Chen', 'Pavel Novak', 'Qing Liu', 'Rosa Alvarez', 'Samir Patel', 'Tara Singh', 'Umar Diallo',
    'Vera Petrova', 'Will Carter', 'Xenia Popov', 'Yusuf Kaya', 'Zoe Dubois', 'Arne Solberg', 'Bianca Moreau',
)  # fmt: skip

# USD per GPU-hour that the demo configuration gives the sources; seeded, not claimed current.
GPU_HOUR_PRICES = {'l4': 0.80, 'a10g': 1.01, 'l40s': 2.25, 'h100': 6.88}


@dataclass(frozen=True, slots=True)
class Person:
    """A member of the organization."""

    name: str
    login: str
    email: str


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """A running training job: a SkyPilot job and, for GPU jobs, the W&B run it logs to."""

    number: int
    name: str
    owner: Person
    nodes: int
    # SkyPilot's accelerator name (L4, A10G, L40S, H100), empty for a CPU job.
    gpu: str
    gpus_per_node: int
    spot: bool
    cloud: str
    region: str
    age_hours: float
    recoveries: int

    @property
    def gpus(self) -> int:
        """GPUs over all nodes."""
        return self.nodes * self.gpus_per_node


# (how many jobs, nodes, accelerator, accelerators per node): 46 jobs, 184 L4, 235 GPUs.
FLEET = (
    (26, 1, 'L4', 4),
    (6, 2, 'L4', 4),
    (4, 1, 'L4', 8),
    (3, 1, 'A10G', 1),
    (2, 1, 'L40S', 4),
    (3, 1, 'H100', 8),
    (1, 2, 'H100', 8),
    (1, 1, '', 0),
)
# Hours: 2 jobs below 1, 3 below 4, 4 below 24, 35 over a day, and the two of 13.9 and 14.1 days.
SHORT_AGES = (0.3, 0.8, 1.5, 2.2, 3.6, 5.0, 9.0, 14.0, 22.0)
LONGEST_AGES = (13.9 * 24, 14.1 * 24)
SKYPILOT_KUBERNETES_CONTEXT = 'eks_us-east-1_prod'
ON_DEMAND_ON_AWS = 5


class Organization:
    """The people and the running jobs.

    `people[:20]` own running jobs, `people[20:22]` the recovering ones, `people[22]` only a pending job, `people[23]`
    only a cluster; `people[24:]` have nothing but finished jobs. 24 of them are active in SkyPilot's sense.
    """

    def __init__(self, seed: int = 7) -> None:
        self.seed = seed
        self.name = 'metta-ai'
        self.repositories = ('metta-ai/metta', 'metta-ai/infra')
        self.people = [self._person(name) for name in NAMES]
        self.running_jobs = self._running_jobs(self.random('jobs'))

    def random(self, purpose: str) -> Random:
        """Return a generator for one purpose, so that the draws of one service do not change those of another."""
        return Random(f'{self.seed}/{purpose}')

    @staticmethod
    def _person(name: str) -> Person:
        first, last = name.lower().split()
        return Person(name, f'{first}{last[0]}', f'{first}.{last}@metta-ai.example')

    def _running_jobs(self, dice: Random) -> list[TrainingJob]:
        shapes = [shape[1:] for shape in FLEET for _ in range(shape[0])]
        long_ages = [round(dice.uniform(25, 300), 2) for _ in range(len(shapes) - len(SHORT_AGES) - len(LONGEST_AGES))]
        ages = [*SHORT_AGES, *long_ages]
        dice.shuffle(ages)
        # The two longest are L4 jobs: the ones that are stuck.
        ages = [*LONGEST_AGES, *ages]
        places = [
            *[('aws', 'us-east-1')] * 28,
            *[('aws', 'us-west-2')] * 12,
            *[('aws', 'eu-west-1')] * 4,
            *[('kubernetes', SKYPILOT_KUBERNETES_CONTEXT)] * 2,
        ]
        # Kubernetes has no spot market; five jobs on AWS are on demand as well: 39 of 46 are spot.
        spots = [index >= ON_DEMAND_ON_AWS and cloud != 'kubernetes' for index, (cloud, _) in enumerate(places)]
        deals = list(zip(places, spots, strict=True))
        dice.shuffle(deals)
        owners = [self.people[index % 20] for index in range(len(shapes))]
        jobs = []
        for index, ((nodes, gpu, per_node), age, ((cloud, region), spot), owner) in enumerate(
            zip(shapes, ages, deals, owners, strict=True)
        ):
            recoveries = dice.choice((0, 0, 1, 3)) if spot and age > 24 else 0
            family = ('ptm', 'sweep', 'stable', 'local')[index % 4]
            jobs.append(
                TrainingJob(
                    number=1000 + index,
                    name=f'{family}-{gpu.lower() or "cpu"}-{index:02d}',
                    owner=owner,
                    nodes=nodes,
                    gpu=gpu,
                    gpus_per_node=per_node,
                    spot=spot,
                    cloud=cloud,
                    region=region,
                    age_hours=age,
                    recoveries=recoveries,
                )
            )
        return jobs

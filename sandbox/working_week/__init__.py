"""Events of a working week in the services, for recordings.

People work by day and rest at weekends. Four stories happen every week: spot machines are short on Wednesday, the main
branch is broken on Thursday, a deployment fails on Friday, and a cluster with eight GPUs is idle from Friday evening to
Monday. The plans of the services themselves (life.py, for instance) cover one day, for tests; these have no end.
They change only the data of a service, so its truth stays right. All times are UTC.
"""

from __future__ import annotations

import random

from ..server import Service
from .github import GitHubLife
from .life import Life
from .machines import Ec2Life, KubernetesLife
from .training import SkyPilotLife, WandbLife

LIVES: dict[str, type[Life]] = {
    'github': GitHubLife,
    'skypilot': SkyPilotLife,
    'wandb': WandbLife,
    'ec2': Ec2Life,
    'kubernetes': KubernetesLife,
}


def life_of(service: Service, dice: random.Random) -> Life:
    """Return the life of a service in a working week. That of Asana is its own."""
    return LIVES.get(service.name, Life)(service, dice)

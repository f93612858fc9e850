"""Records and the time in, samples out. No I/O, no clock.

`health` holds block `pods`, `waste` block `usage`, `cluster` the blocks `deployments` and `nodes`.
"""

from .cluster import allocatable, deployments, gpus, idle
from .health import History, pods
from .settings import Prices, Settings, Thresholds
from .waste import usage

__all__ = [
    'History',
    'Prices',
    'Settings',
    'Thresholds',
    'allocatable',
    'deployments',
    'gpus',
    'idle',
    'pods',
    'usage',
]

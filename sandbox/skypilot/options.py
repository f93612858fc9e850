"""Options of the SkyPilot service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..options import ServiceOptions

Auth = Literal['token', 'basic', 'none', 'oauth2']


@dataclass(frozen=True)
class SkyPilotOptions(ServiceOptions):
    """Options of the SkyPilot service. `scale` is that of the finished jobs: 201 jobs at 1, 2,010 at 10.

    Attributes:
        activity: jobs come, recover and end while time passes
        api_version: 14 (one queue call only), 18 (ignores `fields`), 24, 31 or 62
        auth: `token` (service account), `basic`, `none`; `oauth2`: requests without a token are sent to a login page
        consolidation: the server controls jobs itself, and so bills their clusters
        rare: a pool, a service, TPUs and machines of other clouds, clusters between two states; see rare.py
    """

    activity: bool = True
    api_version: int = 62
    auth: Auth = 'token'
    consolidation: bool = True
    rare: bool = False

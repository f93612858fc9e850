"""The folders that hold a configuration when none is named."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from .configuration import DIRECTORY, ConfigurationFileError, files

VARIABLE = 'METTA_CHECKS_CONF'
# The conf.d of the Agent, by the start of `sys.platform`.
AGENT_FOLDERS = {
    'darwin': '/opt/datadog-agent/etc/conf.d',
    'win': 'C:/ProgramData/Datadog/conf.d',
    '': '/etc/datadog-agent/conf.d',
}


def find(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the configuration to use: $METTA_CHECKS_CONF, else ./conf.d, else the folder of the Agent.

    The last two count only with a file of this check in them. Raises ConfigurationFileError without any.
    """
    if named := environment.get(VARIABLE):
        return Path(named)
    places = list(_places())
    for place in places:
        with suppress(OSError, ConfigurationFileError):
            if (place / DIRECTORY).is_dir() and any(files(place)):
                return place
    raise ConfigurationFileError(
        f'no configuration in {" or ".join(str(place / DIRECTORY) for place in places)}; write one with '
        f'`metta-checks init`, or name it by --config or {VARIABLE}'
    )


def _places() -> Iterator[Path]:
    yield Path('conf.d')
    yield Path(next(folder for start, folder in AGENT_FOLDERS.items() if sys.platform.startswith(start)))

"""SkyPilot: the API server."""

from __future__ import annotations

import os
from pathlib import Path

from metta_checks.core.errors import SHAPE_ERRORS

from ..configuration import ConfigurationFileError, parsed
from .form import Form

# The places in which SkyPilot's own command line finds the server.
VARIABLE = 'SKYPILOT_API_SERVER_ENDPOINT'
SETTINGS = '~/.sky/config.yaml'


def fill(form: Form) -> None:
    """Ask for the address of the API server and the token of a service account."""
    form.text('api_server_url', 'Address of the API server', _known_server())
    if not form.has('username'):
        form.secret('token', 'Token of a service account', optional=True)


def _known_server() -> str:
    """Return the server that SkyPilot's own command line uses, empty without one."""
    if named := os.environ.get(VARIABLE):
        return named
    try:
        return str(parsed(Path(SETTINGS).expanduser())['api_server']['endpoint'])
    except (ConfigurationFileError, *SHAPE_ERRORS):
        return ''

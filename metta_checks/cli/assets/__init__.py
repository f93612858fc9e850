"""`metta-checks assets`: dashboards, monitors and SLOs as code."""

from . import lint, local, remote
from .app import app

__all__ = ['app', 'lint', 'local', 'remote']

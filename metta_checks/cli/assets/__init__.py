"""`metta-checks assets`: dashboards, monitors and SLOs as code."""

from . import lint, local, preview, remote
from .app import app

__all__ = ['app', 'lint', 'local', 'preview', 'remote']

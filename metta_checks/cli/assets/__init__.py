"""`metta-checks assets`: dashboards, monitors and SLOs as code."""

from . import local
from .app import app

__all__ = ['app', 'local']

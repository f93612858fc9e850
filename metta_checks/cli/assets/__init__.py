"""`metta-checks assets`: dashboards, monitors and SLOs as code."""

from .app import app

__all__ = ['app']

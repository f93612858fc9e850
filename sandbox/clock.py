"""The clock of a service: data is made relative to it; it stands still unless told to run or to advance."""

from metta_checks.testing import Clock

__all__ = ['Clock']

"""The module the Agent's loader imports. `MettaChecks` must stay the only check class visible here."""

from metta_checks.check import MettaChecks

from .__about__ import __version__

__all__ = ['MettaChecks', '__version__']

"""Everything of metta-checks that runs inside the Datadog Agent, one package per source.

The Agent falls back to this module when `datadog_checks.metta_checks` is missing, so, like that one, it exposes exactly
one check class: `MettaChecks`.
"""

from .check import MettaChecks

__all__ = ['MettaChecks']

"""`metta-checks init`: asks for the options of one source, and writes its configuration file.

Each source has a module whose `fill` asks for its options, in the order in which a person can answer.
"""

from __future__ import annotations

import importlib

from .form import Form


def fill(source: str, form: Form) -> None:
    """Ask for the options of a source that the form does not have yet. Raises MissingOption."""
    importlib.import_module(f'.{source}', __name__).fill(form)

"""Sessions of several instances are made in several threads at the same time."""

from __future__ import annotations

import subprocess
import sys

# The toolkit imports a module lazily with the first session, and two threads that do so at once see half of it.
LOADED = """
import sys, types
import metta_checks.core.transport
assert type(sys.modules['requests_unixsocket']) is types.ModuleType, type(sys.modules['requests_unixsocket'])
"""


def test_no_module_is_half_imported_when_the_first_sessions_are_made():
    subprocess.run([sys.executable, '-c', LOADED], check=True)

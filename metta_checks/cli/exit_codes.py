"""The exit codes of all commands. docs/command-line.md explains them."""

from __future__ import annotations

# A source, a finding or an object of Datadog needs action; Datadog rejected the data.
EXIT_FAILED = 1
# Nothing was done: the command line is wrong, nobody answered, or a configuration, file or key is missing or cannot be
# used.
EXIT_USAGE = 2
# Two things that were compared differ.
EXIT_DIFFERENT = 3

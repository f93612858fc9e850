"""The command `metta-checks`: the sources without an Agent. See main.py for the commands, README.md for their use."""

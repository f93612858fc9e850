"""The recorded run: everything that the six checks submit, say and ask on the sandbox, as committed text."""

"""The core: everything that the six sources have in common. It knows no source."""

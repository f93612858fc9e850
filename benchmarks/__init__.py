"""Cost of a refresh, measured against the sandbox and compared with its budget: `python -m benchmarks [SOURCE...]`."""

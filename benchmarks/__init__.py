"""`python -m benchmarks [SOURCE...]`: the cost of a refresh, measured against the sandbox, beside the budget."""

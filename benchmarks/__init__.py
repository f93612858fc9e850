"""`python -m benchmarks [SOURCE...]`: what a refresh costs, measured against the sandbox, beside the budget."""

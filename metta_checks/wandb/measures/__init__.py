"""Pure functions: records and a time in, samples out. The definitions are in metrics.yaml."""

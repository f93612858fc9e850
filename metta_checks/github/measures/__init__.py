"""Pure functions: records and a time in, samples out."""

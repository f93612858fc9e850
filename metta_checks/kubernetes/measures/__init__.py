"""The figures, calculated from records and a time. Definitions are those of metrics.yaml."""

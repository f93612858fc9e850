"""The figures, from records. Pure; definitions are those of metrics.yaml."""

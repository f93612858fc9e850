"""Source `kubernetes`: CPU and memory requests and usage, pod health, GPUs and deployments of one cluster.

Inside this package `import kubernetes` is the official client, which only resolves credentials (see credentials.py).
"""

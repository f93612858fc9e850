"""Kubernetes: requested against used CPU and memory, pod health, GPUs and deployments of one cluster.

Inside this package `import kubernetes` is the official client; it only resolves credentials (see credentials.py).
"""

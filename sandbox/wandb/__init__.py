"""Weights & Biases: the GraphQL interface over a history of training runs."""

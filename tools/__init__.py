"""Generators: see generate.py."""

"""Asana on loopback."""

"""Faults and load: every source against its sandbox service through a proxy that breaks things, judged by the truth."""

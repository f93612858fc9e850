"""Faults and load: every source reads its sandbox service through a proxy that injects faults, judged by the truth."""

"""All trials of a run, several in parallel, each in a process of its own."""

from __future__ import annotations

import logging
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor

from .report import Report
from .trial import Result, Trial

# Refreshes of each of the two trials of a source, unless the command line sets another number.
KILLED, LONG_LIVED = 200, 500


def _trial(source: str, seed: str, refreshes: int, kills: bool) -> Result:
    # Messages of services and SDKs about broken connections are expected here.
    logging.disable(logging.CRITICAL)
    return Trial(source, seed, refreshes, kills=kills).run()


def run(sources: list[str], seed: str, refreshes: int | None = None, jobs: int | None = None) -> Report:
    """Run both trials of every source, several in parallel."""
    started = time.monotonic()
    # Trials mostly wait for timeouts: twice as many as processors.
    workers = jobs or 2 * (os.cpu_count() or 1)
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context('spawn')) as pool:
        running = [
            (source, kills, pool.submit(_trial, source, seed, refreshes or (KILLED if kills else LONG_LIVED), kills))
            for kills in (False, True)
            for source in sources
        ]
        results = [(source, kills, future.result()) for source, kills, future in running]
    return Report(seed, results, time.monotonic() - started)

"""All trials of a run, several in parallel, each in a process of its own."""

from __future__ import annotations

import logging
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor

from .crowd import Crowd
from .report import Report
from .trial import Conditions, Result, Trial

# The trials of a source: the refreshes of each, unless the command line says otherwise, its conditions and its class.
TRIALS: dict[str, tuple[int, Conditions, type[Trial]]] = {
    # A single process, whose memory is watched.
    'long': (420, Conditions(), Trial),
    # Killed in the middle of runs, and restarted between them in every state of health.
    'kills': (180, Conditions(kill_share=0.25, restart_share=0.15, outage_share=0.1), Trial),
    # A clock that jumps, by hours and by years, also across restarts.
    'clock': (80, Conditions(jump_share=0.15, restart_share=0.15), Trial),
    # TLS through a forward proxy that breaks tunnels and handshakes, too.
    'tls': (60, Conditions(tls=True), Trial),
    # Three instances at the same time, two of them with the same key, and diagnoses meanwhile.
    'crowd': (100, Conditions(restart_share=0.2), Crowd),
}


def _trial(kind: type[Trial], source: str, seed: str, refreshes: int, conditions: Conditions) -> Result:
    # Messages of services and SDKs about broken connections are expected here.
    logging.disable(logging.CRITICAL)
    return kind(source, seed, refreshes, conditions=conditions).run()


def run(
    sources: list[str], seed: str, trial: str | None = None, refreshes: int | None = None, jobs: int | None = None
) -> Report:
    """Run one trial or all trials of every source, several in parallel."""
    started = time.monotonic()
    # Trials mostly wait for timeouts: twice as many as processors.
    workers = jobs or 2 * (os.cpu_count() or 1)
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context('spawn')) as pool:
        running = [
            (source, name, pool.submit(_trial, kind, source, seed, refreshes or number, conditions))
            for name, (number, conditions, kind) in TRIALS.items()
            for source in sources
            if trial in (None, name)
        ]
        results = [(source, name, future.result()) for source, name, future in running]
    return Report(seed, results, time.monotonic() - started)

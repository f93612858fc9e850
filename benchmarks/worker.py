"""The measured process: builds one check and runs it cold, warm and re-emitting. Order on stdin, result on stdout."""

from __future__ import annotations

import gc
import json
import logging
import math
import os
import resource
import sys
import time
from collections import Counter
from datetime import datetime
from typing import Any

import requests
from datadog_checks.base.stubs import aggregator

from datadog_checks.metta_checks import MettaChecks
from metta_checks import catalog

# The stub refuses tags such as `env` and `cluster`, a rule for Datadog's own checks; the Agent itself does not.
os.environ.setdefault('DDEV_SKIP_GENERIC_TAGS_CHECK', 'true')
REFRESH_INTERVAL = 900
RUN_INTERVAL = 60
WARM_REFRESHES = 2
EMITS = 20
# A crawl that does not come to an end in so many runs is a defect.
MAX_RUNS = 60


class Control:
    """The sandbox's control interface."""

    def __init__(self, url: str) -> None:
        self._url = f'{url}/__sandbox__'
        self._session = requests.Session()

    def get(self, what: str) -> Any:
        """Read something."""
        return self._session.get(f'{self._url}/{what}').json()

    def pass_time(self, seconds: float) -> datetime:
        """Let time pass; returns the sandbox's time."""
        return datetime.fromisoformat(self._session.post(f'{self._url}/clock', json={'seconds': seconds}).json()['now'])

    def take_log(self) -> Counter[str]:
        """Requests since the last call, by method."""
        log = self.get('log')['requests']
        self._session.delete(f'{self._url}/log')
        return Counter(entry['method'] for entry in log)


class Worker:
    """One check at the sandbox's time."""

    def __init__(self, source: str, url: str, overrides: dict[str, Any]) -> None:
        self.source = source
        self.control = Control(url)
        self.now = self.control.pass_time(0)
        instance = {**self.control.get('instance'), 'refresh_interval': REFRESH_INTERVAL, **overrides}
        self.check = MettaChecks('metta_checks', {}, [instance])
        self.check.clock = lambda: self.now
        self.check.run_check_initializations()

    def run(self) -> dict[str, Any]:
        """Run once, measured."""
        aggregator.reset()
        self.check.budget.bytes = 0
        gc.collect()
        cpu, wall = time.process_time(), time.perf_counter()
        error = self.check.run()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        message = json.loads(error)[0]['message'] if error else ''
        return {'bytes': self.check.budget.bytes, 'cpu': cpu, 'wall': wall, 'error': message}

    def refresh(self) -> dict[str, Any]:
        """Run until everything that goes on in the next run (a crawl) has come to its end; the sum of all runs."""
        self.control.take_log()
        total = self.run()
        for _ in range(MAX_RUNS):
            if all(block.resume_at is None for block in self.check.snapshot.blocks.values()):
                break
            self.now = self.control.pass_time(RUN_INTERVAL)
            more = self.run()
            total = {key: total[key] + more[key] for key in total}
        return {'requests': self.control.take_log(), **total}

    def emit(self) -> dict[str, Any]:
        """The cheapest of some runs that only re-emit."""
        self.control.take_log()
        runs = [self.run() for _ in range(EMITS)]
        return {'requests': self.control.take_log(), **min(runs, key=lambda run: run['cpu'])}

    def compare(self, only: set[str]) -> dict[str, Any]:
        """The seed names beside the sandbox's own truth."""
        source_catalog = catalog.load(self.source)
        seeds = {source_catalog.full_name(metric.name) for metric in source_catalog.metrics if metric.seed}
        truth = {
            (figure['name'], tuple(sorted(figure['tags']))): figure['value']
            for figure in self.control.get('truth')
            if figure['name'] in seeds and only <= set(figure['tags'])
        }
        own_tags = set(self.check.instance_tags)
        ours = {
            (name, tuple(sorted(set(stub.tags) - own_tags))): stub.value
            for name in seeds
            for stub in aggregator.metrics(name)
        }
        equal, different = 0, []
        for key in sorted(truth.keys() | ours.keys()):
            if key in truth and key in ours and math.isclose(truth[key], ours[key], rel_tol=1e-9, abs_tol=1e-9):
                equal += 1
            else:
                different.append(f'{key[0]} {",".join(key[1])}: {ours.get(key)}, truth {truth.get(key)}')
        return {'equal': equal, 'compared': equal + len(different), 'different': different}


def peak_mib() -> float:
    """The process's peak resident memory."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure, and print one line of JSON."""
    logging.disable(logging.WARNING)
    order = json.load(sys.stdin)
    worker = Worker(order['source'], order['url'], order['instance'])
    idle = peak_mib()
    result: dict[str, Any] = {'cold': worker.refresh()}
    warm = []
    for _ in range(WARM_REFRESHES):
        worker.now = worker.control.pass_time(REFRESH_INTERVAL)
        warm.append(worker.refresh())
    # Counts of the worse refresh, CPU of the better one: counts are exact, times are noisy.
    result['warm'] = {
        **max(warm, key=lambda phase: sum(phase['requests'].values())),
        'cpu': min(phase['cpu'] for phase in warm),
    }
    result['memory_mib'] = peak_mib() - idle
    result.update(worker.compare(set(order['only'])))
    result['series'] = int(aggregator.metrics('metta.collector.series')[0].value)
    result['emit'] = worker.emit()
    print(json.dumps(result))


if __name__ == '__main__':
    main()

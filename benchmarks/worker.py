"""The measured process: run one check cold, warm and re-emitting. Reads the order from stdin, prints the result."""

from __future__ import annotations

import gc
import json
import logging
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from datetime import datetime
from statistics import median_low
from typing import Any

import requests

from metta_checks.core import catalog
from metta_checks.testing import Clock, Comparison, Driver, Key, Run, compare

from .harness import Phase, Result

REFRESH_INTERVAL = 900
EMITS = 20


class Control:
    """The sandbox's control interface."""

    def __init__(self, url: str) -> None:
        self._url = f'{url}/__sandbox__'
        self._session = requests.Session()

    def instance(self) -> dict[str, Any]:
        """Return an instance that reads the service."""
        instance: dict[str, Any] = self._get('instance')
        return instance

    def truth(self) -> dict[Key, float]:
        """Return the true figures of now."""
        return {(figure['name'], tuple(sorted(figure['tags']))): figure['value'] for figure in self._get('truth')}

    def now(self) -> datetime:
        """Return the sandbox's time."""
        return datetime.fromisoformat(self._get('clock')['now'])

    def pass_time(self, seconds: float) -> None:
        """Advance the time of the sandbox."""
        self._session.post(f'{self._url}/clock', json={'seconds': seconds}).raise_for_status()

    def bodies(self, token: str) -> Iterator[bytes]:
        """Yield the answers to the requests since the last `take_log`, one after the other, as they were."""
        base = self._url.removesuffix('/__sandbox__')
        for entry in self._get('log')['requests']:
            url = f'{base}{entry["path"]}?{entry["query"]}'
            yield self._session.get(url, headers={'Authorization': f'Bearer {token}'}).content

    def take_log(self) -> dict[str, int]:
        """Return the number of requests since the last call, by method."""
        log = self._get('log')['requests']
        self._session.delete(f'{self._url}/log').raise_for_status()
        return dict(Counter(entry['method'] for entry in log))

    def _get(self, what: str) -> Any:
        return self._session.get(f'{self._url}/{what}').json()


class Worker:
    """One check at the sandbox's time."""

    def __init__(self, source: str, url: str, overrides: Mapping[str, Any]) -> None:
        self.source = source
        self.control = Control(url)
        self.clock = Clock(self.control.now())
        instance = {**self.control.instance(), 'refresh_interval': REFRESH_INTERVAL, **overrides}
        self.driver = Driver(instance, self.clock)
        # A client is built once, so its cost is not part of a refresh.
        self.driver.check.run_check_initializations()

    def pass_time(self, seconds: float) -> None:
        """Advance the time of the sandbox and of the check."""
        self.control.pass_time(seconds)
        self.clock.advance((self.control.now() - self.clock.now()).total_seconds())
        # Otherwise the next run would collect the garbage of this one.
        gc.collect()

    def refresh(self) -> tuple[Phase, Run]:
        """Refresh, and continue in further runs what is unfinished. Returns the sum of the runs, and the last."""
        self.control.take_log()
        gc.collect()
        before = dict(self.driver.check.limits.observed)
        runs = self.driver.drain(self.pass_time)
        return replace(self._phase(*runs), used=self._used(before)), runs[-1]

    def _used(self, before: Mapping[str, tuple[float, float]]) -> dict[str, float]:
        """Return the use of each rate limit since then, by resource; after a reset, that since the reset."""
        used = {}
        for name, (remaining, limit) in self.driver.check.limits.observed.items():
            earlier = before.get(name, (limit, limit))[0]
            used[name] = (earlier if earlier >= remaining else limit) - remaining
        return used

    def emit(self) -> Phase:
        """Return the cheapest of several runs that only re-emit, with the requests of all."""
        self.control.take_log()
        runs = []
        for _ in range(EMITS):
            gc.collect()
            runs.append(self.driver.run())
        return self._phase(min(runs, key=lambda run: run.cpu_seconds))

    def json_cpu(self) -> float:
        """Return the CPU seconds that `json.loads` takes for the answers of one more refresh: the least of two."""
        self.control.take_log()
        self.driver.check.expire()
        self.driver.run()
        token = str(self.driver.check.instance.get('token', ''))
        return min(self._decode(token) for _ in range(2))

    def _decode(self, token: str) -> float:
        total = 0.0
        for body in self.control.bodies(token):
            gc.collect()
            started = time.process_time()
            json.loads(body)
            total += time.process_time() - started
        return total

    def compare(self, run: Run, only: set[str]) -> Comparison:
        """Compare the seed names of a run with the sandbox's truth, as far as it has all tags of `only`."""
        source_catalog = catalog.load(self.source)
        seeds = {source_catalog.full_name(metric.name) for metric in source_catalog.metrics if metric.seed}
        truth = {(name, tags): value for (name, tags), value in self.control.truth().items() if only <= set(tags)}
        figures = run.figures(self.driver.check.instance_tags)
        return compare({key: value for key, value in figures.items() if only <= set(key[1])}, truth, seeds)

    def _phase(self, *runs: Run) -> Phase:
        return Phase(
            requests=self.control.take_log(),
            bytes=sum(run.bytes for run in runs),
            cpu=sum(run.cpu_seconds for run in runs),
            wall=sum(run.seconds for run in runs),
            error='; '.join(run.error for run in runs if run.error),
        )


def peak_mib() -> float:
    """Return the process's peak resident memory."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(worker: Worker, only: set[str], *, refreshes: int, with_json: bool) -> Result:
    """Refresh cold, then warm, then re-emit."""
    idle = peak_mib()
    cold, run = worker.refresh()
    warm = []
    for _ in range(refreshes):
        worker.pass_time(REFRESH_INTERVAL)
        phase, run = worker.refresh()
        warm.append(phase)
    memory_mib = peak_mib() - idle
    comparison = worker.compare(run, only)
    return Result(
        cold=cold,
        # Counts of the more expensive refresh, CPU of the cheaper one: counts are exact, times are noisy.
        warm=replace(max(warm, key=lambda phase: phase.total), cpu=min(phase.cpu for phase in warm)),
        emit=worker.emit(),
        memory_mib=memory_mib,
        json_cpu=worker.json_cpu() if with_json else None,
        series=int(run.value('metta.collector.series') or 0),
        equal=len(comparison.equal),
        compared=len(comparison.equal) + len(comparison.different),
        different=comparison.lines,
        counted={name: median_low(phase.used.get(name, 0) for phase in warm) for name in warm[-1].used},
        hour={name: sum(phase.used.get(name, 0) for phase in warm) for name in warm[-1].used},
    )


def main() -> None:
    """Measure, and print one line of JSON."""
    logging.disable(logging.WARNING)
    order = json.load(sys.stdin)
    worker = Worker(order['source'], order['url'], order['instance'])
    print(
        json.dumps(asdict(measure(worker, set(order['only']), refreshes=order['refreshes'], with_json=order['json'])))
    )


if __name__ == '__main__':
    main()

"""Run a scenario: the sandbox in one process, the check in another, so that neither is charged for the other.

Counts (requests, bytes, series) are exact; CPU seconds and memory depend on the machine, so their budgets are generous.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from metta_checks.check import SOURCES


@dataclass(frozen=True, slots=True)
class Scenario:
    """A load and its budget. A budget of None is not checked.

    `json_ratio` limits the CPU time of a refresh to a multiple of what `json.loads` takes for the same answers. Both
    are measured in the same process, so the limit holds on any machine. `<url>` in `instance` stands for the address of
    the service.

    `cold_requests` and `warm_requests` are a total, or a number per HTTP method ({'POST': 9, 'GET': 22}). `only` names
    tags that a true figure must have to be compared, for an instance that reads a part of the sandbox.

    `counted` is the most that a warm refresh may use of a rate limit, by resource; `hour` is that of an hour of warm
    refreshes, in which the token is renewed once.
    """

    name: str
    service: dict[str, Any] = field(default_factory=dict)
    instance: dict[str, Any] = field(default_factory=dict)
    cold_requests: int | dict[str, int] | None = None
    warm_requests: int | dict[str, int] | None = None
    cold_cpu: float | None = None
    warm_cpu: float | None = None
    memory_mib: float | None = None
    json_ratio: float | None = None
    only: tuple[str, ...] = ()
    counted: dict[str, int] = field(default_factory=dict)
    hour: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Phase:
    """One refresh, or one run that only re-emits."""

    requests: dict[str, int]
    bytes: int
    cpu: float
    wall: float
    error: str
    # Use of each rate limit, by resource.
    used: dict[str, float] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Number of all requests."""
        return sum(self.requests.values())


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a scenario."""

    cold: Phase
    warm: Phase
    emit: Phase
    memory_mib: float
    json_cpu: float | None
    series: int
    equal: int
    compared: int
    different: list[str]
    # Use of each rate limit by a warm refresh (the median) and by an hour of them, by resource.
    counted: dict[str, float]
    hour: dict[str, float]

    @property
    def json_ratio(self) -> float | None:
        """CPU time of a warm refresh over that of `json.loads` for the same answers; None when it is not measured."""
        return self.warm.cpu / self.json_cpu if self.json_cpu else None

    @classmethod
    def parse(cls, text: str) -> Result:
        """Return the result that a worker wrote as JSON."""
        document = json.loads(text)
        phases = {name: Phase(**document[name]) for name in ('cold', 'warm', 'emit')}
        return cls(**{**document, **phases})


@contextmanager
def sandbox_process(source: str, options: dict[str, Any]) -> Iterator[str]:
    """Start a sandbox service in a process of its own; yield its address."""
    settings = [f'--option={source}.{name}={json.dumps(value)}' for name, value in options.items()]
    command = [sys.executable, '-m', 'sandbox', source, '--json', *settings]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())[source]
        finally:
            process.terminate()


def run(source: str, scenario: Scenario) -> Result:
    """Run a scenario. Raises RuntimeError when the worker fails."""
    with sandbox_process(source, scenario.service) as url:
        order = json.dumps(
            {
                'source': source,
                'url': url,
                'instance': json.loads(json.dumps(scenario.instance).replace('<url>', url)),
                'only': scenario.only,
                'json': scenario.json_ratio is not None,
                'refreshes': 4 if scenario.hour else 2,
            }
        )
        worker = subprocess.run(
            [sys.executable, '-m', 'benchmarks.worker'], input=order, capture_output=True, text=True, check=False
        )
        if worker.returncode:
            raise RuntimeError(f'the worker failed:\n{worker.stderr}')
    return Result.parse(worker.stdout.splitlines()[-1])


def slow(scenario: Scenario, result: Result) -> list[str]:
    """Return the missed CPU goals, in words. They assume an idle machine, so a miss is not a failure."""
    found = [
        f'{phase}: {measured.cpu:.2f} CPU s, goal {goal:g}'
        for phase, measured, goal in (
            ('cold', result.cold, scenario.cold_cpu),
            ('warm', result.warm, scenario.warm_cpu),
        )
        if goal is not None and measured.cpu > goal
    ]
    if result.emit.cpu > EMIT_CPU_SECONDS:
        found.append(f're-emit: {result.emit.cpu * 1000:.1f} ms CPU, goal {EMIT_CPU_SECONDS * 1000:.0f}')
    return found


def misses(scenario: Scenario, result: Result) -> list[str]:
    """Return the exceeded budgets, in words: requests, memory, and figures that differ from the truth."""
    found = [f'{phase}: {error}' for phase in ('cold', 'warm', 'emit') if (error := getattr(result, phase).error)]
    for phase, requests in (('cold', scenario.cold_requests), ('warm', scenario.warm_requests)):
        measured: Phase = getattr(result, phase)
        limits = requests if isinstance(requests, dict) else {'all': requests} if requests is not None else {}
        for method, limit in limits.items():
            number = measured.total if method == 'all' else measured.requests.get(method, 0)
            if number > limit:
                found.append(f'{phase}: {number} requests ({method}), budget {limit}')
    if scenario.memory_mib is not None and result.memory_mib > scenario.memory_mib:
        found.append(f'{result.memory_mib:.0f} MiB over idle, budget {scenario.memory_mib:.0f}')
    if scenario.json_ratio is not None and (result.json_ratio or 0.0) > scenario.json_ratio:
        found.append(f'{result.json_ratio:.2f} times the CPU time of json.loads, budget {scenario.json_ratio:g}')
    for span, limits, used in (('warm', scenario.counted, result.counted), ('hour', scenario.hour, result.hour)):
        for resource, limit in limits.items():
            if used.get(resource, 0) > limit:
                found.append(f'{span}: {used[resource]:g} of the limit {resource}, budget {limit}')
    if result.emit.total:
        found.append(f're-emit: {result.emit.total} requests, budget 0')
    found += [f'not equal to the truth: {name}' for name in result.different]
    return found


# A run that only re-emits the snapshot.
EMIT_CPU_SECONDS = 0.005


def sources(program: str, description: str, arguments: Sequence[str] | None = None) -> Sequence[str]:
    """Return the sources that the command line names, or all. Exits with 2 for a name that is not a source."""
    parser = argparse.ArgumentParser(prog=f'python -m {program}', description=description)
    parser.add_argument('sources', nargs='*', metavar='SOURCE', help=f'any of {", ".join(SOURCES)}; default: all')
    named: Sequence[str] = parser.parse_args(arguments).sources
    if unknown := sorted(set(named).difference(SOURCES)):
        parser.error(f'unknown source {", ".join(unknown)}; known: {", ".join(SOURCES)}')
    return named or tuple(SOURCES)

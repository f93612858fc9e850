"""`python -m sandbox.week [SOURCE...]`: a week of the sandbox, recorded.

The real check reads the real services over their sockets while their time passes, and everything that it submits is
written down, for the local preview of dashboards: the production environment, and a smaller staging environment of the
sources whose subject differs between the two.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from metta_checks.as_code.preview.recording import Recording
from metta_checks.cli.collecting import Collected, Runner
from metta_checks.cli.configuration import Configured

from . import SERVICES, Clock, Organization, Running, Service, service
from .working_week import life_of

REFRESH_INTERVAL = 900
RUN_INTERVAL = 60
SEED = 7
# USD per GPU-hour in the cluster.
GPU_HOUR_PRICES = {'a10g': 1.2, 'a100': 3.4, 'h100': 6.9, 'l4': 0.8}
STAGING = ('skypilot', 'ec2', 'kubernetes')
STAGING_SCALE = 0.25
# The Agent would have refreshed many more times between two moments. GitHub's runs need that: what changed is read bit
# by bit.
REFRESHES = {'github': 2}
# Services that let things happen by themselves, unless told not to.
QUIET = ('skypilot', 'wandb')
# Options of the sources for the figures of the dashboards about delivery and about the cost of GPUs.
OPTIONS: dict[str, dict[str, Any]] = {
    'github': {
        'deployments': True,
        'dora': {'source': 'deployments', 'environments': ['production', 'staging']},
        'jobs': True,
        'runners': True,
    },
    'skypilot': {'idle_minutes': 60, 'by_user': True, 'pools': True},
    'ec2': {'idle': {'source': 'cloudwatch'}},
}


class WeekFailed(Exception):
    """A source could not be recorded; one line."""


@dataclass(frozen=True, slots=True)
class Part:
    """The part of one process: one source of one environment."""

    source: str
    env: str
    seed: int
    scale: float
    end: datetime
    days: float
    step: float

    def moments(self) -> list[datetime]:
        """List the times at which a point is recorded; the last one is the end."""
        number = max(1, round(self.days * 86400 / self.step))
        return [self.end - timedelta(seconds=self.step) * index for index in range(number, -1, -1)]


def parts(sources: Iterable[str], end: datetime, *, days: float, step: float, seed: int = SEED) -> Iterator[Part]:
    """List the parts of these sources, in both environments."""
    chosen = tuple(sources)
    for source in chosen:
        yield Part(source, 'production', seed, 1.0, end, days, step)
    for source in STAGING:
        if source in chosen:
            yield Part(source, 'staging', seed + 1, STAGING_SCALE, end, days, step)


def play(part: Part) -> Recording:
    """Let the time pass and record what the check submits. Raises WeekFailed when a refresh fails as a whole.

    The same part gives the same recording, but for `metta.collector.refresh.duration_seconds`, which is measured.
    """
    logging.disable(logging.WARNING)
    recording = Recording()
    first, *later = part.moments()
    organization = Organization(part.seed)
    # The time between the last refresh and the moment that is recorded.
    dice = organization.random(f'week {part.source}')
    with Running(quiet(part.source, organization, Clock(first), scale=part.scale)) as served:
        if part.env == 'staging':
            _thin_out(served)
        life = life_of(served, organization.random(f'working week {part.source}'))
        instance = {**_instance(served), 'tags': [f'env:{part.env}'], 'refresh_interval': REFRESH_INTERVAL}
        if 'cluster_name' in instance and part.env == 'staging':
            instance['cluster_name'] = part.env
        runner = Runner(Configured(Path('week'), {}, instance), served.clock)
        _record(recording, first, part, runner.drain(served.clock.advance))
        for moment in later:
            life.pass_until(moment - timedelta(seconds=dice.randint(RUN_INTERVAL, REFRESH_INTERVAL - 60)))
            runs = [run for _ in range(REFRESHES.get(part.source, 1)) for run in runner.drain(served.clock.advance)]
            life.pass_until(moment)
            _record(recording, moment, part, [*runs, runner.run()])
    return recording


def quiet(source: str, organization: Organization, clock: Clock, **options: Any) -> Service:
    """Make a service that does nothing by itself, as the working week does it all."""
    return service(source, organization, clock, **options, **({'activity': False} if source in QUIET else {}))


def _instance(served: Any) -> dict[str, Any]:
    """Return an instance with the options of the week."""
    instance = {**served.instance(), **served.companions(), **OPTIONS.get(served.name, {})}
    if served.name == 'kubernetes':
        instance['prices'] = {**instance['prices'], 'gpu_hour': GPU_HOUR_PRICES}
    return instance


def _thin_out(served: Any) -> None:
    """Remove running jobs of SkyPilot, whose scale is that of its past, from a staging environment."""
    if served.name != 'skypilot':
        return
    running = [number for number, job in served.jobs.items() if job.status == 'RUNNING']
    gone = set(running[round(len(running) * STAGING_SCALE) :])
    for number in gone:
        del served.jobs[number]
    served.clusters[:] = [cluster for cluster in served.clusters if cluster.job not in gone]


def _record(recording: Recording, moment: datetime, part: Part, runs: list[Collected]) -> None:
    """Record the gauges of the last run, and counts, histograms and events of all runs: they are submitted once."""
    at = moment.timestamp()
    last = runs[-1]
    if last.error:
        raise WeekFailed(f'{part.source} ({part.env}), {moment:%Y-%m-%d %H:%M}: {last.error}')
    once = [point for run in runs[:-1] for point in run.points if point.type != 'gauge']
    recording.add(at, [*once, *last.points])
    if last.status is not None:
        tags = (f'source:{part.source}', f'env:{part.env}')
        recording.add_check(at, 'metta.can_connect', last.status, last.message, tags)
    for event in (event for run in runs for event in run.events):
        recording.add_event(at, event['msg_title'], event['msg_text'], event['alert_type'], event['tags'])


def record(every: Iterable[Part], processes: int = 1) -> Recording:
    """Record all parts in parallel processes. Raises WeekFailed."""
    recording = Recording()
    if processes == 1:
        for part in every:
            recording.merge(play(part))
        return recording
    # Spawned rather than forked: the services run in threads.
    with ProcessPoolExecutor(processes, multiprocessing.get_context('spawn')) as pool:
        for one in pool.map(play, every):
            recording.merge(one)
    return recording


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog='python -m sandbox.week', description=__doc__)
    parser.add_argument('sources', nargs='*', metavar='SOURCE', help=f'{", ".join(SERVICES)}; default: all')
    parser.add_argument('--days', type=float, default=7.0, help='how long (default: %(default)s)')
    parser.add_argument('--step', type=float, default=7200.0, help='seconds between points (default: %(default)s)')
    parser.add_argument('--end', type=datetime.fromisoformat, help='the last moment, ISO 8601 in UTC; default: now')
    parser.add_argument('--seed', type=int, default=SEED, help='another seed, another organization')
    parser.add_argument('--processes', type=int, default=os.cpu_count() or 1, help='(default: one per processor)')
    parser.add_argument(
        '--output', type=Path, default=Path('recording.jsonl.gz'), help='the file to write (default: %(default)s)'
    )
    options = parser.parse_args(arguments)
    unknown = set(options.sources) - set(SERVICES)
    if unknown:
        parser.error(f'unknown source: {", ".join(sorted(unknown))}')
    if options.step < REFRESH_INTERVAL:
        parser.error(f'--step: at least {REFRESH_INTERVAL}, the refresh interval')
    if options.days <= 0:
        parser.error('--days: must be positive')
    return options


def main(arguments: list[str]) -> int:
    """Record. Returns the exit code."""
    options = parse(arguments)
    end = options.end or datetime.now(UTC).replace(microsecond=0)
    end = end if end.tzinfo else end.replace(tzinfo=UTC)
    started = time.perf_counter()
    # The slow ones first, so that no processor waits for the last.
    chosen = [name for name in SLOWEST_FIRST if not options.sources or name in options.sources]
    every = list(parts(chosen, end, days=options.days, step=options.step, seed=options.seed))
    try:
        recording = record(every, max(1, min(options.processes, len(every))))
    except WeekFailed as error:
        print(error, file=sys.stderr)
        return 1
    recording.write(options.output)
    number = sum(len(recording.series(metric)) for metric in recording.metrics)
    print(
        f'{options.output}: {options.days:g} days up to {end:%Y-%m-%d %H:%M} UTC, {number} series of'
        f' {len(recording.metrics)} metrics, {time.perf_counter() - started:.0f} s'
    )
    return 0


SLOWEST_FIRST = ('github', 'asana', 'kubernetes', 'wandb', 'skypilot', 'ec2')


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))

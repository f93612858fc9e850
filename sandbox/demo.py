"""`python -m sandbox.demo [SOURCE...]`: the main job on the sandbox.

Collects every source cold, lets a quarter of an hour pass, collects again, and shows what came out and what it took.
"""

from __future__ import annotations

import logging
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from metta_checks.cli import tables
from metta_checks.cli.collecting import Collected, Runner, failed
from metta_checks.cli.configuration import Configured
from metta_checks.cli.terminal import progress, say, show

from . import SERVICES, Clock, Organization, Running, Service, service

REFRESH_INTERVAL = 900

NEXT = """\
Where to look next
  metta-checks metrics github                   the catalog, with definitions (docs/metrics for all)
  python -m sandbox --run-clock --conf-dir sandbox-conf
                                                the sandbox to play with; then, in another terminal,
  metta-checks collect -c sandbox-conf --all    ... all series
  metta-checks doctor -c sandbox-conf           ... is everything reachable and permitted?
  metta-checks verify -c sandbox-conf           ... do the vendors' own SDKs agree?
  docs/quick-start.md                           your own configuration, in ten minutes
"""


def collect(runner: Runner, served: Service) -> Collected:
    """Refresh, and follow crawls to their end. Requests, bytes and seconds add up."""
    runs = runner.drain(served.clock.advance)
    return replace(
        runs[-1],
        requests=sum(run.requests for run in runs),
        bytes=sum(run.bytes for run in runs),
        seconds=sum(run.seconds for run in runs),
    )


def main(sources: list[str]) -> int:
    """Run the demo. Returns the exit code."""
    logging.disable(logging.WARNING)
    organization = Organization()
    start = Clock().start
    with ExitStack() as stack:
        served = {
            name: stack.enter_context(Running(service(name, organization, Clock(start))))
            for name in sources or SERVICES
        }
        runners = {name: Runner(_configured(one), one.clock) for name, one in served.items()}
        cold = _round('cold', runners, served)
        for one in served.values():
            one.pass_time(REFRESH_INTERVAL)
        warm = _round('warm', runners, served)
        show(tables.summary_listing(cold.values(), 'First refresh (cold)'))
        show(tables.summary_listing(warm.values(), 'A quarter of an hour later (warm)'))
        for name, collected in warm.items():
            show(tables.headlines_listing(collected, runners[name].instance_tags))
    everything = (*cold.values(), *warm.values())
    for collected in everything:
        for line in (*((collected.error,) if collected.error else ()), *collected.warnings):
            say(line, 'yellow')
    say(f'{sum(one.series for one in warm.values())} series in all')
    for line in NEXT.splitlines():
        say(line)
    return 1 if failed(everything) else 0


def _configured(served: Service) -> Configured:
    instance = {**served.instance(), **served.companions(), 'refresh_interval': REFRESH_INTERVAL}
    return Configured(Path('demo'), {}, instance)


def _round(word: str, runners: dict[str, Runner], served: dict[str, Service]) -> dict[str, Collected]:
    result = {}
    for name, runner in runners.items():
        with progress(f'{name}: {word}'):
            result[name] = collect(runner, served[name])
    return result


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))

"""`python -m sandbox.demo [SOURCE...]`: the main job on the sandbox.

Collects every source cold, lets a quarter of an hour pass, collects again, and shows what came out and what it took.
"""

from __future__ import annotations

import logging
import sys
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from metta_checks.cli import tables
from metta_checks.cli.collecting import Collected, Runner, failed
from metta_checks.cli.configuration import Configured

from . import SERVICES, Clock, Organization, Running, Service, service

REFRESH_INTERVAL = 900

NEXT = """\
Where to look next
  metta-checks metrics github                   the catalog, with definitions (docs/metrics for all)
  python -m sandbox --conf-dir sandbox-conf     the sandbox to play with; then
  metta-checks collect all -c sandbox-conf      ... the same by hand,
  metta-checks doctor all -c sandbox-conf       ... is everything reachable and permitted?
  metta-checks verify all -c sandbox-conf       ... do the vendors' own SDKs agree?
  conf.d/metta_checks.d/*.yaml.example          your own configuration, documented
  README.md                                     installation in the Agent
"""


def collect(runner: Runner, served: Service) -> Collected:
    """Refresh, and follow crawls to their end. Requests, bytes and seconds add up."""
    runs = runner.drain(served.clock.advance)
    last = runs[-1].document()
    last.update({key: sum(getattr(run, key) for run in runs) for key in ('requests', 'bytes', 'seconds')})
    return Collected(**{**last, 'points': runs[-1].points, 'events': runs[-1].events})


def main(sources: list[str]) -> int:
    """Run the demo. Returns the exit code."""
    logging.disable(logging.WARNING)
    console = Console(width=None if sys.stdout.isatty() else 120)
    organization = Organization()
    start = Clock().start
    with ExitStack() as stack:
        served = {
            name: stack.enter_context(Running(service(name, organization, Clock(start))))
            for name in sources or SERVICES
        }
        runners = {
            name: Runner(
                Configured(Path('demo'), {}, {**one.instance(), 'refresh_interval': REFRESH_INTERVAL}), one.clock
            )
            for name, one in served.items()
        }
        cold = _round(console, 'cold', runners, served)
        for one in served.values():
            one.pass_time(REFRESH_INTERVAL)
        warm = _round(console, 'warm', runners, served)
        for name, collected in warm.items():
            console.print(tables.points_table(collected, runners[name].instance_tags, everything=False))
            console.print()
    for title, refresh in (('First refresh (cold)', cold), ('A quarter of an hour later (warm)', warm)):
        console.print(title, style='bold')
        console.print(tables.summary_table(refresh.values()))
    everything = (*cold.values(), *warm.values())
    for collected in everything:
        for line in (*((collected.error,) if collected.error else ()), *collected.warnings):
            console.print(line, style='yellow', markup=False, highlight=False)
    console.print(NEXT, markup=False, highlight=False)
    return 1 if failed(everything) else 0


def _round(console: Console, word: str, runners: dict[str, Runner], served: dict[str, Service]) -> dict[str, Collected]:
    result = {}
    for name, runner in runners.items():
        with console.status(f'{name}: {word}'):
            result[name] = collect(runner, served[name])
    return result


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))

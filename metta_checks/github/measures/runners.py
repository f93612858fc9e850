"""Figures of self-hosted runners."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from ...core.refresh import Sample
from ..records import Runner


def measure(runners: Iterable[Runner]) -> Iterator[Sample]:
    """Yield the gauges of block runners, by operating system."""
    by_os: dict[str, list[Runner]] = defaultdict(list)
    for runner in runners:
        by_os[runner.os.lower()].append(runner)
    for system, some in by_os.items():
        yield Sample('runners.online', sum(runner.online for runner in some), {'os': system})
        yield Sample('runners.busy', sum(runner.online and runner.busy for runner in some), {'os': system})

"""Figures of self-hosted runners."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator

from ...core.refresh import Sample
from ...core.tag_values import MAX_UNKNOWN, labels
from ..records import Runner

# The operating systems that GitHub documents; unknown for a runner without one.
SYSTEMS = ('linux', 'macos', 'windows', 'unknown')


def measure(runners: Collection[Runner]) -> Iterator[Sample]:
    """Yield the gauges of block runners, by operating system."""
    shown = labels(Counter(runner.os.lower() for runner in runners), MAX_UNKNOWN, known=SYSTEMS)
    by_os: dict[str, list[Runner]] = defaultdict(list)
    for runner in runners:
        by_os[shown[runner.os.lower()]].append(runner)
    for system, some in by_os.items():
        yield Sample('runners.online', sum(runner.online for runner in some), {'os': system})
        yield Sample('runners.busy', sum(runner.online and runner.busy for runner in some), {'os': system})

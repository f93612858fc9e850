"""Figures of self-hosted runners."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from itertools import product

from ...core.refresh import Sample
from ...core.tag_values import MAX_UNKNOWN, MAX_VALUES, added_up, labels
from ..runner_records import Runner

# The operating systems that GitHub documents; unknown for a runner without one.
SYSTEMS = ('linux', 'macos', 'windows', 'unknown')
STATUSES = ('online', 'offline')
BUSY = ('true', 'false')


def measure(runners: Collection[Runner]) -> Iterator[Sample]:
    """Yield the gauges of the runners of a repository."""
    yield from by_system(runners)
    yield from by_scope(runners, 'repository')


def by_system(runners: Collection[Runner]) -> Iterator[Sample]:
    """Yield the gauges by operating system."""
    shown = labels(Counter(runner.os.lower() for runner in runners), MAX_UNKNOWN, known=SYSTEMS)
    by_os: dict[str, list[Runner]] = defaultdict(list)
    for runner in runners:
        by_os[shown[runner.os.lower()]].append(runner)
    for system, some in by_os.items():
        yield Sample('runners.online', sum(runner.online for runner in some), {'os': system})
        yield Sample('runners.busy', sum(runner.online and runner.busy for runner in some), {'os': system})


def by_scope(runners: Collection[Runner], scope: str) -> Iterator[Sample]:
    """Yield the gauges by state and by label, of the runners of a repository or of an organization."""
    counts = Counter((STATUSES[not runner.online], BUSY[not runner.busy]) for runner in runners)
    for status, busy in product(STATUSES, BUSY):
        yield Sample('runners.count', counts[status, busy], {'scope': scope, 'status': status, 'busy': busy})
    # A label without a runner that is online is shown with 0.
    numbers = {label: 0 for runner in runners for label in runner.labels}
    numbers |= Counter(label for runner in runners if runner.online for label in runner.labels)
    for label, number in added_up(numbers, labels(numbers, MAX_VALUES)).items():
        yield Sample('runners.by_label', number, {'scope': scope, 'label': label})

"""Figures of self-hosted runners."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from github.SelfHostedActionsRunner import SelfHostedActionsRunner

from .reading import Reading, Row


def rows(reading: Reading) -> Iterator[Row]:
    """Yield the figures of the runners of the repository, with option `runners`."""
    if not reading.option('runners', False):
        return
    runners = list(reading.repository.get_self_hosted_runners())
    yield from counts(runners, 'repository')
    for system in {runner.os for runner in runners}:
        online = [runner for runner in runners if runner.os == system and runner.status == 'online']
        yield 'runners.online', len(online), {'os': system}
        yield 'runners.busy', sum(runner.busy for runner in online), {'os': system}


def counts(runners: Iterable[SelfHostedActionsRunner], scope: str) -> Iterator[Row]:
    """Yield the numbers of the runners of a repository or organization."""
    rows = list(runners)
    numbers = Counter((runner.status, runner.busy) for runner in rows)
    for status in ('online', 'offline'):
        for busy in (True, False):
            tags = {'scope': scope, 'status': status, 'busy': str(busy).lower()}
            yield 'runners.count', numbers[status, busy], tags
    named = [(runner.status == 'online', {str(label['name']).lower() for label in runner.labels}) for runner in rows]
    for name in set().union(*(names for _, names in named)):
        online = sum(is_online and name in names for is_online, names in named)
        yield 'runners.by_label', online, {'scope': scope, 'label': name}
